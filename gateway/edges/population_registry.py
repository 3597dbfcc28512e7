"""The population database over one configured hop (NDXP, LGSP, NDOP, direct): it confirms a person, it finds nobody.

The rules: every look-up names its officer and procedure and has a request id of its own; ID, name and birth date travel
in the body only.  The authorization hashes the time, so the upstream's clock is watched by its ``Date`` header: more
than the limit apart, and nothing about a person is sent until a request without one shows equal clocks again.
"""

import uuid
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

from gateway.config import PopulationLink
from gateway.edges import clock
from gateway.edges.exchange import Answered, Lost, NotSent, retry_after_s, way
from gateway.edges.exchange_httpx import HttpxExchange
from gateway.edges.identity_link import CONNECTIONS, Duty, RefusedLookup
from gateway.edges.population_pass import Pass, origin_and_path
from gateway.edges.population_soap import Unaskable, finding_of, request_of
from gateway.edges.target_contract import read_credentials
from gateway.edges.telemetry import logger
from gateway.errors import GatewayError
from gateway.identity.chain import Finding
from gateway.identity.verdicts import Claim
from gateway.outcomes import Unavailable

_MAX_REPLY_BYTES: Final = 256 * 1024
_RETRY_AFTER_CAP_S: Final = 300.0
_SAYS_SOMETHING: Final = frozenset({400, 413, 422})
"""Statuses about the question; every other error is about us, them, or now.  A fault travels with 500 (SOAP 1.1)."""

log = logger(__name__)


class PopulationRegistry:
    """The population database behind one hop.  Close it with ``aclose``."""

    def __init__(self, settings: PopulationLink, credentials: dict[str, str]) -> None:
        self.duty = Duty(settings.procedure_code, settings.officer_code, f"population:{settings.transport}")
        self.most = 1
        self._settings = settings
        origin, self._path = origin_and_path(settings.url)
        self._exchange = HttpxExchange(way(origin, settings.timeout_s, CONNECTIONS, _MAX_REPLY_BYTES))
        self._pass = Pass(settings, credentials)
        self._clocks_differ = False

    async def ask(
        self, questions: Sequence[Claim], request_id: uuid.UUID
    ) -> Sequence[Finding] | Unavailable | RefusedLookup:
        """Whether the person of the one question exists, or who answers to it."""
        content = request_of(questions[0], self._settings, request_id)
        if isinstance(content, Unaskable):
            return RefusedLookup("incomplete")
        if self._clocks_differ and not await self._clocks_agree():
            return Unavailable(None, "clock")
        shown = await self._pass.headers()
        if isinstance(shown, Unavailable):
            return shown
        headers = {
            "content-type": "text/xml; charset=utf-8",
            "soapaction": f'"{self._settings.soap_action}"',
            **self._settings.headers,
            **shown,
        }
        match await self._exchange.ask("POST", self._path, content=content, headers=headers):
            case Answered() as answered:
                self._watch(answered.headers)
                if answered.status == 401:
                    self._pass.refused()
                finding = _finding(answered)
                return finding if isinstance(finding, Unavailable | RefusedLookup) else [finding]
            case Lost(reason="size"):
                return RefusedLookup("size")
            case NotSent(reason=reason) | Lost(reason=reason):
                return Unavailable(None, reason)

    async def _clocks_agree(self) -> bool:
        """Look at the upstream's clock with a request that names nobody."""
        answer = await self._exchange.ask("HEAD", self._path, headers=self._settings.headers)
        if isinstance(answer, Answered):
            self._watch(answer.headers)
        return not self._clocks_differ

    def _watch(self, headers: Mapping[str, str]) -> None:
        try:
            theirs = parsedate_to_datetime(headers.get("date", "")).timestamp()
        except (TypeError, ValueError):
            return
        off_s = abs(theirs - clock.now_ms() / 1000)
        differ = off_s > self._settings.clock_limit_s
        if differ and not self._clocks_differ:
            log.error("clocks differ, look-ups wait", endpoint=self.duty.endpoint, off_s=round(off_s))
        self._clocks_differ = differ

    async def aclose(self) -> None:
        """Close the connections."""
        await self._exchange.aclose()
        await self._pass.aclose()


def _finding(answered: Answered) -> Finding | Unavailable | RefusedLookup:
    if answered.status == 200:
        return finding_of(answered.body)
    if answered.status == 500:
        fault = finding_of(answered.body)
        if fault == RefusedLookup("soap-client"):
            return fault
    if answered.status in _SAYS_SOMETHING:
        return RefusedLookup(f"HTTP-{answered.status}")
    return Unavailable(retry_after_s(answered.headers, _RETRY_AFTER_CAP_S, clock.now()), f"HTTP-{answered.status}")


def open_population(settings: PopulationLink) -> PopulationRegistry:
    """The link with its credentials; raises GatewayError for a file that lacks one."""
    credentials = read_credentials(Path(settings.credentials_file))
    wanted = {
        "timestamp_basic": ("user", "secret"),
        "api_key": ("api_key",),
        "oauth_client": ("client_id", "client_secret", *(["access_token"] if settings.access_token_header else [])),
    }[settings.auth]
    if settings.auth == "oauth_client" and not settings.token_url:
        message = "identity.links: auth oauth_client needs a token_url"
        raise GatewayError(message)
    missing = [name for name in wanted if not credentials.get(name)]
    if missing:
        message = f"{settings.credentials_file} lacks {', '.join(missing)} for identity.links"
        raise GatewayError(message)
    return PopulationRegistry(settings, credentials)
