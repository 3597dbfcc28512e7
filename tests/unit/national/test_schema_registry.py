"""The client against a registry over real HTTP; every source of schemas passes the same contract."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from gateway.edges.schema_registry import (
    BundledIdConflict,
    BundledSchemas,
    Found,
    NotFound,
    Refused,
    Registered,
    SchemaRegistry,
    Schemas,
    Unavailable,
)
from gateway.national import schema
from tests.unit.national.registry_server import RegistryServer, running_registry

OTHER = json.dumps({"type": "record", "name": "mau.Other", "fields": [{"name": "a", "type": "string"}]})
WIDER = json.dumps(
    {"type": "record", "name": "mau.Other", "fields": [{"name": "a", "type": "string"}, {"name": "b", "type": "int"}]}
)


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with running_registry() as registry:
        yield registry


@pytest.fixture
async def client(server: RegistryServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url) as client:
        yield client


@pytest.fixture
def registry(client: httpx.AsyncClient) -> SchemaRegistry:
    return SchemaRegistry(client, max_wait_s=0.01)


@pytest.fixture(params=["bundled", "registry"])
def schemas(request: pytest.FixtureRequest, registry: SchemaRegistry) -> Schemas:
    return BundledSchemas() if request.param == "bundled" else registry


async def test_every_source_serves_the_bundled_ids(schemas: Schemas) -> None:
    for schema_id, entry in schema.bundled().items():
        assert await schemas.schema(schema_id) == Found(entry.text)


async def test_every_source_says_of_an_unknown_id_that_there_is_none(schemas: Schemas) -> None:
    assert await schemas.schema(4_000_000) == NotFound()


async def test_a_bundled_id_is_served_without_asking(server: RegistryServer, registry: SchemaRegistry) -> None:
    await registry.schema(1)

    assert server.calls == []


async def test_an_id_is_asked_for_once(server: RegistryServer, registry: SchemaRegistry) -> None:
    server.hold("mau", OTHER, 77)

    assert [await registry.schema(77) for _ in range(2)] == [Found(OTHER)] * 2
    assert server.calls == ["GET /schemas/ids/77"]


async def test_an_id_seen_before_is_known_after_a_restart_without_the_registry(
    server: RegistryServer, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    server.hold("mau", OTHER, 77)
    await SchemaRegistry(client, cache_folder=tmp_path / "ids").schema(77)
    server.down = 99

    assert await SchemaRegistry(client, cache_folder=tmp_path / "ids").schema(77) == Found(OTHER)


async def test_a_damaged_cache_file_is_asked_for_again(
    server: RegistryServer, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    server.hold("mau", OTHER, 77)
    (tmp_path / "77.avsc").write_text(OTHER[:20], encoding="utf-8")

    assert await SchemaRegistry(client, cache_folder=tmp_path).schema(77) == Found(OTHER)


async def test_short_trouble_is_ridden_out_and_long_trouble_is_a_value(
    server: RegistryServer, registry: SchemaRegistry
) -> None:
    server.hold("mau", OTHER, 77)
    server.down = 2

    assert await registry.registered_schema(77) == Found(OTHER)

    server.down = 99
    assert await registry.registered_schema(77) == Unavailable("HTTP 503")


async def test_no_registry_at_all_is_unavailable_and_the_reason_has_no_address() -> None:
    async with httpx.AsyncClient(base_url="http://user:secret@127.0.0.1:9") as client:
        answer = await SchemaRegistry(client, max_wait_s=0.01).schema(77)

    assert answer == Unavailable("ConnectError")


async def test_a_schema_that_is_no_avro_is_an_answer_too(server: RegistryServer, registry: SchemaRegistry) -> None:
    """Its reader refuses it; taken for an outage it would hold its vendor for ever."""
    server.hold("mau", '{"type": "nonsense"}', 77)

    assert await registry.schema(77) == Found('{"type": "nonsense"}')


async def test_registering_looking_up_and_comparing(server: RegistryServer, registry: SchemaRegistry) -> None:
    assert await registry.lookup("mau", OTHER) == NotFound()
    assert await registry.compatible("mau", OTHER) == NotFound()
    assert await registry.register("mau", OTHER) == Registered(1)
    assert await registry.register("mau", OTHER) == Registered(1)
    assert await registry.lookup("mau", OTHER) == Registered(1)
    assert await registry.compatible("mau", OTHER) is True
    assert await registry.compatible("mau", WIDER) is False
    assert await registry.register("mau", WIDER) == Refused(409)
    assert await registry.demand_transitive("mau") is None
    assert server.rules == {"mau": "BACKWARD_TRANSITIVE"}


async def test_an_empty_registry_agrees_with_the_bundled_ids(registry: SchemaRegistry) -> None:
    assert await registry.check_bundled() is None


async def test_a_registry_with_our_schemas_under_our_ids_agrees(
    server: RegistryServer, registry: SchemaRegistry
) -> None:
    for entry in schema.bundled().values():
        server.hold(entry.subject, json.dumps(json.loads(entry.text)), entry.schema_id)

    assert await registry.check_bundled() is None


async def test_our_schema_under_another_id_refuses_the_start(server: RegistryServer, registry: SchemaRegistry) -> None:
    receipt = schema.current(schema.RECEIPT)
    server.hold(receipt.subject, receipt.text, 12)

    with pytest.raises(BundledIdConflict) as conflict:
        await registry.check_bundled()

    assert conflict.value.conflicts == ("vn.hocba.Receipt v1 is 3 here and 12 there",)


async def test_another_schema_under_our_id_refuses_the_start(server: RegistryServer, registry: SchemaRegistry) -> None:
    server.hold("mau", OTHER, 2)

    with pytest.raises(BundledIdConflict, match=r"id 2 is .* here and another schema there"):
        await registry.check_bundled()


async def test_a_registry_that_is_away_does_not_refuse_the_start(
    server: RegistryServer, registry: SchemaRegistry
) -> None:
    server.down = 99

    assert await registry.check_bundled() == Unavailable("HTTP 503")


async def test_our_own_schema_with_other_docs_is_the_same_to_a_decoder(
    server: RegistryServer, registry: SchemaRegistry
) -> None:
    for entry in schema.bundled().values():
        server.hold(entry.subject, json.dumps(json.loads(entry.text) | {"doc": "other words"}), entry.schema_id)

    assert await registry.check_bundled() is None


async def test_trouble_is_a_value_on_every_call(server: RegistryServer, registry: SchemaRegistry) -> None:
    server.down = 99

    answers = [
        await registry.lookup("mau", OTHER),
        await registry.register("mau", OTHER),
        await registry.compatible("mau", OTHER),
        await registry.demand_transitive("mau"),
    ]

    assert answers == [Unavailable("HTTP 503")] * 4


async def test_an_answer_that_is_no_json_is_no_answer() -> None:
    def html(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text=f"<html>{request.url.path}</html>")

    async with httpx.AsyncClient(base_url="http://proxy.invalid", transport=httpx.MockTransport(html)) as client:
        answer = await SchemaRegistry(client).registered_schema(5)

    assert answer == Unavailable("unexpected answer, HTTP 200")


def test_its_repr_shows_ids_only(registry: SchemaRegistry) -> None:
    assert repr(registry) == "SchemaRegistry(seen=[])"
