"""A server that answers each connection's requests with scripted bytes: for answers no well-behaved server gives."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

EMPTIED_S = 2.0
ACCEPTED_S = 0.01
"""A connection that was taken just now has its task after that; without one nobody would close it."""


@dataclass(slots=True)
class RawServer:
    """Where it listens, and the first line, head and body of every request it read."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    heads: list[Sequence[str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)


def answer(status: str, body: str = "", *headers: str) -> bytes:
    """A whole answer with its length."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body.encode())}", *headers, "", body]
    return "\r\n".join(lines).encode()


@asynccontextmanager
async def served(serve: Serve, tls: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[str]:
    """Give each connection to *serve* until the block ends; nothing is left open then."""
    tasks: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
                await serve(reader, writer)
        finally:
            writer.close()
            try:
                with suppress(ConnectionError, ssl.SSLError):
                    await writer.wait_closed()
            except asyncio.CancelledError:
                writer.transport.abort()  # who was to read the rest has gone
                raise

    server = await asyncio.start_server(one, "127.0.0.1", port, ssl=tls)
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await _emptied(server, tasks)
        await asyncio.gather(*tasks, return_exceptions=True)


async def _emptied(server: asyncio.Server, tasks: set[asyncio.Task[None]]) -> None:
    """Until its connections are gone: those accepted just now too, and those that end amid the handshake of TLS.

    ``Server.wait_closed`` waits for none before Python 3.12.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(EMPTIED_S):
            await asyncio.sleep(ACCEPTED_S)
            while server._active_count:  # type: ignore[attr-defined]  # noqa: SLF001  nothing public tells
                for task in tasks:
                    task.cancel()
                await asyncio.sleep(ACCEPTED_S)


@asynccontextmanager
async def raw_server(
    *script: bytes, pause_s: float = 0.0, greet: bytes = b"", tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawServer]:
    """Answer request after request with *script*; when it is used up, close the connection without a word.

    *greet* is said at once, before anything is asked; *pause_s* passes before each answer.
    """
    left, said = list(script), RawServer()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greet)
        while head := await _head(reader, said.bodies):
            said.asked.append(head[0])
            said.heads.append(head)
            await asyncio.sleep(pause_s)
            if not left:
                break
            reply = left.pop(0)
            writer.write(reply)
            await writer.drain()
            if not reply.startswith(b"HTTP/1.1") or _is_cut(reply):
                break

    async with served(serve, tls) as said.url:
        yield said


def _is_cut(reply: bytes) -> bool:
    head, _, body = reply.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length"))
    return len(body) < length


async def _head(reader: asyncio.StreamReader, bodies: list[bytes]) -> Sequence[str]:
    """The lines of a request's head, its body read into *bodies*; empty at the end."""
    try:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except asyncio.IncompleteReadError:
        return []
    length = next((int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length")), 0)
    bodies.append(await reader.readexactly(length))
    return lines
