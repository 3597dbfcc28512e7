"""What a person must look at, said aloud when it begins; the ledger's rows say it as long as it lasts."""

from typing import Final

from gateway.delivery.effects import Write
from gateway.delivery.values import NOT_PROCESSED, REVOKED
from gateway.edges.telemetry import logger

ALARMS: Final = frozenset({NOT_PROCESSED, REVOKED})
"""Reasons of a parked record that are more than its own trouble."""

log = logger(__name__)


def tell_alarms(write: Write, target: str, slot: int) -> None:
    """Log the alarms that *write* begins or ends."""
    if write.alarm:
        log.error("alarm", code=write.alarm, target=target, slot=slot)
    elif write.alarm is not None:
        log.info("alarm over", target=target, slot=slot)
    for park in write.parks:
        code = park.reasons[0].code
        if code in ALARMS and not park.step:
            log.error("alarm", code=code, target=target, slot=slot, record_id=park.entry.record_id)
