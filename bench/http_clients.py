# ruff: noqa: INP001, T201, S101, D103  a script to run, not a package
"""What one record a request costs by HTTP library, each against a sink of its own: python bench/http_clients.py [N].

The body is as long as a full-width record, 64 requests are under way at once, on the loop that the workers use.  CPU
is that of this process with all its threads; the sink's is not counted, but it shares the machine.
"""

import asyncio
import contextlib
import itertools
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import aiohttp
import httpx
import msgspec
import uvloop
from pyreqwest.client import ClientBuilder

from gateway.edges.exchange import Answered, way
from gateway.edges.exchange_fast import FastExchange
from gateway.edges.exchange_httpx import HttpxExchange

AT_ONCE = 64
BODY = b'{"records":[%b]}' % msgspec.json.encode({"idbanghi": "a" * 36, "phienban": 1, "rest": "y" * 6000})
HEADERS = {"content-type": "application/json", "authorization": "Bearer abc"}
Ask = Callable[[], Awaitable[None]]


@contextlib.asynccontextmanager
async def plain_httpx(url: str) -> AsyncIterator[Ask]:
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    async with httpx.AsyncClient(base_url=url, limits=limits, trust_env=False) as client:

        async def ask() -> None:
            assert (await client.post("/", content=BODY, headers=HEADERS)).status_code == 200

        yield ask


@contextlib.asynccontextmanager
async def plain_aiohttp(url: str) -> AsyncIterator[Ask]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:

        async def ask() -> None:
            async with session.post(url, data=BODY, headers=HEADERS) as answer:
                assert answer.status == 200
                await answer.read()

        yield ask


@contextlib.asynccontextmanager
async def plain_pyreqwest(url: str) -> AsyncIterator[Ask]:
    async with ClientBuilder().no_proxy().timeout(timedelta(seconds=30)).build() as client:

        async def ask() -> None:
            answer = await client.post(url).headers(HEADERS).body_bytes(BODY).build().send()
            assert answer.status == 200
            await answer.bytes()

        yield ask


@contextlib.asynccontextmanager
async def our_exchange(url: str, kind: type[FastExchange] | type[HttpxExchange]) -> AsyncIterator[Ask]:
    exchange = kind(way(url, 30.0, AT_ONCE, 2**20))

    async def ask() -> None:
        assert isinstance(await exchange.ask("POST", "/", content=BODY, headers=HEADERS), Answered)

    yield ask
    await exchange.aclose()


KINDS: dict[str, tuple[Callable[[str], contextlib.AbstractAsyncContextManager[Ask]], int]] = {
    "httpx": (plain_httpx, 10),
    "our exchange over httpx": (lambda url: our_exchange(url, HttpxExchange), 10),
    "aiohttp": (plain_aiohttp, 1),
    "pyreqwest": (plain_pyreqwest, 1),
    "our exchange over pyreqwest": (lambda url: our_exchange(url, FastExchange), 1),
}


async def measured(url: str, kind: str, requests: int) -> str:
    opened, fewer = KINDS[kind]
    async with opened(url) as ask:
        await asked(ask, AT_ONCE)
        began, used = time.perf_counter(), time.process_time()
        await asked(ask, requests // fewer)
        seconds, cpu_s = time.perf_counter() - began, time.process_time() - used
    each_us = cpu_s / (requests // fewer) * 1e6
    return (
        f"{kind:28} {requests // fewer / seconds:8.0f}/s {each_us:8.0f} us CPU a request {1e6 / each_us:8.0f} a core-s"
    )


async def asked(ask: Ask, requests: int) -> None:
    left = itertools.repeat(None, requests)

    async def one_after_the_other() -> None:
        for _ in left:
            await ask()

    await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))


async def main(requests: int) -> None:
    for kind in KINDS:
        sink = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.sandbox.sink"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert sink.stdin is not None
        assert sink.stdout is not None
        url = (await sink.stdout.readline()).decode().strip()
        print(await measured(url, kind, requests), flush=True)
        sink.stdin.close()
        await sink.wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
