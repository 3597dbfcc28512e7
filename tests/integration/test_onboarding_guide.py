"""``docs/onboard-a-vendor.md`` is followed as a new user would: its files saved, its edits made, its commands run.

    ```json FILE        the block is saved as FILE (xml and csv as well)
    ```yaml FILE        each entry replaces the line of its key (or its TODO line); a new one is added
    ```console          lines after ``$`` are run; the lines below must come, in this order (``…`` leaves some out)

At the end the new connector runs in intake on a real broker and takes the guide's own sample.
"""

import asyncio
import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner

from gateway.config import Config, Connectors, Kafka, Ledger, Registry
from gateway.edges.kafka import make_consumer, read_partition
from gateway.edges.kafka_types import TopicPartition
from gateway.edges.keys import new_keys
from gateway.ops.cli import app
from gateway.record import MAPPED_TOPIC, vendor_topic
from gateway.sandbox.embedded import embedded_servers
from gateway.workers import intake
from tests.unit.intake.loaded import ROOT

pytestmark = pytest.mark.servers

GUIDE = ROOT / "docs" / "onboard-a-vendor.md"
BLOCK = re.compile(r"^```(json|xml|csv|yaml|console) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
KEY = re.compile(r'\s*(?:# TODO )?("?[\w$.-]+"?):')
SLOTS = 12
RUN = CliRunner()
SOON_S = 60.0


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """A broker of its own: the guide creates the gateway's topics."""
    with embedded_servers(postgres=False) as running:
        yield running.bootstrap_servers


@pytest.fixture
def config(broker: str, database_url: str, prefix: str, tmp_path: Path) -> Config:
    """An installation whose connectors are the guide's alone; its gateway.yaml lies where the commands run."""
    new_keys(tmp_path / "keys.json")
    found = Config(
        slots=SLOTS,
        kafka=Kafka(
            bootstrap_servers=broker,
            replication_factor=1,
            min_insync_replicas=1,
            session_timeout_ms=6_000,
            group_prefix=prefix,
        ),
        ledger=Ledger(url=database_url, pool_size=2),
        keys_file=str(tmp_path / "keys.json"),
        state_dir=str(tmp_path / "state"),
        registry=Registry(url="http://unused", credentials_file="unused"),
        targets={},
        connectors=Connectors(path="connectors"),
    )
    (tmp_path / "gateway.yaml").write_bytes(msgspec.yaml.encode(found))
    (tmp_path / "connectors").mkdir()
    return found


def edited(text: str, block: str) -> str:
    """*text* with each entry of *block* in the place of its key; an entry is a line and what is indented below it."""
    lines, entries = text.splitlines(), list[list[str]]()
    for line in block.splitlines():
        if entries and indent(line) > indent(entries[-1][0]):
            entries[-1].append(line)
        else:
            entries.append([line])
    for entry in entries:
        lines = _with_entry(lines, entry)
    return "\n".join(lines) + "\n"


def indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _with_entry(lines: list[str], entry: list[str]) -> list[str]:
    if entry[0].lstrip().startswith("- "):
        last = max(number for number, line in enumerate(lines) if line.startswith(entry[0].split("- ")[0] + "- "))
        return [*lines[: last + 1], *entry, *lines[last + 1 :]]
    key = KEY.match(entry[0])
    assert key is not None, entry
    for number, line in enumerate(lines):
        found = KEY.match(line)
        if found is not None and found[1] == key[1]:
            emptied = entry[0].rstrip().endswith(":") and len(entry) == 1
            return [*lines[:number], *([] if emptied else entry), *lines[number + 1 :]]
    return [*lines, *entry]


def run(command: str, folder: Path) -> str:
    """What *command* prints in *folder*; hocba alone runs in this process, which spares its start."""
    if command.startswith("hocba ") and ">" not in command:
        with contextlib.chdir(folder):
            found = RUN.invoke(app, shlex.split(command)[1:])
        assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
        return found.output
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout + done.stderr


def follow(block: str, folder: Path) -> None:
    """Run the commands of a console block; what is shown below each must come in this order."""
    for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, *shown = step.rstrip("\n").split("\n")
        printed = run(command, folder).splitlines()
        gap, at = False, 0
        for line in shown:
            if line.strip() == "…":
                gap = True
                continue
            rest = printed[at:]
            assert line in rest, f"$ {command}\nexpected: {line}\nprinted:\n" + "\n".join(rest)
            assert gap or rest[0] == line, f"$ {command}\nexpected next: {line}\nprinted next: {rest[0]}"
            at, gap = at + rest.index(line) + 1, False
        assert gap or at == len(printed), f"$ {command}\nnot shown in the guide:\n" + "\n".join(printed[at:])


def test_the_guide_leads_to_a_connector_that_runs(config: Config, tmp_path: Path) -> None:
    for kind, name, block in BLOCK.findall(GUIDE.read_text(encoding="utf-8")):
        match kind:
            case "json" | "xml" | "csv":
                (tmp_path / name).write_text(block, encoding="utf-8")
            case "yaml":
                file = tmp_path / name
                file.write_text(edited(file.read_text(encoding="utf-8"), block), encoding="utf-8")
            case _:
                follow(block, tmp_path)

    running = msgspec.structs.replace(config, connectors=Connectors(path=str(tmp_path / "connectors")))
    assert asyncio.run(taken_by_intake(running, (tmp_path / "sample.json").read_bytes())) == 1


async def taken_by_intake(config: Config, value: bytes) -> int:
    """Publish *value* and run intake until something is mapped; how many records are."""
    stop = asyncio.Event()
    stage = asyncio.create_task(intake.run(config, stop))
    mapped = [TopicPartition(MAPPED_TOPIC, slot) for slot in range(SLOTS)]
    consumer = make_consumer(config.kafka)
    await consumer.start()
    try:
        async with AIOKafkaProducer(bootstrap_servers=config.kafka.bootstrap_servers) as producer:
            await producer.send_and_wait(vendor_topic("la-xanh", "records"), value, key=b"7999996001")
        async with asyncio.timeout(SOON_S):
            while not sum(1 for end in (await consumer.end_offsets(mapped)).values() if end):
                assert not stage.done(), stage.result()
                await asyncio.sleep(0.2)
    finally:
        await consumer.stop()
        stop.set()
        await stage
    found = 0
    for slot in mapped:
        async for records in read_partition(config.kafka, slot, 0):
            found += len(records)
    return found


def test_an_edit_replaces_its_key_and_keeps_the_rest() -> None:
    before = "a: 1\nrows:\n  # TODO b: nothing looks like it\n  c: [x]  # a guess\n  - {k: 1}\nschools: []  # TODO\n"

    after = edited(before, '  b: y\n  c:\n  - {k: 2}\nschools:\n  - {code: "1"}\nignore: [z]\n')

    assert after == 'a: 1\nrows:\n  b: y\n  - {k: 1}\n  - {k: 2}\nschools:\n  - {code: "1"}\nignore: [z]\n'


@pytest.fixture(autouse=True)
def tools() -> None:
    """The guide's commands need these of any system."""
    for tool in ("bash", "sed", "cp", "grep"):
        assert shutil.which(tool), tool
