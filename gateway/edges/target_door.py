"""The way to a target: a token for each request, and one reading of what came back.

The rule: a token is asked for by one caller for all, before it runs out; a 401 spends one fresh token, not more. An
HTTP status is looked up in the contract's table here and never seen again. Whoever bounds the time of a request learns
by `is_unsent` whether it ran out before anything left: a token server that hangs leaves no record in doubt.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
import tenacity

from gateway.config import ConfigFaults
from gateway.edges import clock
from gateway.edges.exchange import Answered, Exchange, Lost, NotSent, Reply, Way, retry_after_s
from gateway.edges.exchange_fast import FastExchange
from gateway.edges.exchange_httpx import HttpxExchange
from gateway.edges.target_contract import (
    Bearer,
    ClientCredentials,
    Contract,
    HttpVerdict,
    NoToken,
    PasswordGrant,
    missing_credentials,
)
from gateway.edges.target_tls import tls_of
from gateway.outcomes import Ambiguous, Hold, RefusedWhole, TooLarge, Unavailable, Whole

_TOKEN_BUDGET_S = 6.0
_TOKEN_TOTAL_S = 4.0
_TOKEN_REST_S = 1.0
_UNSENT: Final = "nothing of the request is under way"
FAST_RECORDS: Final = 20
"""A contract with batches of at most so many records is served by the exchange for many small requests."""


@dataclass(frozen=True, slots=True)
class Turned:
    """The request as a whole came to this; nothing in it was answered by record."""

    whole: Whole
    slow_down_s: float | None = None


class _Fixed:
    """A token that never changes; the empty one is not sent."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def token(self, spoiled: str = "") -> str | Hold | Unavailable:
        return Hold("auth") if spoiled else self._token

    async def aclose(self) -> None:
        """Nothing is open."""


class _Granted:
    """A token fetched before it is needed and renewed before it runs out, by one caller for all."""

    def __init__(
        self,
        exchange: Exchange,
        grant: PasswordGrant | ClientCredentials,
        credentials: Mapping[str, str],
        monotonic_s: Callable[[], float],
    ) -> None:
        self._exchange = exchange
        self._grant = grant
        self._form = _form(grant, credentials)
        self._monotonic_s = monotonic_s
        self._lock = asyncio.Lock()
        self._now: str | Hold | Unavailable = ""
        self._good_until_s = float("-inf")

    async def token(self, spoiled: str = "") -> str | Hold | Unavailable:
        """A token that is not *spoiled*, or why there is none; a failure is kept a moment for all who wait."""
        async with self._lock:
            if self._monotonic_s() >= self._good_until_s or (spoiled and self._now == spoiled):
                self._now, life_s = await self._fetch()
                self._good_until_s = self._monotonic_s() + life_s
            return self._now

    async def aclose(self) -> None:
        """Close the connections."""
        await self._exchange.aclose()

    async def _fetch(self) -> tuple[str | Hold | Unavailable, float]:
        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_delay(_TOKEN_BUDGET_S) | tenacity.stop_after_attempt(4),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=1.0),
            retry=tenacity.retry_if_result(lambda reply: not isinstance(reply, Answered) or reply.status >= 500),
            retry_error_callback=_last,
        )
        reply: Reply = await retrying(self._exchange.ask, "POST", self._grant.path, data=self._form)
        match reply:
            case Answered(status=200, body=body):
                return self._granted(body)
            case Answered(status=429 | 503, headers=headers):
                wait_s = retry_after_s(headers, 60.0, clock.now())
                return Unavailable(wait_s, "token"), wait_s or _TOKEN_REST_S
            case Answered(status=status) if status < 500:
                return Hold("auth"), _TOKEN_REST_S
            case NotSent(reason=reason):
                return Hold(reason), _TOKEN_REST_S
            case _:
                return Unavailable(None, "token"), _TOKEN_REST_S

    def _granted(self, body: bytes) -> tuple[str | Hold, float]:
        try:
            answer = msgspec.json.decode(body, type=_TokenAnswer)
        except msgspec.MsgspecError:
            return Hold("contract"), _TOKEN_REST_S
        return answer.access_token, answer.expires_in - min(self._grant.refresh_before_s, answer.expires_in / 2)


def _form(grant: PasswordGrant | ClientCredentials, credentials: Mapping[str, str]) -> dict[str, str]:
    """What is posted for a token (RFC 6749, 4.3 and 4.4)."""
    form = {name: credentials[getattr(grant, name)] for name in ("client_id", "client_secret")}
    match grant:
        case PasswordGrant():
            people = {name: credentials[getattr(grant, name)] for name in ("username", "password")}
            return {"grant_type": "password"} | form | people
        case ClientCredentials(scope=scope):
            return {"grant_type": "client_credentials"} | form | ({"scope": scope} if scope else {})


class _TokenAnswer(msgspec.Struct):
    access_token: str
    expires_in: float = 300.0  # may be missing (RFC 6749, 5.1)


def _last(state: tenacity.RetryCallState) -> Reply:
    if state.outcome is None:
        raise AssertionError
    reply: Reply = state.outcome.result()
    return reply


class Door:
    """Asks with a token and sorts what comes back by the contract's table of HTTP statuses."""

    def __init__(self, contract: Contract, exchange: Exchange, keys: _Fixed | _Granted) -> None:
        self._contract = contract
        self._exchange = exchange
        self._keys = keys

    async def ask(self, method: str, path: str, **parts: Any) -> Answered | Turned:
        """Return the answer when it has something to read (`answers`, `not_found`), else what it amounts to."""
        token = await self._token()
        reply = await self._ask(method, path, token, parts)
        if isinstance(token, str) and isinstance(reply, Answered) and self._verdict(reply) == "auth":
            reply = await self._ask(method, path, await self._token(spoiled=token), parts)
        match reply:
            case Answered():
                return self._sorted(reply)
            case NotSent(reason=reason):
                return Turned(Hold(reason))
            case Lost(reason=reason):
                return Turned(Ambiguous(reason))
            case Unavailable(retry_after_s=wait_s):
                return Turned(reply, wait_s)
            case Hold():
                return Turned(reply)

    async def _token(self, spoiled: str = "") -> str | Hold | Unavailable:
        try:
            return await self._keys.token(spoiled)
        except asyncio.CancelledError as cancelled:
            raise asyncio.CancelledError(_UNSENT) from cancelled

    async def _ask(
        self,
        method: str,
        path: str,
        token: str | Hold | Unavailable,
        parts: Mapping[str, Any],
    ) -> Reply | Hold | Unavailable:
        if not isinstance(token, str):
            return token
        proof = {"authorization": f"Bearer {token}"} if token else {}
        headers = {**parts.get("headers", {}), **proof}
        return await self._exchange.ask(method, path, **{**parts, "headers": headers})

    def _verdict(self, reply: Answered) -> HttpVerdict:
        return self._contract.http.get(str(reply.status), self._contract.http_other)

    def _sorted(self, reply: Answered) -> Answered | Turned:
        wait_s = retry_after_s(reply.headers, self._contract.retry_after_cap_s, clock.now())
        verdict = self._verdict(reply)
        match verdict:
            case "answers" | "not_found":
                return reply
            case "slow_down" | "retry":
                return Turned(Unavailable(wait_s, str(reply.status)), wait_s)
            case "ambiguous":
                return Turned(Ambiguous(str(reply.status)), wait_s)
            case "auth" | "denied":
                return Turned(Hold(verdict))
            case "too_large" | "refused":
                return Turned(TooLarge() if verdict == "too_large" else RefusedWhole(f"HTTP-{reply.status}"))

    def is_found(self, reply: Answered) -> bool:
        """Whether the answer is not a plain "no such thing"."""
        return self._verdict(reply) != "not_found"

    async def aclose(self) -> None:
        """Close the connections."""
        await self._keys.aclose()
        await self._exchange.aclose()


def is_unsent(time_out: TimeoutError) -> bool:
    """Whether *time_out*, of an `asyncio.timeout` around `Door.ask`, struck while nothing of the request was under way.

    That context raises it from the cancellation by which it ended the request.
    """
    return isinstance(time_out.__cause__, asyncio.CancelledError) and _UNSENT in time_out.__cause__.args


def open_door(contract: Contract, url: str, credentials: Mapping[str, str], monotonic_s: Callable[[], float]) -> Door:
    """Open the way to the target at *url*; raises ConfigFaults when credentials are missing."""
    if faults := missing_credentials(contract, credentials):
        raise ConfigFaults(faults)
    times = contract.timeouts
    way = Way(
        url,
        times.connect_s,
        times.write_s,
        times.read_s,
        times.total_s,
        contract.concurrency + 1,  # one more, so that a token never waits behind the batches
        contract.max_answer_bytes,
        tls_of(contract, credentials),
    )
    exchange: Exchange = FastExchange(way) if contract.batch.records <= FAST_RECORDS else HttpxExchange(way)
    match contract.auth:
        case Bearer(token=token):
            return Door(contract, exchange, _Fixed(credentials[token]))
        case NoToken():
            return Door(contract, exchange, _Fixed(""))
        case PasswordGrant() | ClientCredentials() as grant:
            asking = HttpxExchange(replace(way, total_s=_TOKEN_TOTAL_S, connections=1))
            return Door(contract, exchange, _Granted(asking, grant, credentials, monotonic_s))
