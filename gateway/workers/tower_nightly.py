"""What the tower does for identity by its crontab, on the leader: ask again about pupils not found, empty old rows.

Safe to repeat and to miss: a run that was cut off is made good by the next one.
"""

from datetime import timedelta
from typing import Final

from gateway.config import Config
from gateway.edges import clock, ledger
from gateway.edges.identity_recheck import Wish, expire_bodies, recheck_within
from gateway.edges.ledger import Pool
from gateway.edges.telemetry import logger

REASON: Final = "nightly re-check"
BY: Final = "tower"

log = logger(__name__)


class Nightly:
    """The nightly work of one tower."""

    def __init__(self, config: Config, pool: Pool) -> None:
        self._settings = config.identity
        self._pool = pool

    async def run(self) -> None:
        """Order re-checks as far as there is room, and empty rows that were closed long ago."""
        settings, now = self._settings, clock.now()
        wish = Wish(REASON, BY, now - timedelta(hours=settings.recheck_rest_hours))
        ordered = await ledger.hold_while_down(
            lambda: recheck_within(self._pool, wish, settings.waiting_high_water), "nightly re-check"
        )
        kept = timedelta(days=settings.closed_body_days)
        emptied = await ledger.hold_while_down(lambda: expire_bodies(self._pool, now, kept), "closed bodies")
        log.info("nightly work of identity", rechecks_ordered=ordered, bodies_emptied=emptied)
