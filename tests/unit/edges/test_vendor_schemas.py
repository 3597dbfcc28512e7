"""Writer schemas by id: asked for once and beside, kept for good when known, asked again when the registry was away."""

import asyncio
import json

import pytest

from gateway.edges import vendor_schemas
from gateway.edges.schema_registry import Found, NotFound, Unavailable
from gateway.edges.vendor_schemas import MOST_ASKED, MOST_KNOWN, Unusable, VendorSchemas, Waiting
from gateway.intake.decode_avro import WriterSchema

TEXT = json.dumps({"type": "record", "name": "Mau", "fields": [{"name": "a", "type": "string"}]})
Answer = Found | NotFound | Unavailable


class ScriptedRegistry:
    """Answers an id with the next of its answers, the last for ever; holds while *gate* is closed."""

    def __init__(self, answers: dict[int, list[Answer]]) -> None:
        self.answers = answers
        self.asked: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def schema(self, schema_id: int) -> Answer:
        self.asked.append(schema_id)
        await self.gate.wait()
        answers = self.answers.get(schema_id, [NotFound()])
        return answers.pop(0) if len(answers) > 1 else answers[0]


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(vendor_schemas, "monotonic_s", clock)
    return clock


async def settled(schemas: VendorSchemas, schema_id: int) -> WriterSchema | Unusable | Waiting:
    schemas.known(schema_id)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return schemas.known(schema_id)


async def test_a_known_schema_is_asked_for_once() -> None:
    registry = ScriptedRegistry({7: [Found(TEXT)]})
    schemas = VendorSchemas(registry)

    assert isinstance(schemas.known(7), Waiting)
    assert isinstance(schemas.known(7), Waiting)
    assert isinstance(await settled(schemas, 7), WriterSchema)
    assert isinstance(schemas.known(7), WriterSchema)
    assert registry.asked == [7]


@pytest.mark.parametrize("answer", [NotFound(), Found('{"type": "array", "items": "null"}'), Found("syntax proto3")])
async def test_an_unusable_schema_is_looked_at_again_later(answer: Answer, clock: Clock) -> None:
    registry = ScriptedRegistry({7: [answer, Found(TEXT)]})
    schemas = VendorSchemas(registry)

    assert isinstance(await settled(schemas, 7), Unusable)
    clock.now_s += 29
    assert isinstance(await settled(schemas, 7), Unusable)
    clock.now_s += 2
    assert isinstance(await settled(schemas, 7), WriterSchema)
    assert registry.asked == [7, 7]


async def test_a_registry_that_is_away_is_asked_every_second(clock: Clock) -> None:
    registry = ScriptedRegistry({7: [Unavailable("ConnectError"), Unavailable("HTTP 503"), Found(TEXT)]})
    schemas = VendorSchemas(registry)

    assert isinstance(await settled(schemas, 7), Waiting)
    assert isinstance(await settled(schemas, 7), Waiting)
    assert registry.asked == [7]
    clock.now_s += 1.1
    assert isinstance(await settled(schemas, 7), Waiting)
    clock.now_s += 1.1
    assert isinstance(await settled(schemas, 7), WriterSchema)


async def test_countless_ids_are_asked_for_a_few_at_a_time() -> None:
    registry = ScriptedRegistry({})
    registry.gate.clear()
    schemas = VendorSchemas(registry)

    for schema_id in range(100):
        schemas.known(schema_id)
    await asyncio.sleep(0)

    assert len(registry.asked) == MOST_ASKED
    await schemas.close()


async def test_countless_ids_are_not_all_remembered() -> None:
    registry = ScriptedRegistry({})
    schemas = VendorSchemas(registry)
    for schema_id in range(MOST_KNOWN + 100):
        await settled(schemas, schema_id)

    asked = len(registry.asked)
    assert isinstance(await settled(schemas, MOST_KNOWN + 99), Unusable)
    assert len(registry.asked) == asked
    await settled(schemas, 0)
    assert len(registry.asked) == asked + 1


async def test_a_bug_while_asking_ends_the_caller() -> None:
    class Broken(ScriptedRegistry):
        async def schema(self, schema_id: int) -> Answer:
            raise ZeroDivisionError

    schemas = VendorSchemas(Broken({}))
    schemas.known(7)
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    with pytest.raises(ZeroDivisionError):
        schemas.known(7)
