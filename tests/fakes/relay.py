"""A TCP relay before a simulator: when each request came by, how many wait for an answer, and which records overlap.

A request is in flight from its first bytes until its answer begins or its connection ends, however that happens.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from typing import Any

from gateway.edges.clock import monotonic_s

_POST = re.compile(rb"POST /\S+ HTTP/1\.1\r\n")
_RECORD = re.compile(rb'"idbanghi":"([0-9a-f-]{36})"')
MOST_BYTES = 65536


@dataclass
class Relay:
    """Where it listens, and what came by (times are monotonic seconds)."""

    url: str = ""
    posts: list[float] = field(default_factory=list)
    ended: int = 0
    overlaps: list[bytes] = field(default_factory=list)
    flying: dict[bytes, int] = field(default_factory=dict)

    @property
    def in_flight(self) -> int:
        """Requests without an answer."""
        return len(self.posts) - self.ended

    def posts_between(self, start_s: float, end_s: float) -> int:
        """POSTs that began in this time."""
        return sum(start_s <= at < end_s for at in self.posts)


class _Way:
    """One connection: the records of the request on it."""

    def __init__(self, made: Relay) -> None:
        self._made = made
        self._asked = b""
        self._open = 0

    def asked(self, chunk: bytes) -> None:
        """Bytes of the worker."""
        begun = [monotonic_s()] * len(_POST.findall(chunk))
        self._made.posts += begun
        self._open += len(begun)
        self._asked += chunk
        for name in _RECORD.findall(self._asked):
            if self._made.flying.setdefault(name, id(self)) != id(self):
                self._made.overlaps.append(name)

    def answered(self, chunk: bytes) -> None:
        """Bytes of the simulator."""
        if b"HTTP/1.1 " in chunk:  # one request at a time on a connection
            self.over()

    def over(self) -> None:
        """Nothing is under way here any more."""
        self._asked = b""
        self._made.ended += self._open
        self._open = 0
        for name in [name for name, way in self._made.flying.items() if way == id(self)]:
            del self._made.flying[name]


@asynccontextmanager
async def relay(url: str) -> AsyncIterator[Relay]:
    """A relay to *url* on a port of its own."""
    host, _, port = url.removeprefix("http://").partition(":")
    made = Relay()

    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (own := asyncio.current_task()) is not None:
            tasks.add(own)
            own.add_done_callback(tasks.discard)
        with closing(writer), suppress(OSError):
            there, back = await asyncio.open_connection(host, int(port))
            with closing(back):
                await _both(_Way(made), (reader, back), (there, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


_End = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _both(way: _Way, there: _End, back: _End) -> None:
    """Until one side has ended; the other is closed then."""
    pipes = [asyncio.create_task(_pipe(*there, way.asked)), asyncio.create_task(_pipe(*back, way.answered))]
    try:
        await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
    finally:
        way.over()
        for pipe in pipes:
            pipe.cancel()
        await asyncio.gather(*pipes, return_exceptions=True)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hear: Callable[[bytes], None]) -> None:
    with suppress(OSError):
        while chunk := await reader.read(MOST_BYTES):
            hear(chunk)
            writer.write(chunk)
            await writer.drain()
