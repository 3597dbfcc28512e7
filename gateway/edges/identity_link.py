"""What every link of the resolver's chain can do: answer questions about people, all of one request or none of it.

One contract test runs on all of them, real and fake (``tests/contract/test_identity_links.py``):

- the answer has one finding a question, in their order; a person it does not know is a finding, not an error;
- what may be asked again as it is, is ``Unavailable``; what would end the same again is ``RefusedLookup``;
- nothing that a link raises, logs or prints repeats what was asked.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.identity.chain import Finding
from gateway.identity.verdicts import Claim
from gateway.outcomes import Unavailable

NOT_SENT: Final = frozenset({"dns", "tls", "outage", "clock", "token"})
"""Reasons of ``Unavailable`` that prove that nothing about a person left this machine."""


CONNECTIONS: Final = 4
"""Requests in flight at one link: a pool has as many, so that none waits for a connection."""


@dataclass(frozen=True, slots=True)
class RefusedLookup:
    """The link does not take, or cannot answer, these questions; a part of them it may."""

    reason: str


@dataclass(frozen=True, slots=True)
class Duty:
    """What the audit of a look-up names: why, on whose behalf, and where it was asked."""

    purpose: str
    officer: str
    endpoint: str


class Link(Protocol):
    """A register that knows people."""

    @property
    def duty(self) -> Duty:
        """For the audit of its look-ups."""

    @property
    def most(self) -> int:
        """Questions that one request takes."""

    async def ask(
        self, questions: Sequence[Claim], request_id: uuid.UUID
    ) -> Sequence[Finding] | Unavailable | RefusedLookup:
        """One finding for each of *questions*; *request_id* names this exchange, there and in our audit."""

    async def aclose(self) -> None:
        """Close the connections."""
