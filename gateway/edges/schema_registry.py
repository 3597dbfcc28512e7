"""Any Confluent-compatible schema registry, and life without one.

    schema(id): bundled ──► memory ──► disk cache ──► registry    Found | NotFound | Unavailable

Rules: starting needs no registry; an id, once seen, never changes, so it is cached for good; a bundled id that stands
for something else in the registry raises `BundledIdConflict`, because two id spaces would end up in one topic. The
registry being away is a value, not an exception: the caller holds (design rule 1).

Subjects: `gateway.mapped-value` and `national.records-value` are what the topic-name strategy of Confluent clients
expects. All `vendor.<v>.receipts` topics share one subject, `vendor.receipts-value`: readers find the schema by id,
and one subject a vendor would only be the same schema many times.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import httpx
import msgspec
from fastavro.schema import SchemaParseException, UnknownType, parse_schema
from tenacity import AsyncRetrying, RetryError, retry_if_result, stop_after_attempt, wait_random_exponential

from gateway.errors import GatewayError
from gateway.national import schema as national

if TYPE_CHECKING:
    from pathlib import Path

_CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"
_TRIES = 3
_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Found:
    """The schema's JSON text."""

    text: str


@dataclass(frozen=True, slots=True)
class NotFound:
    """The registry answered that it knows no such schema."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """No useful answer; it may come later."""

    reason: str


@dataclass(frozen=True, slots=True)
class Registered:
    """The schema has this id in the registry."""

    schema_id: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The registry does not take the schema: incompatible or not valid to it."""

    status: int


class BundledIdConflict(GatewayError):
    """A schema of ours has another id in the registry, or our id is another schema there: do not start."""

    def __init__(self, conflicts: tuple[str, ...]) -> None:
        super().__init__("the schema registry and the bundled ids disagree: " + "; ".join(conflicts))
        self.conflicts = conflicts


class Schemas(Protocol):
    """Where a schema is looked up by the id in front of a value."""

    async def schema(self, schema_id: int) -> Found | NotFound | Unavailable:
        """The schema of an id."""
        ...


class BundledSchemas:
    """The schemas that come with the gateway; needs nothing."""

    async def schema(self, schema_id: int) -> Found | NotFound | Unavailable:
        """The schema of a bundled id."""
        entry = national.bundled().get(schema_id)
        return NotFound() if entry is None else Found(entry.text)


async def refuse_other_ids(url: str) -> Unavailable | None:
    """At a worker's start: raise `BundledIdConflict` when the registry at *url* knows our schemas under other ids."""
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        return await SchemaRegistry(client).check_bundled()


class SchemaRegistry:
    """A registry over HTTP, behind the bundled schemas and a folder of ids seen before.

    *client* has the registry's address (with its path, such as `/apis/ccompat/v7`) as `base_url`, and its credentials.
    """

    def __init__(self, client: httpx.AsyncClient, *, cache_folder: Path | None = None, max_wait_s: float = 1.0) -> None:
        self._client = client
        self._folder = cache_folder
        self._max_wait_s = max_wait_s
        self._seen: dict[int, str] = {}

    def __repr__(self) -> str:
        return f"SchemaRegistry(seen={sorted(self._seen)})"

    async def schema(self, schema_id: int) -> Found | NotFound | Unavailable:
        """The schema of an id: bundled, seen before, or asked for."""
        entry = national.bundled().get(schema_id)
        text = self._remembered(schema_id) if entry is None else entry.text
        if text is not None:
            return Found(text)
        answer = await self.registered_schema(schema_id)
        if isinstance(answer, Found) and _is_avro(answer.text):
            self._remember(schema_id, answer.text)
        return answer

    async def registered_schema(self, schema_id: int) -> Found | NotFound | Unavailable:
        """What the registry itself holds under an id (`GET /schemas/ids/{id}`), Avro or not."""
        response = await self._send("GET", f"schemas/ids/{schema_id}")
        if isinstance(response, Unavailable):
            return response
        if response.status_code == httpx.codes.NOT_FOUND:
            return NotFound()
        text = _member(response, "schema")
        return Found(text) if isinstance(text, str) else _odd(response)

    async def lookup(self, subject: str, text: str) -> Registered | NotFound | Unavailable:
        """The id of a schema under a subject, if it is registered there (`POST /subjects/{s}`)."""
        response = await self._send("POST", f"subjects/{subject}", {"schemaType": "AVRO", "schema": text})
        if isinstance(response, Unavailable):
            return response
        if response.status_code == httpx.codes.NOT_FOUND:
            return NotFound()
        found = _member(response, "id")
        return Registered(found) if isinstance(found, int) else _odd(response)

    async def register(self, subject: str, text: str) -> Registered | Refused | Unavailable:
        """Register a schema (`POST /subjects/{s}/versions`); the same schema again gives the same id."""
        response = await self._send("POST", f"subjects/{subject}/versions", {"schemaType": "AVRO", "schema": text})
        if isinstance(response, Unavailable):
            return response
        if response.status_code in {httpx.codes.CONFLICT, httpx.codes.UNPROCESSABLE_ENTITY}:
            return Refused(response.status_code)
        found = _member(response, "id")
        return Registered(found) if isinstance(found, int) else _odd(response)

    async def compatible(self, subject: str, text: str) -> bool | NotFound | Unavailable:
        """Whether a schema fits the subject's latest version (`POST /compatibility/…`); NotFound for a new subject."""
        path = f"compatibility/subjects/{subject}/versions/latest"
        response = await self._send("POST", path, {"schemaType": "AVRO", "schema": text})
        if isinstance(response, Unavailable):
            return response
        if response.status_code == httpx.codes.NOT_FOUND:
            return NotFound()
        answer = _member(response, "is_compatible")
        return answer if isinstance(answer, bool) else _odd(response)

    async def demand_transitive(self, subject: str) -> Registered | Refused | Unavailable | None:
        """Set the subject's rule to BACKWARD_TRANSITIVE (`PUT /config/{s}`); None when it is set."""
        response = await self._send("PUT", f"config/{subject}", {"compatibility": "BACKWARD_TRANSITIVE"})
        if isinstance(response, Unavailable):
            return response
        return None if response.is_success else Refused(response.status_code)

    async def check_bundled(self) -> Unavailable | None:
        """Compare every bundled id with the registry's; raises `BundledIdConflict` with all differences.

        Unavailable means not compared: the start goes on with the bundled schemas.
        """
        conflicts: list[str] = []
        for entry in national.bundled().values():
            held, registered = (
                await self.registered_schema(entry.schema_id),
                await self.lookup(entry.subject, entry.text),
            )
            match held, registered:
                case (Unavailable() as away, _) | (_, Unavailable() as away):
                    return away
                case _:
                    conflicts += _conflicts(entry, held, registered)
        if conflicts:
            raise BundledIdConflict(tuple(conflicts))
        return None

    def _remembered(self, schema_id: int) -> str | None:
        if schema_id not in self._seen and self._folder is not None:
            file = self._folder / f"{schema_id}.avsc"
            text = file.read_text(encoding="utf-8") if file.is_file() else ""
            if _is_avro(text):
                self._seen[schema_id] = text
        return self._seen.get(schema_id)

    def _remember(self, schema_id: int, text: str) -> None:
        self._seen[schema_id] = text
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            draft = self._folder / f"{schema_id}.avsc.{os.getpid()}"  # workers share the folder
            draft.write_text(text, encoding="utf-8")
            draft.replace(self._folder / f"{schema_id}.avsc")  # a kill leaves the old file or the whole new one

    async def _send(self, method: str, path: str, body: dict[str, str] | None = None) -> httpx.Response | Unavailable:
        """One call with a few quick tries; every failure of network or server becomes Unavailable."""
        tries = AsyncRetrying(
            retry=retry_if_result(lambda answer: isinstance(answer, Unavailable)),
            stop=stop_after_attempt(_TRIES),
            wait=wait_random_exponential(multiplier=0.05, max=self._max_wait_s),
        )
        try:
            return await tries(self._try, method, path, body)
        except RetryError as exhausted:
            last: Unavailable = exhausted.last_attempt.result()
            return last

    async def _try(self, method: str, path: str, body: dict[str, str] | None) -> httpx.Response | Unavailable:
        headers = {"accept": _CONTENT_TYPE} | ({"content-type": _CONTENT_TYPE} if body else {})
        content = msgspec.json.encode(body) if body else None
        try:
            response = await self._client.request(method, path, content=content, headers=headers, timeout=_TIMEOUT_S)
        except httpx.TransportError as error:  # its text may hold the address with credentials
            return Unavailable(type(error).__name__)
        busy = response.is_server_error or response.status_code == httpx.codes.TOO_MANY_REQUESTS
        return Unavailable(f"HTTP {response.status_code}") if busy else response


def _conflicts(
    entry: national.Bundled,
    held: Found | NotFound | Unavailable,
    registered: Registered | NotFound | Unavailable,
) -> list[str]:
    """How the registry differs on one bundled schema; a registry that does not know it yet does not differ."""
    found: list[str] = []
    if isinstance(registered, Registered) and registered.schema_id != entry.schema_id:
        found.append(f"{entry.name} v{entry.version} is {entry.schema_id} here and {registered.schema_id} there")
    if isinstance(held, Found) and not _same(held.text, entry.text):
        found.append(f"id {entry.schema_id} is {entry.name} v{entry.version} here and another schema there")
    return found


def _same(one: str, other: str) -> bool:
    """Equal to a decoder: docs and our own properties do not count, logical types do."""
    return _is_avro(one) and bool(_bare(json.loads(one)) == _bare(json.loads(other)))


_KEPT = frozenset(
    {
        "type",
        "name",
        "namespace",
        "fields",
        "symbols",
        "items",
        "values",
        "size",
        "default",
        "logicalType",
        "precision",
        "scale",
    }
)


def _bare(node: Any) -> Any:
    if isinstance(node, list):
        return [_bare(item) for item in node]
    if isinstance(node, dict):
        return {key: _bare(value) for key, value in node.items() if key in _KEPT}
    return node


def _member(response: httpx.Response, name: str) -> object:
    """A member of the answer's JSON object, or None."""
    if not response.is_success:
        return None
    try:
        answer = msgspec.json.decode(response.content)
    except msgspec.DecodeError:
        return None
    return answer.get(name) if isinstance(answer, dict) else None


def _odd(response: httpx.Response) -> Unavailable:
    return Unavailable(f"unexpected answer, HTTP {response.status_code}")


def _is_avro(text: str) -> bool:
    try:
        parse_schema(json.loads(text))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, SchemaParseException, UnknownType):
        return False
    return True
