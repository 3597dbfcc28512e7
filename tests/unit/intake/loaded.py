"""The repository's connectors, compiled once for all tests, and short ways to feed them."""

import random
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from gateway.edges.connector_files import load_connectors
from gateway.intake import Connector, Duplicate, Items, Mapped, Rejected
from gateway.record import Position
from gateway.sandbox.payloads import Pupil, hocba_xml, synthetic_pupil, vnedu_message, vnedu_row

ROOT = Path(__file__).resolve().parents[3]
CONNECTORS = ROOT / "connectors"
PLACE = Position("vendor.test.records", 3, 17)
PUBLISHED_MS = 1_780_272_000_000
"""1 June 2026, 07:00 in Vietnam."""


@cache
def connectors() -> dict[str, Connector]:
    """Name → connector."""
    return load_connectors(CONNECTORS)


def vnedu() -> Connector:
    """The flat JSON connector."""
    return connectors()["vnedu_flat_thcs"]


def xml() -> Connector:
    """The học bạ XML connector."""
    return connectors()["hocba_xml_primary"]


def secondary(number: int = 1) -> Pupil:
    """A synthetic lower secondary pupil."""
    return synthetic_pupil(random.Random(number), level="secondary", number=number)


def primary(number: int = 1, *, grade: int | None = None) -> Pupil:
    """A synthetic primary pupil, of *grade* when given."""
    seed = number
    while True:
        pupil = synthetic_pupil(random.Random(seed), level="primary", number=number)
        if grade in {None, pupil.grade}:
            return pupil
        seed += 1_000


def row(number: int = 1, /, **changes: Any) -> dict[str, Any]:
    """A clean vnEdu row with *changes*."""
    return vnedu_row(secondary(number), version=1) | changes


def document(number: int = 1, *, grade: int | None = None) -> str:
    """A clean học bạ XML as text."""
    return hocba_xml(primary(number, grade=grade), version=1).decode()


def items(*rows: dict[str, Any]) -> tuple[Mapped | Rejected | Duplicate, ...]:
    """What vnEdu rows in one message become."""
    outcome = vnedu().process(vnedu_message(list(rows)), PLACE, PUBLISHED_MS)
    assert isinstance(outcome, Items), outcome
    return outcome.items


def mapped(*rows: dict[str, Any]) -> Mapped:
    """The first item, which must be mapped."""
    first = items(*rows)[0]
    assert isinstance(first, Mapped), first
    return first


def rejected(*rows: dict[str, Any]) -> Rejected:
    """The first item, which must be rejected."""
    first = items(*rows)[0]
    assert isinstance(first, Rejected), first
    return first


def from_xml(text: str) -> Mapped | Rejected | Duplicate:
    """What one XML document becomes."""
    outcome = xml().process(text.encode(), PLACE, PUBLISHED_MS)
    assert isinstance(outcome, Items), outcome
    return outcome.items[0]


def codes(found: Mapped | Rejected | Duplicate) -> list[str]:
    """``code:field`` of all findings."""
    problems = (*found.holds, *found.warnings) if isinstance(found, Mapped) else found.problems
    return [f"{problem.code}:{problem.field}" for problem in problems]


def json_of(value: object) -> bytes:
    """*value* as JSON."""
    return msgspec.json.encode(value)
