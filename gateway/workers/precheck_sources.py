"""Where the pre-check's pupils come from: a CSV file, gateway.mapped, or a vendor's own topic mapped as intake would.

A file is read as a stream, a topic partition by partition to its end as it is now, so that the nation fits into memory.
"""

import csv
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from gateway.config import Config
from gateway.edges import clock
from gateway.edges.connector_files import load_connectors
from gateway.edges.kafka import read_partition
from gateway.edges.kafka_types import Record, TopicPartition
from gateway.edges.keys import Keys
from gateway.errors import GatewayError
from gateway.identity.verdicts import Claim
from gateway.intake.connector import Connector
from gateway.record import MAPPED_TOPIC
from gateway.workers import identity_records
from gateway.workers.identity_precheck import CHUNK, Chunk, Line
from gateway.workers.intake_outputs import Envelope, outputs_of

COLUMNS: Final = ("pupil_code", "citizen_id", "full_name", "birth_date", "gender", "school_code", "grade")
LINE: Final = "line"


class NoSuchColumn(GatewayError):
    """The file's header lacks these columns."""


def read_lines(text: Iterable[str]) -> Iterator[Line]:
    """The pupils of a CSV file with a header; raises NoSuchColumn.  Other columns are ignored."""
    rows = csv.DictReader(text)
    missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise NoSuchColumn(", ".join(missing))
    for number, row in enumerate(rows, 2):
        cells = {name: (row[name] or "").strip() for name in COLUMNS}
        yield Line(number, cells["school_code"], cells["grade"], _claim(cells))


def _claim(cells: Mapping[str, str]) -> Claim | None:
    if not cells["pupil_code"] or not cells["full_name"] or not cells["birth_date"]:
        return None
    return Claim(
        pupil_code=cells["pupil_code"],
        citizen_id=cells["citizen_id"] or None,
        full_name=cells["full_name"],
        birth=cells["birth_date"],
        gender=cells["gender"] or "0",
    )


async def file_chunks(path: Path, place: Mapping[str, int]) -> AsyncIterator[Chunk]:
    """The pupils of a CSV file behind *place*; raises NoSuchColumn."""
    done = place.get(LINE, 0)  # the caller's place moves with what it has done
    with path.open(encoding="utf-8-sig", newline="") as text:
        lines = (line for line in read_lines(text) if line.number > done)
        while chunk := list(islice(lines, CHUNK)):
            yield Chunk(chunk, {LINE: chunk[-1].number})


async def topic_chunks(config: Config, keys: Keys, topic: str, place: Mapping[str, int]) -> AsyncIterator[Chunk]:
    """The pupils whose records stand in *topic* behind *place*; raises GatewayError for a topic that has none."""
    start, reader = dict(place), reader_of(config, keys, topic)
    for slot in range(config.slots):
        partition = TopicPartition(topic, slot)
        async for records in read_partition(config.kafka, partition, start.get(str(slot), 0), max_records=CHUNK):
            yield Chunk(reader.lines(records), {str(slot): records[-1].offset + 1})


class Reader:
    """Pupils out of records, mapped ones as they are and vendors' own by their connector."""

    def __init__(self, keys: Keys, envelope: Envelope, connectors: Sequence[Connector]) -> None:
        self._keys = keys
        self._envelope = envelope
        self._connectors = connectors

    def lines(self, records: Sequence[Record]) -> list[Line]:
        """One line a pupil record that intake would pass on; what it would reject has nobody to ask about."""
        values = [(record.offset, value) for record in records for value in self._mapped(record)]
        items = [(offset, identity_records.read(value, offset, self._keys.claim)) for offset, value in values]
        return [
            Line(offset, item.head["school_code"], item.head["grade"], item.claim)
            for offset, item in items
            if item is not None and item.claim is not None
        ]

    def _mapped(self, record: Record) -> list[bytes]:
        if record.topic == MAPPED_TOPIC:
            return [record.value or b""]
        at_ms = clock.now_ms()
        outputs = [one for each in self._connectors for one in outputs_of(each, record, self._envelope, at_ms=at_ms)]
        return [output.value or b"" for output in outputs if output.topic == MAPPED_TOPIC]


def reader_of(config: Config, keys: Keys, topic: str) -> Reader:
    """For the records of *topic*; raises GatewayError for a topic that has no pupils."""
    envelope = Envelope(keys.lane_token, config.slots)
    if topic == MAPPED_TOPIC:
        return Reader(keys, envelope, ())
    loaded = load_connectors(Path(config.connectors.path), config.connectors.enabled or None)
    theirs = [connector for connector in loaded.values() if topic in connector.topics]
    if not theirs:
        known = sorted({MAPPED_TOPIC, *(name for connector in loaded.values() for name in connector.topics)})
        message = f"{topic} is neither a file nor a topic of a connector; topics: {', '.join(known)}"
        raise GatewayError(message)
    return Reader(keys, envelope, theirs[:1])
