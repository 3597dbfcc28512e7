"""An exchange over pyreqwest's own API: one record a request, thousands of them a second.

It knows content and headers and nothing else; the rest of the gateway uses exchange_httpx (docs/adr/0008 has the
figures).  What differs from there: `read_s` counts from the beginning of a request to the head of its answer and then
between two pieces of it; a body that the other side does not take in ends by the socket's own timer after `write_s`; an
authority of the neighbour's own is trusted beside the public ones, where httpx trusts it alone.

The classes of the library's exceptions say too much: a connection closed after the request is a ConnectError too.
Only the cause "client error (Connect)" proves that nothing left; whatever else happened is `Lost`.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PoolTimeoutError, RequestError, RequestPanicError, RequestTimeoutError
from pyreqwest.request import StreamRequest

from gateway.edges.exchange import HEADERS_READ, Answered, Lost, NotSent, Reply, Way, stays
from gateway.outcomes import HoldReason

_BEFORE_SENDING: Final = "client error (Connect)"
_PLACE: Final[dict[str, HoldReason]] = {"tcp connect error": "outage", "dns error": "dns"}
"""What stands behind it; everything else that can go wrong before sending is TLS."""
_SILENCE: Final = "operation timed out"


class FastExchange:
    """An `Exchange` over pyreqwest for small requests."""

    def __init__(self, way: Way) -> None:
        self._origin = way.url.rstrip("/")
        self._max_answer_bytes = way.max_answer_bytes
        self._client = _client(way)

    async def ask(self, method: str, path: str, **parts: Any) -> Reply:
        """Send one request (parts: content, headers). Raises nothing a network can cause."""
        if not stays(path):
            return NotSent("contract")
        request = self._request(method, path, **parts)
        try:
            async with request as answer:
                chunks, size = [], 0
                while (chunk := await answer.body_reader.read_chunk()) is not None:
                    size += len(chunk)
                    if size > self._max_answer_bytes:
                        return Lost("size")
                    chunks.append(chunk)
                said = {name: text for name in HEADERS_READ if (text := answer.get_header(name)) is not None}
                return Answered(answer.status, said, b"".join(chunks))
        except RequestPanicError:  # a fault of the library, not of the network
            raise
        except RequestError as error:
            return _known_after(error)

    def _request(
        self, method: str, path: str, *, content: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> StreamRequest:
        asking = self._client.request(method, self._origin + path).headers(headers or {})
        return asking.body_bytes(content).build_streamed()

    async def aclose(self) -> None:
        """Close the pool."""
        await self._client.close()


def _client(way: Way) -> Client:
    builder = (
        ClientBuilder()
        .user_agent("hocba")
        .default_headers({"accept-encoding": "identity"})
        .connect_timeout(timedelta(seconds=way.connect_s))
        .tcp_user_timeout(timedelta(seconds=way.write_s))
        .read_timeout(timedelta(seconds=way.read_s))
        .timeout(timedelta(seconds=way.total_s))
        .max_connections(way.connections)
        .pool_timeout(timedelta(seconds=way.total_s))
        .pool_max_idle_per_host(way.connections)
        .follow_redirects(enable=False)
        .referer(enable=False)
        .no_proxy()
    )
    if way.tls.ca:
        builder = builder.add_root_certificate_pem(Path(way.tls.ca).read_bytes())
    if way.tls.certificate:
        files = (way.tls.certificate, way.tls.private_key)
        builder = builder.identity_pem(b"\n".join(Path(file).read_bytes() for file in files))
    return builder.build()


def _known_after(error: RequestError) -> Reply:
    causes = [cause["message"] for cause in error.details["causes"] or ()]
    if _BEFORE_SENDING in causes:
        behind = causes[causes.index(_BEFORE_SENDING) + 1 :]
        return NotSent(_why(behind))
    if isinstance(error, PoolTimeoutError):
        return NotSent("outage")
    return Lost("timeout" if isinstance(error, RequestTimeoutError) else "connection")


def _why(behind: list[str]) -> HoldReason:
    for cause, reason in _PLACE.items():
        if cause in behind:
            return reason
    return "outage" if _SILENCE in behind else "tls"
