"""A real Confluent-compatible registry holds our schemas under the bundled ids, or the gateway refuses to start.

What Apicurio 3.3 does, and these tests rely on: ids count from 1 over all subjects in the order of registration; a
schema comes back as the same JSON with other white space; a refused schema takes no version. It takes `PUT /mode
IMPORT` and then ignores the explicit "id", so registering in the order of ids is the way to equal ids.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.edges.schema_registry import (
    BundledIdConflict,
    Found,
    NotFound,
    Refused,
    Registered,
    SchemaRegistry,
    Unavailable,
    refuse_other_ids,
)
from gateway.national import schema
from gateway.ops.supervisor import NEEDS_A_PERSON, WORKER_COMMAND
from gateway.sandbox import registry_server
from gateway.sandbox.kafka_jars import Jar
from gateway.sandbox.launch import EmbeddedServerError, free_ports, is_alive
from gateway.sandbox.registry_server import running_registry

pytestmark = pytest.mark.servers

ROOT = Path(__file__).resolve().parents[2]
HOCBA = Path(sys.executable).with_name("hocba")
QUICKLY_S = 5.0
WORKER_STARTS_S = 60.0
AWAY = "schema registry unavailable, starting with the bundled ids"

CONFIG = """
slots: 1
kafka: {{bootstrap_servers: "{nowhere}", group_prefix: t, replication_factor: 1, min_insync_replicas: 1}}
ledger: {{url: "postgresql://{nowhere}/none"}}
keys_file: unused
state_dir: unused
registry: {{url: "http://unused", credentials_file: unused}}
targets: {{}}
schema_registry_url: "{registry}"
"""


def record(*fields: dict[str, Any]) -> str:
    return json.dumps({"type": "record", "name": "mau.Other", "fields": fields})


A = {"name": "a", "type": "string"}
B = {"name": "b", "type": "int"}
OTHER = record(A)
WITH_DEFAULT = record(A, B | {"default": 0})
WITHOUT_DEFAULT = record(A, B)  # reads WITH_DEFAULT's values, but not OTHER's


def register(url: str) -> tuple[int, dict[str, Any]]:
    """Exit code and answer of the operator's command."""
    done = subprocess.run(
        [HOCBA, "schema", "register", "--registry", url, "--json"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NO_PROXY": "127.0.0.1"},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout)


def subjects(url: str) -> list[str]:
    found: list[str] = httpx.get(f"{url}/subjects", trust_env=False).json()
    return sorted(found)


def rule(url: str, subject: str, level: str) -> None:
    httpx.put(f"{url}/config/{subject}", json={"compatibility": level}, trust_env=False).raise_for_status()


def start_worker(folder: Path, registry: str) -> subprocess.Popen[str]:
    """Start an intake worker whose Kafka is nowhere: the registry is looked at before it."""
    config = folder / "gateway.yaml"
    config.write_text(CONFIG.format(nowhere=nowhere(), registry=registry), "utf-8")
    arguments = [*WORKER_COMMAND, "intake", "--config", str(config)]
    return subprocess.Popen(arguments, cwd=ROOT, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def nowhere() -> str:
    return f"127.0.0.1:{free_ports(1)[0]}"


@pytest.fixture(scope="module")
def url(schema_registry_url: str) -> str:
    """The session's registry after `hocba schema register`."""
    assert register(schema_registry_url) == (0, {"registered": True, "faults": []})
    return schema_registry_url


@pytest.fixture
async def registry(url: str) -> AsyncIterator[SchemaRegistry]:
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        yield SchemaRegistry(client)


@pytest.fixture(scope="module")
def taken() -> Iterator[str]:
    """A registry where somebody's schema took id 1 and our receipts came next."""
    receipt = schema.current(schema.RECEIPT)

    async def fill(url: str) -> list[object]:
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            pairs = (("somebody-value", OTHER), (receipt.subject, receipt.text))
            return [await SchemaRegistry(client).register(subject, text) for subject, text in pairs]

    with running_registry(progress=print) as running:
        assert asyncio.run(fill(running.url)) == [Registered(1), Registered(2)]
        yield running.url
    assert not is_alive(running.pid)
    assert not running.data_dir.exists()


async def test_registering_in_a_fresh_registry_gives_every_schema_its_bundled_id(
    url: str, registry: SchemaRegistry
) -> None:
    entries = schema.bundled().values()

    assert {entry.subject for entry in entries} <= set(subjects(url))
    for entry in entries:
        assert await registry.lookup(entry.subject, entry.text) == Registered(entry.schema_id)


def test_registering_again_changes_nothing(url: str) -> None:
    before = subjects(url)

    assert register(url) == (0, {"registered": True, "faults": []})
    assert subjects(url) == before


async def test_an_id_gives_back_the_schema_that_is_bundled_under_it(registry: SchemaRegistry) -> None:
    for entry in schema.bundled().values():
        held = await registry.registered_schema(entry.schema_id)

        assert isinstance(held, Found)
        assert json.loads(held.text) == json.loads(entry.text)
    assert await registry.registered_schema(4_000_000) == NotFound()


async def test_the_check_at_start_passes_after_registering(url: str, registry: SchemaRegistry) -> None:
    assert await registry.check_bundled() is None
    assert await refuse_other_ids(url) is None


async def test_a_registry_that_gave_our_ids_to_others_refuses_the_start_and_names_each_difference(taken: str) -> None:
    with pytest.raises(BundledIdConflict) as conflict:
        await refuse_other_ids(taken)

    assert set(conflict.value.conflicts) == {
        "id 1 is vn.hocba.MappedRecord v1 here and another schema there",
        "id 2 is vn.hocba.LearningRecord v1 here and another schema there",
        "vn.hocba.Receipt v1 is 3 here and 2 there",
    }


def test_the_command_tells_the_differences_and_registers_nothing(taken: str) -> None:
    before = subjects(taken)

    code, answer = register(taken)

    assert code == 1
    assert answer["registered"] is False
    assert "id 1 is vn.hocba.MappedRecord v1 here and another schema there" in answer["faults"]
    assert subjects(taken) == before


def test_a_worker_does_not_start_when_the_ids_differ(taken: str, tmp_path: Path) -> None:
    with start_worker(tmp_path, taken) as worker:
        _, errors = worker.communicate(timeout=WORKER_STARTS_S)

    assert worker.returncode == NEEDS_A_PERSON
    assert "the schema registry and the bundled ids disagree: " in errors
    assert "worker starts" not in errors


async def test_an_incompatible_new_version_of_ours_is_refused(registry: SchemaRegistry) -> None:
    receipt = schema.current(schema.RECEIPT)
    parsed = json.loads(receipt.text)
    changed = json.dumps(parsed | {"fields": [*parsed["fields"], B]})

    assert await registry.compatible(receipt.subject, changed) is False
    assert await registry.register(receipt.subject, changed) == Refused(409)
    assert await registry.lookup(receipt.subject, changed) == NotFound()
    assert await registry.check_bundled() is None


async def test_a_version_that_reads_only_the_latest_is_refused_by_the_transitive_rule(
    url: str, registry: SchemaRegistry, prefix: str
) -> None:
    strict, loose = f"{prefix}-strict", f"{prefix}-loose"
    assert await registry.demand_transitive(strict) is None
    rule(url, loose, "BACKWARD")
    for subject in (strict, loose):
        assert isinstance(await registry.register(subject, OTHER), Registered)
        assert isinstance(await registry.register(subject, WITH_DEFAULT), Registered)

    assert await registry.register(strict, WITHOUT_DEFAULT) == Refused(409)
    assert isinstance(await registry.register(loose, WITHOUT_DEFAULT), Registered)


async def test_a_registry_that_is_not_there_is_told_quickly() -> None:
    began = time.monotonic()

    assert await refuse_other_ids(f"http://{nowhere()}/apis/ccompat/v7") == Unavailable("ConnectError")
    assert time.monotonic() - began < QUICKLY_S


def test_the_command_says_that_the_registry_is_not_there() -> None:
    code, answer = register(f"http://{nowhere()}/apis/ccompat/v7")

    assert (code, answer["faults"]) == (1, ["the registry gives no answer: ConnectError"])


def test_a_worker_starts_without_the_registry(tmp_path: Path) -> None:
    with start_worker(tmp_path, f"http://{nowhere()}/apis/ccompat/v7") as worker:
        assert worker.stderr is not None
        told: list[str] = []
        for line in worker.stderr:
            told.append(line)
            if "worker starts" in line:
                break
        worker.kill()

    assert any(AWAY in line and "ConnectError" in line for line in told)
    assert "worker starts" in told[-1]


def test_without_network_one_error_tells_what_to_do(tmp_path: Path) -> None:
    def no_network(jar: Jar, folder: Path) -> Path:
        raise ConnectionError(jar.artifact, folder)

    with pytest.raises(EmbeddedServerError, match=r"cannot be downloaded \(ConnectionError\)"):
        registry_server.distribution(tmp_path, progress=print, fetch=no_network)


def test_an_archive_that_differs_from_its_pin_is_fetched_anew_once_then_refused(tmp_path: Path) -> None:
    fetched: list[str] = []

    def forged(jar: Jar, folder: Path) -> Path:
        fetched.append(jar.artifact)
        path = folder / "forged.tar.gz"
        path.write_bytes(b"not the archive")
        return path

    with pytest.raises(EmbeddedServerError, match="RuntimeError"):
        registry_server.distribution(tmp_path, progress=print, fetch=forged)

    assert len(fetched) == 2
    assert not list((tmp_path / "maven").iterdir())
