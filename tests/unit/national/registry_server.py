"""A small Confluent-compatible registry over real HTTP, in a thread: enough of the API for the client's tests.

Like the real one it counts ids from 1, gives a known schema its old id, refuses what is not backward compatible (409),
and answers 404 with an error code. `down` makes it answer 503; `calls` is what it was asked.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gateway.national import compatibility

_NOT_FOUND = {40401: "Subject not found.", 40403: "Schema not found."}


class RegistryServer:
    """State and handlers of the registry."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.schemas: dict[int, str] = {}
        self.subjects: dict[str, list[int]] = {}
        self.rules: dict[str, str] = {}
        self.calls: list[str] = []
        self.down = 0

    def hold(self, subject: str, text: str, schema_id: int) -> None:
        """Put a schema under an id of the test's choice."""
        self.schemas[schema_id] = text
        self.subjects.setdefault(subject, []).append(schema_id)

    def app(self) -> Starlette:
        """The routes."""
        return Starlette(
            routes=[
                Route("/schemas/ids/{id:int}", self._by_id),
                Route("/subjects/{subject}/versions", self._register, methods=["POST"]),
                Route("/subjects/{subject}", self._lookup, methods=["POST"]),
                Route("/compatibility/subjects/{subject}/versions/latest", self._compatible, methods=["POST"]),
                Route("/config/{subject}", self._configure, methods=["PUT"]),
            ]
        )

    def _away(self, request: Request) -> JSONResponse | None:
        self.calls.append(f"{request.method} {request.url.path}")
        if not self.down:
            return None
        self.down -= 1
        return JSONResponse({"error_code": 50003}, 503)

    async def _by_id(self, request: Request) -> JSONResponse:
        away = self._away(request)
        if away:
            return away
        text = self.schemas.get(request.path_params["id"])
        return _missing(40403) if text is None else JSONResponse({"schema": text})

    async def _register(self, request: Request) -> JSONResponse:
        away = self._away(request)
        if away:
            return away
        subject, text = request.path_params["subject"], await _posted(request)
        if self._breaches(subject, text):
            return JSONResponse({"error_code": 409, "message": "incompatible"}, 409)
        known = next((number for number, held in self.schemas.items() if json.loads(held) == json.loads(text)), None)
        number = known or max(self.schemas, default=0) + 1
        self.hold(subject, text, number)
        return JSONResponse({"id": number})

    async def _lookup(self, request: Request) -> JSONResponse:
        away = self._away(request)
        if away:
            return away
        subject, text = request.path_params["subject"], await _posted(request)
        if subject not in self.subjects:
            return _missing(40401)
        found = [number for number in self.subjects[subject] if json.loads(self.schemas[number]) == json.loads(text)]
        return JSONResponse({"subject": subject, "id": found[0], "version": 1}) if found else _missing(40403)

    async def _compatible(self, request: Request) -> JSONResponse:
        away = self._away(request)
        if away:
            return away
        subject, text = request.path_params["subject"], await _posted(request)
        if subject not in self.subjects:
            return _missing(40401)
        return JSONResponse({"is_compatible": not self._breaches(subject, text)})

    async def _configure(self, request: Request) -> JSONResponse:
        away = self._away(request)
        if away:
            return away
        rule: str = (await request.json())["compatibility"]
        self.rules[request.path_params["subject"]] = rule
        return JSONResponse({"compatibility": rule})

    def _breaches(self, subject: str, text: str) -> list[str]:
        held = [json.loads(self.schemas[number]) for number in self.subjects.get(subject, [])]
        return compatibility.check_all(held, json.loads(text))


def _missing(code: int) -> JSONResponse:
    return JSONResponse({"error_code": code, "message": _NOT_FOUND[code]}, 404)


async def _posted(request: Request) -> str:
    body: dict[str, Any] = await request.json()
    assert body["schemaType"] == "AVRO"
    return str(body["schema"])


@contextmanager
def running_registry() -> Iterator[RegistryServer]:
    """A registry on a free port, gone at the end."""
    listening = socket.create_server(("127.0.0.1", 0))
    registry = RegistryServer(f"http://127.0.0.1:{listening.getsockname()[1]}")
    server = uvicorn.Server(uvicorn.Config(registry.app(), log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()
