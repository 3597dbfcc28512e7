"""What intake makes of one message: one item a pupil record, or the whole message refused.

Every item ends in exactly one class: `Mapped` goes on (identity parks it when it has holds), `Rejected` goes back
to its vendor, `Duplicate` is a copy inside the same message and takes the end state ``duplicate``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, dataclass_transform

from gateway.errors import Problem
from gateway.record import Op, SourceOrder

T = TypeVar("T")
Body = dict[str, Any]
"""A dict after `vn.hocba.Body`, as `gateway.national.codec.encode_body` takes it (hot path, so no class)."""


MAX_FINDINGS = 100
"""Of one kind an item carries at most so many: heads, receipts and parked rows are not made for more."""
_RANK = {"reject": 0, "park": 1, "warn": 2}


def first_findings(problems: Sequence[Problem], severity: Callable[[Problem], str]) -> tuple[Problem, ...]:
    """*problems* in their order; where they are too many, the strongest first and the rest left out."""
    if len(problems) <= MAX_FINDINGS:
        return tuple(problems)
    return tuple(sorted(problems, key=lambda problem: _RANK[severity(problem)])[:MAX_FINDINGS])


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def hot_value(cls: type[T]) -> type[T]:
    """Frozen for the type checker; at run time a plain dataclass with slots, which is made in a third of the time."""
    return dataclass(slots=True)(cls)


@hot_value
class Claim:
    """Who the vendor says this is; *birth* is YYYY-MM-DD, YYYY-MM or YYYY, *citizen_id* twelve usable digits."""

    pupil_code: str = field(repr=False)
    temporary_code: bool
    citizen_id: str | None = field(repr=False)
    citizen_id_candidate: str | None = field(repr=False)
    full_name: str = field(repr=False)
    birth: str = field(repr=False)
    gender: str
    nationality: str


@hot_value
class Mapped:
    """A national record; *body* and *claim* are None for a CANCEL.  *holds* make identity park it."""

    index: int
    record_id: str
    pupil_code: str = field(repr=False)
    school_code: str
    school_year: str
    programme: str
    grade: str | None
    event_type: Op
    source_order: SourceOrder
    occurred_at_ms: int
    vendor_ref: str | None
    claim: Claim | None
    body: Body | None = field(repr=False)
    holds: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    evidence: dict[str, Any] | None = field(repr=False)
    """After `vn.hocba.Evidence`: the signed bytes, or a claim check for long ones."""
    reason: str | None = field(default=None, repr=False)
    """The vendor's words for a CANCEL; kept beside the record, not part of it."""
    encoded: bytes | None = field(default=None, repr=False, compare=False)
    """The body's bytes, where the straight path has made them: those `codec.encode_body` would make."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record the vendor has to correct; *problems* are all findings (up to MAX_FINDINGS)."""

    index: int
    problems: tuple[Problem, ...]
    vendor_ref: str | None
    record_id: str | None
    source_order: SourceOrder | None = None


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The same record, version and content as item *first* of the same message (DQ-23, identical copy)."""

    index: int
    first: int
    record_id: str
    vendor_ref: str | None
    problems: tuple[Problem, ...]


Item = Mapped | Rejected | Duplicate


@dataclass(frozen=True, slots=True)
class Items:
    """The items of a message in its order, index from 0, and how often each unknown input field stood in it."""

    items: tuple[Item, ...]
    unknown_fields: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RejectedWhole:
    """A message of which no item can be told apart."""

    problems: tuple[Problem, ...]


Outcome = Items | RejectedWhole
