"""A server that answers each connection's requests with scripted bytes: for answers no well-behaved server gives."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


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
async def raw_server(
    *script: bytes, pause_s: float = 0.0, greet: bytes = b"", tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawServer]:
    """Answer request after request with *script*; when it is used up, close the connection without a word.

    *greet* is said at once, before anything is asked; *pause_s* passes before each answer.
    """
    left, said, ended = list(script), RawServer(), asyncio.Event()
    serving: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving[asyncio.current_task()] = writer
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            writer.write(greet)
            while head := await _head(reader, said.bodies):
                said.asked.append(head[0])
                said.heads.append(head)
                with suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), pause_s)
                if not left or ended.is_set():
                    break
                reply = left.pop(0)
                writer.write(reply)
                await writer.drain()
                if not reply.startswith(b"HTTP/1.1") or _is_cut(reply):
                    break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    said.url = f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield said
    ended.set()
    server.close()
    for task, writer in serving.items():
        writer.close()
        if task is not None:
            await task


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
