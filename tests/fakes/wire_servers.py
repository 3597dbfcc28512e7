"""Servers on this machine that do what well-behaved ones do not: bad certificates, silence, answers that trickle."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path

from tests.fakes.raw_server import answer, served


def tls_server(given: tuple[Path, Path], clients: Path | None = None) -> AbstractAsyncContextManager[str]:
    """Answer `ok` once to each connection; with *clients* only to who shows a certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*given)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer("200 OK", "ok"))
        await writer.drain()

    return served(serve, context)


def trickling(head: bytes, pieces: list[bytes], *, every_s: float) -> AbstractAsyncContextManager[str]:
    """Say *head*, then a piece at a time, then nothing, and keep the connection open."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        for piece in pieces:
            await asyncio.sleep(every_s)
            writer.write(piece)
            await writer.drain()
        await asyncio.Event().wait()

    return served(serve)


def plain_greeting() -> AbstractAsyncContextManager[str]:
    """Say something that is no TLS as soon as somebody comes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"not TLS at all\r\n" * 9)
        await writer.drain()
        await reader.read()

    return served(serve)


def echo() -> AbstractAsyncContextManager[str]:
    """Answer every request with its own bytes, and whose connection it came by."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = str(writer.get_extra_info("peername")[1]).encode()
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            _, _, rest = head.lower().partition(b"content-length:")
            body = await reader.readexactly(int(rest.split(b"\r\n")[0]) if rest else 0)
            said = head[:-4] + b"\r\nx-peer: " + peer + b"\r\n\r\n" + body
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(said), said))
            await writer.drain()

    return served(serve)


@contextmanager
def deaf_server() -> Iterator[str]:
    """Connections come about, and nobody reads from them."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(5)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def full_server() -> Iterator[str]:
    """Nobody takes a connection, and the queue of those who wait is full."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = listening.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        yield f"http://127.0.0.1:{address[1]}"
        for one in waiting:
            one.close()
