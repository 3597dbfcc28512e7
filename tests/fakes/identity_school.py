"""Mapped records of synthetic pupils, seeded and messy, for identity's tests: what intake would have written.

``school(seed, pupils)`` gives a log of events with everything that identity has to sort out: repeats, outdated and
conflicting versions, cancellations, unknown and differing pupils, holds, another vendor's claim, undecodable bytes.
"""

import random
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from hypothesis import HealthCheck, Phase, find, settings

from gateway.national import codec
from gateway.record import (
    H_CONTENT_HASH,
    H_EVENT_ID,
    H_LANE,
    H_OP,
    H_RECORD_ID,
    H_SCHOOL_YEAR,
    H_SOURCE,
    Headers,
    Position,
    event_id,
    lane_text,
    lane_token,
    record_id,
    slot_of,
)
from tests.strategies import learning_bodies

VENDOR, OTHER_VENDOR = "mau", "khac"
YEARS = ("2023-2024", "2024-2025")
LANE_KEY = b"k" * 32
CLAIM_KEY = b"c" * 32


@dataclass(frozen=True)
class Pupil:
    """A pupil and how the registry knows them: known, unknown, differs, no_id."""

    code: str
    name: str
    birth: str
    gender: str
    citizen_id: str
    standing: str

    @property
    def lane(self) -> int:
        return lane_token(LANE_KEY, self.code)

    def claim(self) -> dict[str, Any]:
        """What the school says."""
        return {
            "pupil_code": self.code,
            "temporary_code": False,
            "citizen_id": self.citizen_id,
            "citizen_id_candidate": None,
            "full_name": self.name,
            "birth": self.birth,
            "gender": self.gender,
            "nationality": "VN",
        }

    def entry(self) -> dict[str, Any] | None:
        """The registry's entry."""
        if self.standing == "unknown":
            return None
        name = "Lê Mẫu Khác" if self.standing == "differs" else self.name
        citizen_id = None if self.standing == "no_id" else self.citizen_id
        return {
            "pupil_code": self.code,
            "full_name": name,
            "birth_date": self.birth,
            "gender": self.gender,
            "citizen_id": citizen_id,
        }


@dataclass(frozen=True)
class Sent:
    """A mapped record ready to be produced."""

    event_id: str
    record_id: str
    pupil: Pupil
    order: int
    kind: str
    slot: int
    key: bytes
    value: bytes
    headers: Headers


@dataclass
class School:
    """All that was made."""

    pupils: list[Pupil] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)


@cache
def body() -> bytes:
    """One small body that the schema allows."""
    quick = settings(phases=[Phase.generate], max_examples=1, derandomize=True, database=None,
                     suppress_health_check=list(HealthCheck))  # fmt: skip
    return codec.encode_body(find(learning_bodies("primary"), lambda _: True, settings=quick))


def pupil(number: int, standing: str) -> Pupil:
    """Pupil *number*, alike in every run."""
    return Pupil(
        code=f"{number % 96 + 1:02d}9999{number:04d}",
        name=f"Nguyễn Mẫu Thứ {number}",
        birth=f"201{number % 6}-0{number % 9 + 1}-1{number % 9}",
        gender=str(number % 2 + 1),
        citizen_id=f"00120{number % 10}9{number:05d}",
        standing=standing,
    )


def make(
    child: Pupil, number: int, order: int, *, slots: int, year: str = YEARS[0], kind: str = "", vendor: str = VENDOR,
    op: str = "UPDATE", content: bytes | None = None, holds: tuple[str, ...] = (),
) -> Sent:  # fmt: skip
    """One mapped record; *number* is its offset at the vendor, *content* stands for a changed body."""
    event = event_id(Position(f"vendor.{vendor}.records", 0, number), 0)
    record = record_id(child.code, year, "GDPT")
    body_bytes = codec.encode_body(None) if op == "CANCEL" else body()
    source = {"topic": f"vendor.{vendor}.records", "partition": 0, "offset": number, "index": 0}
    at_ms = 1_780_000_000_000 + number
    head: dict[str, Any] = {
        "event_id": event,
        "record_id": record,
        "lane": lane_text(child.lane),
        "vendor": vendor,
        "connector": f"{vendor}@1",
        "vendor_ref": f"ref-{number}",
        "vendor_event_id": None,
        "event_type": op,
        "source_order": {"epoch": 1, "order": order},
        "school_code": "01999001",
        "school_year": year,
        "programme": "GDPT",
        "grade": "05",
        "occurred_at": at_ms,
        "source": source | {"timestamp": at_ms},
        "content_hash": codec.content_hash(content if content is not None else f"{record}|{order}".encode()),
        "claim": None if op == "CANCEL" else child.claim(),
        "holds": [{"code": code, "field": "", "rule": ""} for code in holds],
        "warnings": [],
        "cause": None,
        "traceparent": None,
    }
    value = codec.encode_mapped(head, body_bytes, codec.encode_evidence(None))
    headers: Headers = [
        (H_EVENT_ID, event.encode()),
        (H_SOURCE, f"/vendors/{vendor}".encode()),
        (H_RECORD_ID, record.encode()),
        (H_CONTENT_HASH, head["content_hash"].encode()),
        (H_LANE, head["lane"].encode()),
        (H_OP, op.encode()),
        (H_SCHOOL_YEAR, year.encode()),
    ]
    slot = slot_of(child.lane, slots)
    return Sent(event, record, child, order, kind, slot, record.encode(), value, headers)


def school(seed: int, pupils: int, *, slots: int) -> School:
    """A messy log."""
    dice = random.Random(seed)
    made = School()
    for number in range(pupils):
        standing = dice.choices(["known", "unknown", "differs", "no_id"], [90, 5, 3, 2])[0]
        made.pupils.append(pupil(number, standing))
    plans = [(child, year, order) for child in made.pupils for year in YEARS for order in (10, 20, 30)]
    dice.shuffle(plans)
    for child, year, order in plans:
        _send(made, dice, child, year, order, slots)
    return made


def _send(made: School, dice: random.Random, child: Pupil, year: str, order: int, slots: int) -> None:
    number = len(made.sent)
    mess = dice.choices(["", "repeat", "conflict", "cancel", "stranger", "hold", "garbage"], [80, 6, 3, 3, 3, 3, 2])[0]
    match mess:
        case "cancel":
            made.sent.append(make(child, number, order, slots=slots, year=year, kind=mess, op="CANCEL"))
        case "stranger":
            made.sent.append(make(child, number, order, slots=slots, year=year, kind=mess, vendor=OTHER_VENDOR))
        case "hold":
            made.sent.append(make(child, number, order, slots=slots, year=year, kind=mess, holds=("DQ-42",)))
        case "garbage":
            good = make(child, number, order, slots=slots, year=year, kind=mess)
            made.sent.append(replace(good, value=good.value[:40]))
        case _:
            made.sent.append(make(child, number, order, slots=slots, year=year, kind=mess))
            if mess == "repeat":
                made.sent.append(make(child, number + 1, order, slots=slots, year=year, kind=mess))
            if mess == "conflict":
                made.sent.append(make(child, number + 1, order, slots=slots, year=year, kind=mess, content=b"other"))
