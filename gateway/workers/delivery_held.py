"""Why a slot's target is held, told to operators: a line in the log when it changes, and the alarm of the slot's row.

An expired password looks like silence otherwise.  TG-07, which the machine raises, stands in the same column and is
never written over: whoever is refused everything got through to the target.
"""

import asyncio
from typing import Final

from gateway.edges.bell import rings
from gateway.edges.delivery_ledger import DeliveryLedger
from gateway.edges.ledger import hold_while_down
from gateway.edges.telemetry import logger
from gateway.outcomes import CODE_OF_HOLD, HoldReason
from gateway.workers.delivery_heard import Heard, hold_of, shows_open

AGAIN_S: Final = 30.0
"""TG-07 may have stood in the way: what is still true is written again."""

log = logger(__name__)


class Held:
    """What holds the target of one slot, as its answers tell.

    Kept for each kind of request: a portal may deny uploads and answer polls all the while.
    """

    def __init__(self, ledger: DeliveryLedger, target: str, slot: int) -> None:
        self._ledger = ledger
        self._target = target
        self._slot = slot
        self._reasons: dict[type[Heard], HoldReason] = {}
        self._told: HoldReason | None = None
        self._changed = asyncio.Event()

    @property
    def code(self) -> str:
        """The catalogue's code of what holds the target; empty: nothing."""
        return CODE_OF_HOLD[self._told] if self._told is not None else ""

    def hear(self, event: Heard) -> None:
        """Learn from an answer, and log what changed."""
        if (hold := hold_of(event)) is not None:
            self._reasons[type(event)] = hold.reason
        elif self._reasons and shows_open(event):
            self._reasons.pop(type(event), None)
        reason = next(iter(self._reasons.values()), None)
        if reason != self._told:
            self._told = reason
            self._changed.set()
            self._log()

    def _log(self) -> None:
        if self._told is None:
            log.info("target no longer held", target=self._target, slot=self._slot)
        else:
            log.warning("target held", target=self._target, slot=self._slot, reason=self._told, code=self.code)

    async def keep(self) -> None:
        """Write it into the slot's row, for ever."""
        while True:
            await hold_while_down(lambda: self._ledger.tell_held(self.code), "alarm")
            await rings(self._changed, AGAIN_S)
            self._changed.clear()
