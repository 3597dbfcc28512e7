"""What happens to one synthetic pupil's record at its vendor: a few typical histories, each a row of steps.

A history is chosen by shares, with a least number each, so that the smallest run still meets every one.  Steps of one
history go through one partition in their order; what comes *late* is sent when the first steps are settled, what
comes *in repair* after the first reckoning.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

from gateway.record import Op
from gateway.sandbox.messes import Plant


class Wave(StrEnum):
    """When a step is sent."""

    MAIN = "main"
    LATE = "late"
    """After the refusals that it builds on are known."""
    DOWN = "down"
    """While the pupil registry does not answer."""
    REPAIR = "repair"


class Standing(StrEnum):
    """How the pupil stands in the registry at first."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    OTHER_NAME = "other_name"
    OTHER_BIRTH = "other_birth"
    TWICE = "twice"
    WITHOUT_ID = "without_id"


@dataclass(frozen=True, slots=True)
class Step:
    """One event of a history: *order* is the vendor's version, *content* tells contents apart, *mess* is applied."""

    plant: Plant
    order: int
    op: Op = Op.NEW
    content: int = 0
    mess: str = ""
    wave: Wave = Wave.MAIN
    earlier_year: bool = False


@dataclass(frozen=True, slots=True)
class History:
    """A typical course of events; *per_mille* of the pupils and at least *least* of them have it."""

    name: str
    per_mille: int
    least: int
    steps: tuple[Step, ...]
    standing: Standing = Standing.KNOWN
    mended_entry: bool = False
    """Whether the registry's entry is put right in the repair."""
    batched: bool = False
    """Whether the first step may travel in a message with others."""


_V1: Final = Step(Plant.CLEAN, 1)
_MENDED: Final = Step(Plant.MENDED, 2, Op.UPDATE, content=2, wave=Wave.REPAIR)

HISTORIES: Final = (
    History("clean", 0, 0, (_V1,), batched=True),
    History("corrected", 50, 4, (_V1, Step(Plant.CLEAN, 2, Op.UPDATE, content=1)), batched=True),
    History("repeated", 15, 3, (_V1, Step(Plant.REPEATED, 1)), batched=True),
    History("late", 10, 3, (Step(Plant.CLEAN, 2, Op.UPDATE, content=1), Step(Plant.LATE, 1))),
    History("conflict", 3, 2, (_V1, Step(Plant.CONFLICT, 1, content=1), _MENDED)),
    History("cancelled", 10, 3, (_V1, Step(Plant.CANCEL, 2, Op.CANCEL, wave=Wave.LATE)), batched=True),
    History("cancelled at once", 3, 2, (_V1, Step(Plant.CANCEL, 2, Op.CANCEL))),
    History("cancel of nothing sent", 2, 2, (Step(Plant.CANCEL_UNKNOWN, 1, Op.CANCEL),)),
    History("cancel of nothing sent, then sent", 2, 1, (Step(Plant.CANCEL_UNKNOWN, 1, Op.CANCEL), _MENDED)),
    History(
        "refused, then cancelled",
        1,
        2,
        (Step(Plant.REFUSED, 1), Step(Plant.CANCEL_UNDELIVERED, 2, Op.CANCEL, wave=Wave.LATE)),
    ),
    History("refused, then corrected", 2, 2, (Step(Plant.REFUSED, 1), _MENDED)),
    History(
        "refused, another year behind it",
        1,
        2,
        (
            Step(Plant.REFUSED, 1, earlier_year=True),
            Step(Plant.BEHIND, 1),
            Step(Plant.MENDED, 2, Op.UPDATE, content=2, wave=Wave.REPAIR, earlier_year=True),
        ),
    ),
    History("broken", 12, 8, (Step(Plant.BROKEN, 1, mess="?"),), batched=True),
    History(
        "broken, then corrected",
        8,
        4,
        (Step(Plant.BROKEN, 1, mess="?"), Step(Plant.MENDED, 2, Op.UPDATE, content=1)),
        batched=True,
    ),
    History("unreadable", 2, 2, (Step(Plant.UNREADABLE, 1),)),
    History("other vendor's school", 2, 2, (Step(Plant.FOREIGN_SCHOOL, 1, mess="foreign_school"),)),
    History("no ID in the event", 6, 2, (Step(Plant.CLEAN, 1, mess="no_id"),), batched=True),
    History("ID without its zeros", 4, 2, (Step(Plant.CLEAN, 1, mess="short_id"),), batched=True),
    History("dummy ID", 2, 2, (Step(Plant.HELD, 1, mess="dummy_id"), _MENDED)),
    History("temporary code", 2, 2, (Step(Plant.HELD, 1, mess="temporary_code"),)),
    History("untidy", 60, 6, (Step(Plant.CLEAN, 1, mess="untidy"),), batched=True),
    History("overstated level", 20, 3, (Step(Plant.CLEAN, 1, mess="overstated"),), batched=True),
    History("name without diacritics", 15, 3, (Step(Plant.CLEAN, 1, mess="plain_name"),), batched=True),
    History("unknown", 5, 3, (Step(Plant.UNKNOWN_PUPIL, 1),), Standing.UNKNOWN, mended_entry=True),
    History("unknown for good", 2, 2, (Step(Plant.UNKNOWN_PUPIL, 1),), Standing.UNKNOWN),
    History("other name", 3, 2, (Step(Plant.DIFFERS, 1),), Standing.OTHER_NAME, mended_entry=True),
    History("other birth date", 3, 2, (Step(Plant.DIFFERS, 1),), Standing.OTHER_BIRTH, mended_entry=True),
    History("two under one code", 2, 2, (Step(Plant.SEVERAL, 1),), Standing.TWICE, mended_entry=True),
    History("pupil without ID", 2, 2, (Step(Plant.NO_ID, 1, mess="no_id"),), Standing.WITHOUT_ID, mended_entry=True),
    History("while the registry is down", 2, 5, (Step(Plant.WHILE_DOWN, 1, wave=Wave.DOWN),)),
)
CLEAN: Final = HISTORIES[0]
PUT_RIGHT: Final = frozenset(history.name for history in HISTORIES if history.mended_entry)
"""Histories whose registry entry is put right in the repair."""


def choose(records: int, dice: Random) -> Iterator[History]:
    """Histories, mixed, whose steps before the repair are at least *records* events."""
    chosen = [
        history for history in HISTORIES[1:] for _ in range(max(history.least, records * history.per_mille // 1000))
    ]
    events = sum(len(_before_repair(history)) for history in chosen)
    chosen += [CLEAN] * max(0, records - events)
    dice.shuffle(chosen)
    yield from chosen


def _before_repair(history: History) -> list[Step]:
    return [step for step in history.steps if step.wave is not Wave.REPAIR]
