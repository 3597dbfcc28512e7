"""An exchange over httpx: tokens, packets, batches and registries, where requests are few and large.

At 64 requests at a time it costs many times what it sends (docs/adr/0008): one record a request goes by exchange_fast.
The number of connections is bounded here and not by the pool: httpcore 1.0 keeps the place of a request that is
cancelled before its connection opens for ever, so that a bounded pool stands still after as many of them.
"""

import asyncio
import socket
import ssl
from typing import Any

import httpx

from gateway.edges.exchange import HEADERS_READ, Answered, Lost, NotSent, Reply, Way, stays
from gateway.outcomes import HoldReason


class HttpxExchange:
    """An `Exchange` over httpx."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._free = asyncio.Semaphore(way.connections)
        self._client = httpx.AsyncClient(
            base_url=way.url,
            timeout=httpx.Timeout(way.total_s, connect=way.connect_s, write=way.write_s, read=way.read_s),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=way.connections),
            headers={"accept-encoding": "identity"},
            verify=_tls(way),
            follow_redirects=False,
            trust_env=False,
        )

    async def ask(self, method: str, path: str, **parts: Any) -> Reply:
        """Send one request (parts: content, headers, files, data). Raises nothing a network can cause."""
        if not stays(path):
            return NotSent("contract")
        request = self._client.build_request(method, path, **parts)
        leaves = False
        try:
            async with asyncio.timeout(self._way.total_s), self._free:
                leaves = True
                return await self._read(request)
        except (TimeoutError, httpx.TransportError, httpx.DecodingError) as error:
            return _known_after(error) if leaves else NotSent("outage")

    async def _read(self, request: httpx.Request) -> Reply:
        answer = await self._client.send(request, stream=True)
        try:
            chunks, size = [], 0
            async for chunk in answer.aiter_bytes():
                size += len(chunk)
                if size > self._way.max_answer_bytes:
                    return Lost("size")
                chunks.append(chunk)
            headers = {name: answer.headers[name] for name in HEADERS_READ if name in answer.headers}
            return Answered(answer.status_code, headers, b"".join(chunks))
        finally:
            await answer.aclose()

    async def aclose(self) -> None:
        """Close the pool."""
        await self._client.aclose()


def _tls(way: Way) -> ssl.SSLContext | bool:
    if not way.url.startswith("https:"):
        return False  # nothing to verify, and reading the authorities takes a while
    context = ssl.create_default_context(cafile=way.tls.ca) if way.tls.ca else httpx.create_ssl_context(trust_env=False)
    if way.tls.certificate:
        context.load_cert_chain(way.tls.certificate, way.tls.private_key)
    return context


def _known_after(error: Exception) -> Reply:
    match error:
        case httpx.ConnectError() | httpx.ConnectTimeout():
            return NotSent(_why(error))
        case TimeoutError() | httpx.TimeoutException():
            return Lost("timeout")
        case httpx.DecodingError():
            return Lost("encoding")
        case _:
            return Lost("connection")


def _why(error: BaseException) -> HoldReason:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return "tls"
        if isinstance(seen, socket.gaierror):
            return "dns"
        seen = seen.__cause__ or seen.__context__
    return "outage"
