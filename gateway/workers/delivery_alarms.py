"""What a person must look at, said aloud when it begins; the ledger's rows say it as long as it lasts."""

from typing import Final

from gateway.delivery.effects import Write
from gateway.delivery.events import Answered, Polled, Submitted
from gateway.delivery.flights import is_success
from gateway.delivery.values import NOT_PROCESSED, REVOKED
from gateway.edges.telemetry import logger
from gateway.outcomes import Landed, Verdicts

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


def took(event: Answered | Submitted | Polled) -> bool:
    """Whether the answer shows that the target takes records at all."""
    match event:
        case Answered(answer=answer):
            return any(is_success(outcome) for outcome in answer.answers.values())
        case Submitted(answer=receipt):
            return isinstance(receipt, Landed)
        case Polled(answer=said):
            return isinstance(said, Verdicts)
