"""The sector's pupil registry over HTTP: pupil codes in, candidates out, for the resolver beside identity's stream.

The rule: codes and people travel in bodies; each request names its purpose and has an id of its own (facts §10).
No look-up is half an answer.  What goes wrong is `Unavailable`, to be asked again as it is, or `RefusedLookup`, where
asking the same again would end the same; both with a word why.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from gateway.edges import clock
from gateway.edges.exchange import Answered, Lost, NotSent, retry_after_s, way
from gateway.edges.exchange_httpx import HttpxExchange
from gateway.edges.identity_link import CONNECTIONS, Duty, RefusedLookup
from gateway.identity.chain import People
from gateway.identity.verdicts import Claim
from gateway.outcomes import Unavailable

_PATH = "/api/pupils:lookup"
_MAX_ANSWER_BYTES = 4 * 1024 * 1024
_RETRY_AFTER_CAP_S = 300.0
_ABOUT_US_OR_NOW = frozenset({401, 403, 408, 429})
"""Client errors that say nothing about the codes: who asks, and when."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person the registry has under a pupil code; `birth_date` is YYYY-MM-DD or shorter. Never printed."""

    citizen_id: str | None = field(repr=False)
    full_name: str = field(repr=False)
    birth_date: str = field(repr=False)
    gender: str = field(repr=False)


class _Answer(msgspec.Struct):
    results: dict[str, list[Candidate]]


class PupilRegistry:
    """The registry at one address. Close it with `aclose`."""

    def __init__(self, url: str, token: str, duty: Duty, *, most: int = 100, timeout_s: float = 5.0) -> None:
        self.duty = duty
        self.most = most
        self._token = token
        self._exchange = HttpxExchange(way(url, timeout_s, CONNECTIONS, _MAX_ANSWER_BYTES))
        self._decoder = msgspec.json.Decoder(_Answer)

    async def ask(
        self, questions: Sequence[Claim], request_id: uuid.UUID
    ) -> list[People] | Unavailable | RefusedLookup:
        """Who stands behind the pupil code of each of *questions*."""
        answer = await self.lookup([question.pupil_code for question in questions], request_id)
        if isinstance(answer, Unavailable | RefusedLookup):
            return answer
        return [People(tuple(answer[question.pupil_code])) for question in questions]

    async def lookup(
        self, codes: Sequence[str], request_id: uuid.UUID
    ) -> dict[str, list[Candidate]] | Unavailable | RefusedLookup:
        """Who stands behind each of *codes*: every code is a key of the answer, with none, one or several people.

        *request_id* names this one exchange, there and in our audit.
        """
        body = {"pupil_codes": list(codes), "purpose": self.duty.purpose, "request_id": str(request_id)}
        headers = {"content-type": "application/json", "authorization": f"Bearer {self._token}"}
        match await self._exchange.ask("POST", _PATH, content=msgspec.json.encode(body), headers=headers):
            case Answered(status=200, body=answer):
                return self._read(answer, codes)
            case Answered(status=status) if 400 <= status < 500 and status not in _ABOUT_US_OR_NOW:
                return RefusedLookup(f"HTTP-{status}")
            case Answered(status=status, headers=headers_back):
                return Unavailable(retry_after_s(headers_back, _RETRY_AFTER_CAP_S, clock.now()), f"HTTP-{status}")
            case Lost(reason="size"):
                return RefusedLookup("size")
            case NotSent(reason=reason) | Lost(reason=reason):
                return Unavailable(None, reason)

    def _read(self, answer: bytes, codes: Sequence[str]) -> dict[str, list[Candidate]] | RefusedLookup:
        try:
            results = self._decoder.decode(answer).results
        except msgspec.MsgspecError:
            return RefusedLookup("unreadable")
        if any(code not in results for code in codes):
            return RefusedLookup("incomplete")
        return {code: results[code] for code in codes}

    async def aclose(self) -> None:
        """Close the connections."""
        await self._exchange.aclose()
