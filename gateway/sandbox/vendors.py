"""The synthetic vendors: a seeded script of everything they will send, full width, realistic and messy.

    pupils ──histories──► steps ──► messages by wave ──► publisher.py writes them and the vendors' own file

The same seed, number of records and slots give the same script, byte for byte.  All events of a pupil go through one
partition (that of its class), so that a history keeps its order; payloads are rendered when they are sent, not kept.
"""

import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from gateway.record import record_id, vendor_topic
from gateway.sandbox.histories import History, Standing, Step, Wave, choose
from gateway.sandbox.messes import Plant
from gateway.sandbox.payloads import VENDOR_OF_LEVEL, hocba_xml, vnedu_message, vnedu_row
from gateway.sandbox.people import Level, Pupil, synthetic_pupil
from gateway.sandbox.spoil import BROKEN_ROWS, BROKEN_XML, ROWS, XML, unreadable

SCHOOL_YEAR: Final = "2025-2026"
EARLIER_YEAR: Final = "2024-2025"
PROGRAMME: Final = "GDPT"
CLASS_SIZE: Final = 30
SECONDARY_SHARE: Final = 0.6
BATCHED_CLASSES: Final = 0.7
CONTENT_BASE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Item:
    """One pupil record of one event, as planned."""

    pupil: Pupil
    history: History
    step: Step
    mess: str

    @property
    def vendor(self) -> str:
        """Who sends it."""
        return VENDOR_OF_LEVEL[self.pupil.level]

    @property
    def school_year(self) -> str:
        """The year the record is about."""
        return EARLIER_YEAR if self.step.earlier_year else SCHOOL_YEAR

    @property
    def record_id(self) -> str:
        """The record's id by design rule 3; empty where the message does not tell it."""
        if self.step.plant is Plant.UNREADABLE:
            return ""
        temporary = self.mess == "temporary_code"
        code = f"TAM-{self.pupil.citizen_id}" if temporary else self.pupil.pupil_code
        return record_id(code, self.school_year, PROGRAMME)


@dataclass(frozen=True, slots=True)
class Message:
    """One Kafka message; *at* orders the messages of a wave."""

    at: float
    partition: int
    items: tuple[Item, ...] = field(repr=False)

    @property
    def topic(self) -> str:
        """Where its vendor publishes."""
        return vendor_topic(self.items[0].vendor, "records")

    @property
    def key(self) -> bytes:
        """The pupil's code; of a batch, the class."""
        pupil = self.items[0].pupil
        if len(self.items) > 1:
            return f"{pupil.school_code}/{pupil.class_name}".encode()
        return pupil.pupil_code.encode()

    def render(self) -> bytes:
        """The payload's bytes."""
        whole = _render_rows(self.items) if self.items[0].pupil.level == "secondary" else _render_xml(self.items[0])
        return unreadable(whole) if self.items[0].step.plant is Plant.UNREADABLE else whole


def _render_rows(items: Sequence[Item]) -> bytes:
    return vnedu_message([ROWS[item.mess](_row(item)) for item in items])


def _row(item: Item) -> dict[str, Any]:
    step = item.step
    marks = CONTENT_BASE + step.content
    return vnedu_row(item.pupil, version=step.order, event=step.op, school_year=item.school_year, marks=marks)


def _render_xml(item: Item) -> bytes:
    step = item.step
    marks = CONTENT_BASE + step.content
    clean = hocba_xml(item.pupil, version=step.order, event=step.op, school_year=item.school_year, marks=marks)
    return XML[item.mess](clean.decode()).encode()


@dataclass(frozen=True, slots=True)
class Script:
    """Everything that a run's vendors and registry will do."""

    waves: dict[Wave, list[Message]]
    registry: list[dict[str, Any]]
    mended: list[dict[str, Any]]
    """Registry entries that appear in the repair."""
    refused: tuple[str, ...]
    """``record id@national version`` that every target refuses by its own rules."""

    def events(self, wave: Wave) -> int:
        """How many pupil records a wave sends."""
        return sum(len(message.items) for message in self.waves[wave])


def write_script(records: int, seed: int, slots: int) -> Script:
    """The script of a run of at least *records* events before the repair."""
    dice = Random(f"vendors|{seed}")  # seeded dice for synthetic data
    people = [(_pupil(number, dice), history) for number, history in enumerate(choose(records, dice))]
    waves: dict[Wave, list[Message]] = {wave: [] for wave in Wave}
    started = _first_steps(people, slots, dice, waves)
    for pupil, history in people:
        _later_steps(pupil, history, started[pupil.pupil_code], slots, dice, waves)
    for messages in waves.values():
        messages.sort(key=lambda message: message.at)
    return Script(
        waves=waves,
        registry=[entry for pupil, history in people for entry in _entries(pupil, history.standing)],
        mended=[registry_entry(pupil) for pupil, history in people if history.mended_entry],
        refused=tuple(_refused(people)),
    )


def _pupil(number: int, dice: Random) -> Pupil:
    level: Level = "secondary" if dice.random() < SECONDARY_SHARE else "primary"
    return synthetic_pupil(dice, level=level, number=number)


def _item(pupil: Pupil, history: History, step: Step, dice: Random) -> Item:
    mess = step.mess
    if mess == "?":
        mess = dice.choice(sorted(BROKEN_ROWS if pupil.level == "secondary" else BROKEN_XML))
    return Item(pupil, history, step, mess)


def _partition(pupil: Pupil, slots: int) -> int:
    return zlib.crc32(f"{pupil.school_code}/{pupil.class_name}".encode()) % slots


def _first_steps(
    people: Sequence[tuple[Pupil, History]], slots: int, dice: Random, waves: dict[Wave, list[Message]]
) -> dict[str, float]:
    """Put every pupil's first step into a message, alone or with its class; when each was sent, by pupil code."""
    classes: dict[tuple[str, str], list[Item]] = defaultdict(list)
    started: dict[str, float] = {}
    for pupil, history in people:
        item = _item(pupil, history, history.steps[0], dice)
        if history.batched and pupil.level == "secondary":
            classes[pupil.school_code, pupil.class_name].append(item)
        else:
            at = dice.uniform(0, 0.75)
            waves[item.step.wave].append(Message(at, _partition(pupil, slots), (item,)))
            started[pupil.pupil_code] = at
    for room in classes.values():
        for items in _batches(room, together=dice.random() < BATCHED_CLASSES):
            at = dice.uniform(0, 0.7)
            waves[Wave.MAIN].append(Message(at, _partition(items[0].pupil, slots), items))
            started |= {item.pupil.pupil_code: at for item in items}
    return started


def _batches(items: Sequence[Item], *, together: bool) -> Iterator[tuple[Item, ...]]:
    size = CLASS_SIZE if together else 1
    for start in range(0, len(items), size):
        yield tuple(items[start : start + size])


def _later_steps(
    pupil: Pupil, history: History, at: float, slots: int, dice: Random, waves: dict[Wave, list[Message]]
) -> None:
    for step in history.steps[1:]:
        at = dice.uniform(at, 1.0) + 1e-6  # after the step before it, also in the order of the wave
        waves[step.wave].append(Message(at, _partition(pupil, slots), (_item(pupil, history, step, dice),)))


def _entries(pupil: Pupil, standing: Standing) -> list[dict[str, Any]]:
    entry = registry_entry(pupil)
    match standing:
        case Standing.KNOWN:
            return [entry]
        case Standing.UNKNOWN:
            return []
        case Standing.OTHER_NAME:
            return [entry | {"full_name": f"{pupil.full_name} Khác"}]
        case Standing.OTHER_BIRTH:
            return [entry | {"birth_date": pupil.birth_date.replace(year=pupil.birth_date.year - 1, day=1).isoformat()}]
        case Standing.TWICE:
            return [entry, entry | {"citizen_id": pupil.citizen_id[:6] + "888" + pupil.citizen_id[9:]}]
        case Standing.WITHOUT_ID:
            return [entry | {"citizen_id": None}]


def registry_entry(pupil: Pupil) -> dict[str, Any]:
    """The pupil as the registry has it, when all is well."""
    """The registry's entry of a pupil, as `/admin/pupils` takes it."""
    return {
        "pupil_code": pupil.pupil_code,
        "full_name": pupil.full_name,
        "birth_date": pupil.birth_date.isoformat(),
        "gender": pupil.gender,
        "citizen_id": pupil.citizen_id,
    }


def _refused(people: Sequence[tuple[Pupil, History]]) -> Iterator[str]:
    """A refused step is its record's first, so it is national version 1."""
    for pupil, history in people:
        for step in history.steps:
            if step.plant is Plant.REFUSED:
                year = EARLIER_YEAR if step.earlier_year else SCHOOL_YEAR
                yield f"{record_id(pupil.pupil_code, year, PROGRAMME)}@1"
