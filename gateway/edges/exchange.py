"""One HTTP request and what is known about it afterwards: answered, not sent, or lost.

The rule: an error before the request left (name, connection, TLS) proves that nothing happened; an error after that
proves nothing at all. Foreign exceptions end here; their texts are dropped, because they may quote what was sent.
"""

import asyncio
import re
import socket
import ssl
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from gateway.outcomes import HoldReason

_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,40}")


@dataclass(frozen=True, slots=True)
class Answered:
    """A whole answer came."""

    status: int
    headers: httpx.Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class NotSent:
    """Nothing left this machine, or nobody took it in."""

    reason: HoldReason


@dataclass(frozen=True, slots=True)
class Lost:
    """The request left and no whole answer came; *reason* is a word for logs."""

    reason: str


Reply = Answered | NotSent | Lost


class Exchange:
    """An HTTP connection pool to one neighbour with bounds on time and size."""

    def __init__(self, client: httpx.AsyncClient, *, total_s: float, max_answer_bytes: int) -> None:
        self._client = client
        self._total_s = total_s
        self._max_answer_bytes = max_answer_bytes

    async def ask(self, method: str, path: str, **parts: Any) -> Reply:
        """Send one request (parts: content, headers, files, data). Raises nothing a network can cause."""
        request = self._client.build_request(method, path, **parts)
        try:
            async with asyncio.timeout(self._total_s):
                return await self._read(request)
        except (TimeoutError, httpx.TransportError, httpx.DecodingError) as error:
            return _known_after(error)

    async def _read(self, request: httpx.Request) -> Reply:
        answer = await self._client.send(request, stream=True)
        try:
            chunks, size = [], 0
            async for chunk in answer.aiter_bytes():
                size += len(chunk)
                if size > self._max_answer_bytes:
                    return Lost("size")
                chunks.append(chunk)
            return Answered(answer.status_code, answer.headers, b"".join(chunks))
        finally:
            await answer.aclose()

    async def aclose(self) -> None:
        """Close the pool."""
        await self._client.aclose()


def pool(
    base_url: str, timeout: httpx.Timeout, connections: int, tls: ssl.SSLContext | None = None
) -> httpx.AsyncClient:
    """A pool that follows no redirect and reads no environment: what is asked goes where the configuration says.

    *tls* where the neighbour's authority is a private one, or where it wants a certificate of ours.
    """
    return httpx.AsyncClient(
        base_url=base_url,
        verify=tls or True,
        timeout=timeout,
        limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        follow_redirects=False,
        trust_env=False,
    )


def _known_after(error: Exception) -> Reply:
    match error:
        case httpx.ConnectError() | httpx.ConnectTimeout():
            return NotSent(_why(error))
        case httpx.PoolTimeout():
            return NotSent("outage")
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


def retry_after_s(headers: httpx.Headers, cap_s: float) -> float | None:
    """Seconds that *headers* ask to wait, at most *cap_s*; None when they do not say.

    A date is relative to the answer's own Date, so a wrong clock on either side does not matter (RFC 9110, 10.2.3).
    """
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return min(float(text), cap_s)
    try:
        wait = parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError):
        return None
    return min(max(wait.total_seconds(), 0.0), cap_s)


def plain_code(text: object) -> str:
    """*text* when it looks like a code; anything else might quote a record and becomes the word `unreadable`."""
    return text if isinstance(text, str) and _CODE.fullmatch(text) else "unreadable"
