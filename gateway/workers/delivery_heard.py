"""What an answer says of the target as a whole, beside what it says of its records."""

from collections.abc import Sequence

from gateway.delivery.events import Answered, Polled, Submitted, Uploaded
from gateway.delivery.flights import is_success
from gateway.outcomes import (
    AlreadyThere,
    Ambiguous,
    Hold,
    Landed,
    PollAnswer,
    Receipt,
    TooLarge,
    Unavailable,
    Verdicts,
    Whole,
)

Heard = Answered | Uploaded | Submitted | Polled


def took(event: Heard) -> bool:
    """Whether the answer shows that the target takes records at all."""
    match event:
        case Answered(answer=answer):
            return any(is_success(outcome) for outcome in answer.answers.values())
        case Uploaded():
            return False
        case Submitted(answer=receipt):
            return isinstance(receipt, Landed)
        case Polled(answer=said):
            return isinstance(said, Verdicts)


def slow_down_s(event: Heard) -> float | None:
    """How long the target wants to be left alone, for all slots; None: it does not say."""
    asked = event.answer.slow_down_s if isinstance(event, Answered) else None
    waits = [said.retry_after_s for said in _said(event) if isinstance(said, Unavailable)]
    return max((wait_s for wait_s in (asked, *waits) if wait_s is not None), default=None)


def hold_of(event: Heard) -> Hold | None:
    """Why nothing will be taken until it is mended, if the answer says so."""
    return next((said for said in _said(event) if isinstance(said, Hold)), None)


def _said(event: Heard) -> Sequence[Whole | Receipt | PollAnswer | None]:
    match event:
        case Answered(answer=answer):
            return [answer.whole]
        case Uploaded(answers=answers):
            return [*answers.values()]
        case Submitted(answer=receipt):
            return [receipt]
        case Polled(answer=said):
            return [said]


def shows_open(event: Heard) -> bool:
    """Whether the target itself spoke, so that nothing stands between it and us any more."""
    match event:
        case Answered(answer=answer):
            return bool(answer.answers) if answer.whole is None else _is_theirs(answer.whole)
        case Uploaded(answers=answers):
            return any(isinstance(receipt, Landed | AlreadyThere) for receipt in answers.values())
        case Submitted(answer=said) | Polled(answer=said):
            return _is_theirs(said)


def _is_theirs(said: Whole | Receipt | PollAnswer) -> bool:
    """Our own limits and time-outs come in the same classes; an HTTP status is the target's word."""
    match said:
        case Hold() | TooLarge():
            return False
        case Unavailable(reason=word) | Ambiguous(reason=word):
            return word.isdecimal()
        case _:
            return True
