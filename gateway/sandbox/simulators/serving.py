"""What the three simulators share: options, credentials, the faulty door, the administrator's paths and the server.

The rule: faults stand in front of the whole application (as a proxy or a network would), but for the paths below
``/admin`` and ``/book``, which belong to the person who runs the simulation. An answer is lost after processing: its
body is cut off, so that the caller sees a connection that broke and nothing else.
"""

import asyncio
import json
import logging
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Lifespan, Message, Receive, Scope, Send

from gateway.sandbox.simulators.book import Book
from gateway.sandbox.simulators.faults import Fate, FaultPlan, Faults

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Dedupe = Literal["both", "key", "version", "none"]
_GRACE_S = 1


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a simulated target behaves when nothing is wrong with it."""

    dedupe: Dedupe = "both"
    updates: Literal["replace", "revoke_then_register"] = "replace"
    max_records: int = 0
    max_bytes: int = 8 * 1024 * 1024
    result_delay_s: Seconds = 0.4
    index_delay_s: Seconds = 0.2
    token_life_s: Seconds = 60.0
    rate_per_s: Seconds = 0.0
    rate_counts: Literal["requests", "codes"] = "requests"
    names: Literal["exact", "bare", "either"] = "either"
    timestamp_unit: Literal["ms", "s"] = "ms"
    clock_s: Seconds = 300.0
    hashed_url: str = ""
    auth: Literal["timestamp_basic", "api_key", "oauth_client"] = "timestamp_basic"


@dataclass(frozen=True, slots=True)
class Setting:
    """What a simulator was started with."""

    book: Book
    faults: Faults
    options: Options
    credentials: dict[str, str]
    now_ms: Callable[[], int]
    monotonic_s: Callable[[], float]


def problem(status: int, code: str) -> Response:
    """An error answer with a code and nothing else."""
    return JSONResponse({"success": False, "message": code, "data": None}, status)


def json_answer(value: object, status: int = 200) -> Response:
    """*value* as JSON, encoded fast."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


async def body_of(request: Request, max_bytes: int) -> bytes | None:
    """The request's body, or None when it is above the limit (all of it is read: the connection stays usable)."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= max_bytes:
            chunks.append(chunk)
    return b"".join(chunks) if size <= max_bytes else None


def read_credentials(path: Path, names: tuple[str, ...]) -> dict[str, str]:
    """The credentials in *path* (mode 0600); made at the first start, so that there is no default to be found out."""
    if path.exists():
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    made = {name: secrets.token_urlsafe(24) for name in names}
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(made, file)
    return made


class FaultyDoor:
    """ASGI: lets requests through, late, refused or with their answer lost."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or what is left of it."""
        if scope["type"] != "http" or scope["path"].startswith(("/admin", "/book")):
            await self._app(scope, receive, send)
            return
        fate = self._faults.fate()
        await asyncio.sleep(fate.delay_s)
        if fate.before is not None:
            await _drain(receive)
            await self._refusal(fate)(scope, receive, send)
        elif fate.after == "answer":
            await self._app(scope, receive, _late(send, self._faults.plan.stall_after_s))
        else:
            await self._app(scope, receive, _into_nothing)
            if fate.after == "error":
                await problem(500, "ERR_INTERNAL")(scope, receive, send)
            else:
                await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4096")]})
                # returning without the promised body makes the server close the connection

    def _refusal(self, fate: Fate) -> Response:
        answer = problem(fate.before or 500, "ERR_BUSY")
        if fate.before == 429:
            answer.headers["Retry-After"] = f"{self._faults.plan.retry_after_s:g}"
        return answer


def _late(send: Send, stall_s: float) -> Send:
    if not stall_s:
        return send

    async def later(message: Message) -> None:
        if message["type"] == "http.response.start":
            await asyncio.sleep(stall_s)
        await send(message)

    return later


async def _into_nothing(message: Message) -> None:
    del message


async def _drain(receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            return


def guarded(token: str, handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """*handler* behind a bearer token that never changes."""

    async def check(request: Request) -> Response:
        given = request.headers.get("authorization", "")
        if not secrets.compare_digest(given.encode(), f"Bearer {token}".encode()):
            return problem(401, "ERR_TOKEN")
        return await handler(request)

    return check


def admin_routes(setting: Setting) -> list[Route]:
    """The paths of the person who runs the simulation."""

    async def faults(request: Request) -> Response:
        if request.method == "POST":
            try:
                plan = msgspec.json.decode(await request.body(), type=FaultPlan)
            except msgspec.MsgspecError as error:
                return problem(400, str(error))
            setting.faults.change(plan)
        return json_answer(setting.faults.plan)

    async def summary(_: Request) -> Response:
        return json_answer(setting.book.summary())

    async def progress(_: Request) -> Response:
        return json_answer(setting.book.progress())

    return [
        Route("/admin/faults", faults, methods=["GET", "POST"]),
        Route("/book/summary", summary),
        Route("/book/progress", progress),
    ]


def application(setting: Setting, routes: list[Route], lifespan: Lifespan[Starlette] | None = None) -> ASGIApp:
    """The simulator's application behind its faulty door."""
    return FaultyDoor(Starlette(routes=[*routes, *admin_routes(setting)], lifespan=lifespan), setting.faults)


def serve(app: ASGIApp, address: tuple[str, int], ready: dict[str, object], *, until_eof: bool) -> None:
    """Listen on *address* (port 0: a free one), say so in one JSON line on stdout, serve until TERM or stdin ends."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    listener.listen(1024)
    bound = listener.getsockname()[1]
    logging.getLogger("uvicorn.error").addFilter(lambda line: "without completing response" not in line.getMessage())
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            loop="uvloop",
            http="h11",
            lifespan="on",
            log_config=None,
            log_level="error",
            access_log=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
    )
    if until_eof:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    sys.stdout.write(json.dumps({"ready": True, "port": bound, "url": f"http://{address[0]}:{bound}", **ready}) + "\n")
    sys.stdout.flush()
    server.run(sockets=[listener])


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
