"""Values of gateway.mapped for a stage that writes many from one place: what never changes there is written once.

    prefix  event_id  record_id  lane │ vendor connector │ refs  type  order │ school │ time │ source │ hash  claim …
                                        once a place                           few

The bytes are those of `codec.encode_mapped` (a property test holds it, so a new MappedHead shows there).  What is not
plainly right raises one of `writer.MISFITS`, and the caller lets the codec decide.  Hot path: tuples and bytes.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from gateway.errors import Problem
from gateway.national import codec
from gateway.national.writer import EMPTY, END, LENGTH, NULL, SOME, VALUE, Misfit, long_bytes

_TYPES: Final[Mapping[str, bytes]] = {"NEW": long_bytes(0), "UPDATE": long_bytes(1), "CANCEL": long_bytes(2)}
_FLAGS: Final = (b"\x00", b"\x01")


class Place(NamedTuple):
    """The constant bytes of one connector's records from one partition."""

    start: bytes
    sender: bytes
    source: bytes


class Ids(NamedTuple):
    """What names one record, as bytes of its texts."""

    event: bytes
    record: bytes
    lane: bytes
    content_hash: bytes
    trace: bytes


class Spot(NamedTuple):
    """Where and when the vendor's message stood in its partition, and the id that the vendor gave it."""

    offset: int
    timestamp: int
    vendor_event_id: str | None


def place(vendor: str, connector: str, topic: str, partition: int) -> Place:
    """The constants of *connector* (its label) for a partition of its topic."""
    return Place(codec.mapped_prefix(), _text(vendor) + _text(connector), _text(topic) + long_bytes(partition))


def mapped_value(
    where: Place,
    spot: Spot,
    ids: Ids,
    item: Any,
    body: bytes,
    evidence: bytes,
) -> bytes:
    """The value of the intake outcome *item* (`Mapped`); *body* and *evidence* with their union branches."""
    event, record, lane, content_hash, trace = ids
    order, claim = item.source_order, item.claim
    offset, timestamp, vendor_event_id = spot
    return EMPTY.join((
        where.start,
        LENGTH[len(event)], event,
        LENGTH[len(record)], record,
        LENGTH[len(lane)], lane,
        where.sender,
        NULL if item.vendor_ref is None else _some(item.vendor_ref),
        NULL if vendor_event_id is None else _some(vendor_event_id),
        _TYPES[item.event_type],
        long_bytes(order.epoch), long_bytes(order.order),
        _school(item.school_code, item.school_year, item.programme, item.grade),
        long_bytes(item.occurred_at_ms),
        where.source, long_bytes(offset), long_bytes(item.index), long_bytes(timestamp),
        LENGTH[len(content_hash)], content_hash,
        NULL if claim is None else _claim(claim),
        _findings(item.holds) if item.holds else END,
        _findings(item.warnings) if item.warnings else END,
        NULL,
        SOME[len(trace)], trace,
        body,
        evidence,
    ))  # fmt: skip


def _text(text: str) -> bytes:
    raw = text.encode()
    return LENGTH[len(raw)] + raw


def _some(text: str) -> bytes:
    raw = text.encode()
    return SOME[len(raw)] + raw


@lru_cache(maxsize=4_096)
def _school(code: str, year: str, programme: str, grade: str | None) -> bytes:
    return _text(code) + _text(year) + _text(programme) + (NULL if grade is None else _some(grade))


@lru_cache(maxsize=4_096)
def _origin(gender: str, nationality: str) -> bytes:
    return _text(gender) + _text(nationality)


def _claim(claim: Any) -> bytes:
    if claim.temporary_code.__class__ is not bool:
        raise Misfit
    code, name, birth = claim.pupil_code.encode(), claim.full_name.encode(), claim.birth.encode()
    usable, candidate = claim.citizen_id, claim.citizen_id_candidate
    return EMPTY.join((
        VALUE,
        LENGTH[len(code)], code,
        _FLAGS[claim.temporary_code],
        NULL if usable is None else _some(usable),
        NULL if candidate is None else _some(candidate),
        LENGTH[len(name)], name,
        LENGTH[len(birth)], birth,
        _origin(claim.gender, claim.nationality),
    ))  # fmt: skip


def _findings(problems: Sequence[Problem]) -> bytes:
    return EMPTY.join((long_bytes(len(problems)), *[_finding(one) for one in problems], END))


@lru_cache(maxsize=4_096)
def _finding(problem: Problem) -> bytes:
    return _text(problem.code) + _text(problem.field) + _text(problem.rule)
