"""Writer schemas of vendors' Avro messages by registry id, asked for beside the stream, never in it.

    known(id):  WriterSchema      usable
                Unusable          the registry knows no such schema, or it cannot be taken: the message is rejected
                Waiting           asked for; the vendor's partition is held, nobody else waits, nothing is lost

A registry that is away is asked again every second for as long as somebody waits (design rule 1).  An id never changes
its meaning, so an answer is kept; that an id is unknown is forgotten after half a minute, for it may be registered.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from gateway.edges.clock import monotonic_s
from gateway.edges.schema_registry import BundledSchemas, Found, NotFound, SchemaRegistry, Schemas, Unavailable
from gateway.edges.telemetry import logger
from gateway.intake.decode_avro import WriterSchema, read_schema

RETRY_S: Final = 1.0
FORGET_S: Final = 30.0
MOST_KNOWN: Final = 1_000
MOST_ASKED: Final = 8

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Unusable:
    """No message of this id can be read; looked at again after *until_s* (monotonic)."""

    until_s: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not answered yet; not asked again before *until_s* (monotonic)."""

    until_s: float = 0.0


class VendorSchemas:
    """The schemas of one worker; all slots share what one of them asked for."""

    def __init__(self, schemas: Schemas, client: httpx.AsyncClient | None = None) -> None:
        self._schemas = schemas
        self._client = client
        self._known: dict[int, WriterSchema | Unusable | Waiting] = {}
        self._asking: dict[int, asyncio.Task[None]] = {}

    def known(self, schema_id: int) -> WriterSchema | Unusable | Waiting:
        """What is known of an id now; what is not is asked for."""
        task = self._asking.get(schema_id)
        if task is not None and task.done():
            del self._asking[schema_id]
            task.result()  # an unexpected exception is a bug and ends the worker
        found = self._known.get(schema_id, Waiting())
        if isinstance(found, WriterSchema) or monotonic_s() < found.until_s:
            return found
        if schema_id not in self._asking and len(self._asking) < MOST_ASKED:
            self._asking[schema_id] = asyncio.create_task(self._ask(schema_id))
        return Waiting()

    async def _ask(self, schema_id: int) -> None:
        match await self._schemas.schema(schema_id):
            case Found(text):
                schema = read_schema(text)
                if isinstance(schema, str):
                    log.warning("writer schema of a vendor cannot be taken", schema_id=schema_id, because=schema)
                    self._keep(schema_id, Unusable(monotonic_s() + FORGET_S))
                else:
                    self._keep(schema_id, schema)
            case NotFound():
                self._keep(schema_id, Unusable(monotonic_s() + FORGET_S))
            case Unavailable(reason):
                log.warning("schema registry away; a vendor's messages wait", schema_id=schema_id, reason=reason)
                self._keep(schema_id, Waiting(monotonic_s() + RETRY_S))

    def _keep(self, schema_id: int, found: WriterSchema | Unusable | Waiting) -> None:
        self._known.pop(schema_id, None)
        self._known[schema_id] = found
        while len(self._known) > MOST_KNOWN:  # ids are the senders' words
            del self._known[next(iter(self._known))]

    async def close(self) -> None:
        """Give up what is being asked."""
        for task in self._asking.values():
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)
        self._asking.clear()
        if self._client is not None:
            await self._client.aclose()


def vendor_schemas(url: str, cache_folder: Path) -> VendorSchemas:
    """Of the registry at *url*, with the ids seen before in *cache_folder*; without a registry no id is known."""
    if not url:
        return VendorSchemas(BundledSchemas())
    client = httpx.AsyncClient(base_url=url, trust_env=False)
    return VendorSchemas(SchemaRegistry(client, cache_folder=cache_folder), client)
