"""How long an answer is believed, by what it says.

    confirmed                    long; asked again in the background before it expires
    everything else              short: people correct, registries fill
    an error                     never kept: it is no answer
    confirmed, expired, and the  served for a while longer, flagged as stale
    register is down

Answers of one busy week would all expire in one week a year later: the moment of the refresh is spread over its window
by the claim's hash, so that the register is asked evenly.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gateway.identity.verdicts import Confirmed, Verdict


@dataclass(frozen=True, slots=True)
class Kept:
    """A verdict and the instant it stops being believed."""

    verdict: Verdict
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """By kind of answer; *stale* is the grace after *confirmed* while a register is down."""

    confirmed: timedelta
    refresh: timedelta
    negative: timedelta
    stale: timedelta

    def kept(self, verdict: Verdict, now: datetime) -> Kept:
        """*verdict*, answered now."""
        return Kept(verdict, now + (self.confirmed if isinstance(verdict, Confirmed) else self.negative))

    def usable(self, kept: Kept, now: datetime, *, down: bool) -> Verdict | None:
        """What may be believed of *kept* now; *down*: nobody can be asked."""
        if kept.expires_at > now:
            return kept.verdict
        if down and isinstance(kept.verdict, Confirmed) and kept.expires_at + self.stale > now:
            return replace(kept.verdict, stale=True)
        return None

    def is_due(self, kept: Kept, claim_hash: bytes, now: datetime) -> bool:
        """Whether a believed answer should be asked for again."""
        if not isinstance(kept.verdict, Confirmed):
            return False
        spread = int.from_bytes(claim_hash[:2]) / 65536
        return now >= kept.expires_at - self.refresh * (1 - spread / 2)
