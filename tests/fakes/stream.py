"""Many records of the unified stream, fast: one encoded record as a form, its ids, hash, lane and version filled in.

The form is a real record (`national`); every filled place keeps its length, so the Avro around it stays true.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from uuid import UUID

from gateway.edges.kafka import Output
from gateway.record import (
    H_CONTENT_HASH,
    H_EVENT_ID,
    H_LANE,
    H_RECORD_ID,
    NATIONAL_TOPIC,
    lane_text,
    slot_of,
)
from tests.fakes.delivery_records import National, national

VERSIONS = 60
"""A version is one byte of Avro up to here, so that the form keeps its length."""


@dataclass(frozen=True, slots=True)
class Made:
    """One record: pupil *number* (a lane of its own) in its version."""

    number: int
    version: int
    event_id: str
    record_id: str
    lane: int
    slot: int
    output: Output


@cache
def _form(version: int) -> tuple[National, dict[str, bytes]]:
    form = national(0, version, 0, slots=1)
    return form, {name: value for name, value in form.headers if value is not None}


def made(number: int, version: int, *, slots: int, salt: str = "") -> Made:
    """Pupil *number* of the run *salt* in *version*, which is at most `VERSIONS`."""
    form, old = _form(version)
    digest = hashlib.sha256(f"{salt}|{number}".encode()).digest()
    lane = int.from_bytes(digest[16:24])
    event = str(UUID(bytes=hashlib.sha256(digest + bytes([version])).digest()[:16], version=5))
    record = str(UUID(bytes=digest[:16], version=5))
    content = hashlib.sha256(event.encode()).hexdigest()
    new = {
        H_EVENT_ID: event.encode(),
        H_RECORD_ID: record.encode(),
        H_LANE: lane_text(lane).encode(),
        H_CONTENT_HASH: content.encode(),
    }
    value = form.value
    for name, filled in new.items():
        if name != H_CONTENT_HASH:
            value = value.replace(old[name], filled)
    headers = [(name, new.get(name, given)) for name, given in form.headers]
    slot = slot_of(lane, slots)
    output = Output(NATIONAL_TOPIC, slot, record.encode(), value, headers)
    return Made(number, version, event, record, lane, slot, output)


def stream(pupils: int, versions: int, *, slots: int, salt: str = "") -> Iterator[Made]:
    """*versions* of each of *pupils*, first all first versions."""
    for version in range(1, versions + 1):
        for number in range(pupils):
            yield made(number, version, slots=slots, salt=salt)


def as_made(one: National) -> Made:
    """A record of `national` in the form of those made here."""
    lane = int(dict(one.headers)[H_LANE] or b"0", 16)
    output = Output(NATIONAL_TOPIC, one.slot, one.record_id.encode(), one.value, one.headers)
    return Made(0, one.version, one.event_id, one.record_id, lane, one.slot, output)
