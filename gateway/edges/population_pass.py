"""How a hop to the population database learns who asks: a timed digest, an API key, or an OAuth 2 client token.

The rule: a hop is replaced by configuration alone (facts sections 8.3, 8.4).  What it takes to get a token says nothing
about a person, so a look-up that waits for one was not sent.
"""

import asyncio
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import msgspec

from gateway.config import PopulationLink
from gateway.edges import clock
from gateway.edges.exchange import Answered, retry_after_s, way
from gateway.edges.exchange_httpx import HttpxExchange
from gateway.edges.population_soap import authorization
from gateway.outcomes import Unavailable

REASON: Final = "token"
EARLY_S: Final = 30.0
_RETRY_AFTER_CAP_S: Final = 300.0
_MAX_ANSWER_BYTES: Final = 64 * 1024


def origin_and_path(url: str) -> tuple[str, str]:
    """``scheme://host`` and the rest of *url*."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}", urlunsplit(("", "", parts.path or "/", parts.query, ""))


class _Answer(msgspec.Struct):
    access_token: str
    expires_in: float = 300.0


class Pass:
    """The headers that prove who asks; a token is fetched once for all, kept until shortly before its end."""

    def __init__(self, settings: PopulationLink, credentials: dict[str, str]) -> None:
        self._settings = settings
        self._credentials = credentials
        origin, self._path = origin_and_path(settings.token_url or settings.url)
        self._exchange = HttpxExchange(way(origin, settings.timeout_s, 1, _MAX_ANSWER_BYTES))
        self._token = ""
        self._ends_at_s = 0.0
        self._one_at_a_time = asyncio.Lock()

    async def headers(self) -> dict[str, str] | Unavailable:
        """What goes with a request now."""
        if self._settings.auth != "oauth_client":
            return authorization(self._settings, self._credentials, clock.now_ms())
        async with self._one_at_a_time:
            if self._ends_at_s <= clock.monotonic_s() and (missing := await self._fetch()):
                return missing
        extra = self._settings.access_token_header
        more = {extra: self._credentials["access_token"]} if extra else {}
        return {"Authorization": f"Bearer {self._token}", **more}

    def refused(self) -> None:
        """The upstream does not take it: the next request fetches another token."""
        self._ends_at_s = 0.0

    async def aclose(self) -> None:
        """Close the connection to where tokens come from."""
        await self._exchange.aclose()

    async def _fetch(self) -> Unavailable | None:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._credentials["client_id"],
            "client_secret": self._credentials["client_secret"],
        }
        answer = await self._exchange.ask("POST", self._path, data=form)
        if not isinstance(answer, Answered):
            return Unavailable(None, REASON)
        try:
            granted = msgspec.json.decode(answer.body, type=_Answer) if answer.status == 200 else None
        except msgspec.MsgspecError:
            granted = None
        if granted is None:
            return Unavailable(retry_after_s(answer.headers, _RETRY_AFTER_CAP_S, clock.now()), REASON)
        self._token = granted.access_token
        self._ends_at_s = clock.monotonic_s() + granted.expires_in - min(EARLY_S, granted.expires_in / 2)
        return None
