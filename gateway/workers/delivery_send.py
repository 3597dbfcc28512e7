"""How a slot's requests reach its target: payloads at the last moment, the lease, the limit, and a bounded wait.

Every answer, and every lack of one, comes back as an event of the machine.
"""

import asyncio
import hashlib
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from gateway.config import Kafka
from gateway.delivery.effects import BuildPacket, Poll, RebuildPacket, SendBatch, Sending, Submit, Upload
from gateway.delivery.events import Answered, Event, PacketBuilt, PacketRebuilt, Polled, Submitted, Uploaded
from gateway.delivery.values import Entry, Member
from gateway.edges.delivery_stream import read_records
from gateway.edges.failpoints import failpoint, record_failpoint
from gateway.edges.kafka_start import hold_while_away
from gateway.edges.kafka_types import TopicPartition
from gateway.edges.target_contract import PacketContract
from gateway.edges.target_door import is_unsent
from gateway.edges.targets import encode_packet
from gateway.national import payload
from gateway.outcomes import (
    AlreadyThere,
    Ambiguous,
    BatchAnswer,
    Duplicate,
    Hold,
    ImmediateTarget,
    Landed,
    Outcome,
    PacketTarget,
    PollAnswer,
    Receipt,
    RecordVersion,
    Send,
    Stale,
    Unavailable,
    Verdicts,
    VersionQuery,
)
from gateway.record import NATIONAL_TOPIC, Op, idempotency_key
from gateway.workers.delivery_lease import Lease
from gateway.workers.delivery_limit import Limit
from gateway.workers.delivery_records import Shelf

RECORDS_BETWEEN_YIELDS = 25
NOT_SENT: Final = Unavailable(None, "not sent")
NO_TOKEN: Final = Unavailable(None, "token")
Result = TypeVar("Result")


@dataclass(slots=True)
class Door:
    """One slot's way out: under its lease and the target's limit, while the slot is ours and the target is open."""

    lease: Lease
    limit: Limit
    closed_s: Callable[[], float] = lambda: 0.0
    _waiting: set[asyncio.Timeout] = field(default_factory=set)
    _shut: bool = False

    async def ask(self, request: Callable[[], Awaitable[Result]], unanswered: Result) -> Result | Unavailable:
        """Make *request* while the lease allows it; *unanswered* when its time runs out, NOT_SENT when it never left.

        NO_TOKEN when its time ran out while it waited for one: that is no lost answer either.

        A request may wait long for its turn where the target's rate is low: whether it may leave is asked again then.
        """
        patience = asyncio.timeout(None)
        self._waiting.add(patience)
        try:
            async with patience:
                return await self.limit.perform(self.lease.ready, lambda: self._leave(patience, request, unanswered))
        except TimeoutError:
            return NOT_SENT
        finally:
            self._waiting.discard(patience)

    async def _leave(
        self, patience: asyncio.Timeout, request: Callable[[], Awaitable[Result]], unanswered: Result
    ) -> Result | Unavailable:
        patience.reschedule(None)
        self._waiting.discard(patience)
        if self._shut or self.closed_s() > 0:
            return NOT_SENT
        try:
            async with asyncio.timeout(self.lease.request_s):  # wait_for may swallow a cancellation (Python 3.11)
                return await request()
        except TimeoutError as time_out:
            return NO_TOKEN if is_unsent(time_out) else unanswered

    def shut(self) -> None:
        """Let nothing leave any more; what is under way ends by itself."""
        self._shut = True
        now = asyncio.get_running_loop().time()
        for patience in self._waiting:
            patience.reschedule(now)


@dataclass(slots=True)
class Reader:
    """Finds the values of records: on the shelf, or in Kafka again."""

    kafka: Kafka
    shelf: Shelf

    async def values(self, offsets: Iterable[int]) -> dict[int, bytes]:
        """Values by offset; what Kafka has not any more is empty, and so unreadable."""
        wanted = list(offsets)
        values = {offset: self.shelf.value(offset) for offset in wanted}
        missing = [offset for offset in wanted if not values[offset]]
        if missing:
            partition = TopicPartition(NATIONAL_TOPIC, self.shelf.partition)
            found = await hold_while_away(lambda: read_records(self.kafka, partition, missing), "records")
            values |= {offset: record.value or b"" for offset, record in found.items()}
        for value in values.values():
            record_failpoint("delivery.record", value)
        return values

    async def claimed(self, claim: Mapping[str, Any]) -> bytes:
        """The vendor's message that a claim check names; empty when Kafka has not got it any more."""
        offset: int = claim["offset"]
        partition = TopicPartition(claim["topic"], claim["partition"])
        found = await hold_while_away(lambda: read_records(self.kafka, partition, [offset]), "claimed message")
        return found[offset].value or b"" if offset in found else b""


async def _decoded(reader: Reader, entries: Sequence[Entry]) -> tuple[list[tuple[Entry, dict[str, Any]]], set[int]]:
    """The records of *entries* that can be read, and the offsets of the others."""
    values = await reader.values(entry.offset for entry in entries)
    records: list[tuple[Entry, dict[str, Any]]] = []
    unreadable: set[int] = set()
    for place, entry in enumerate(entries):
        record = reader.shelf.record(entry.offset, values[entry.offset])
        if record is None:
            unreadable.add(entry.offset)
        else:
            records.append((entry, record))
        if place % RECORDS_BETWEEN_YIELDS == 0:
            await asyncio.sleep(0)
    return records, unreadable


@dataclass(slots=True)
class BatchSender:
    """Sends batches to an immediate target; *query* where that must be asked before a record goes again."""

    name: str
    target: ImmediateTarget
    door: Door
    reader: Reader
    query: VersionQuery | None = None

    async def send(self, effect: SendBatch) -> Event:
        """Send one batch; always an `Answered`."""
        there = await self._asked(self.query, effect.items) if self.query is not None else {}
        if not isinstance(there, Mapping):
            return Answered(effect.batch, BatchAnswer({}, whole=there))
        items = [item for item in effect.items if version_of(item) not in there] if there else effect.items
        answered = await self._send(effect.batch, items)
        if there and answered.answer.whole is None:
            return replace(answered, answer=replace(answered.answer, answers={**answered.answer.answers, **there}))
        return answered  # of a batch that failed whole, those will be asked for again

    async def _asked(
        self, query: VersionQuery, items: Sequence[Sending]
    ) -> Mapping[RecordVersion, Outcome] | Unavailable | Hold:
        """What the target has already of the records that may be there."""
        doubtful = [item.entry for item in items if item.again]
        if not doubtful:
            return {}
        lost: Mapping[str, int] | Unavailable | Hold = Unavailable(None, "time-out")
        held = await self.door.ask(lambda: query.held([entry.record_id for entry in doubtful]), lost)
        if not isinstance(held, Mapping):
            return held
        there: dict[RecordVersion, Outcome] = {}
        for entry in doubtful:
            if (version := held.get(entry.record_id, 0)) >= entry.version:
                there[entry.record_id, entry.version] = Duplicate() if version == entry.version else Stale()
        return there

    async def _send(self, number: int, items: Sequence[Sending]) -> Answered:
        batch, unreadable = await self._translated(items)
        answer = BatchAnswer({})
        if batch:
            lost = BatchAnswer({}, whole=Ambiguous("time-out"))
            said = await self.door.ask(lambda: self.target.send(batch), lost)
            answer = BatchAnswer({}, whole=said) if isinstance(said, Unavailable) else said
        await failpoint("delivery.after_post_before_row")
        return Answered(number, answer, unreadable)

    async def _translated(self, items: Sequence[Sending]) -> tuple[list[Send], set[int]]:
        """What is sent of *items*, and the offsets of those that cannot be read."""
        values = await self.reader.values(item.entry.offset for item in items)
        batch: list[Send] = []
        unreadable: set[int] = set()
        for place, item in enumerate(items):
            entry = item.entry
            body = self.reader.shelf.translated(entry.offset, values[entry.offset], item.op)
            if body is None:
                unreadable.add(entry.offset)
            else:
                key = idempotency_key(self.name, entry.record_id, entry.version, entry.content_hash)
                batch.append(Send(entry.record_id, entry.version, item.op, key, body))
            if place % RECORDS_BETWEEN_YIELDS == 0:
                await asyncio.sleep(0)
        return batch, unreadable


def version_of(item: Sending) -> RecordVersion:
    """How answers name a record."""
    return item.entry.record_id, item.entry.version


@dataclass(frozen=True, slots=True)
class Evidence:
    """Signed bytes to be uploaded under the record's own key."""

    version: RecordVersion
    key: str
    sha256: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Parcel:
    """A packet's bytes and what is uploaded before it."""

    purpose: str
    body: bytes = field(repr=False)
    evidence: tuple[Evidence, ...] = ()


@dataclass(slots=True)
class PacketSender:
    """Performs the steps of packets."""

    name: str
    target: PacketTarget
    contract: PacketContract
    door: Door
    reader: Reader
    hashes: dict[str, bytes] = field(default_factory=dict)
    parcels: dict[str, Parcel] = field(default_factory=dict)

    async def build(self, effect: BuildPacket) -> Event:
        """Make a new packet's bytes under a GUID of its own."""
        packet = str(uuid.uuid4())
        parcel, unreadable = await self._pack(effect.op, effect.members)
        self.parcels[packet] = parcel
        digest = hashlib.sha256(parcel.body).digest()
        return PacketBuilt(effect.build, packet, digest, bool(parcel.evidence), unreadable)

    async def rebuild(self, effect: RebuildPacket) -> Event:
        """Make a former owner's packet again; never sent if its bytes are not the same."""
        parcel, unreadable = await self._pack(effect.op, effect.members)
        same = not unreadable and hashlib.sha256(parcel.body).digest() == self.hashes.get(effect.packet)
        if same:
            self.parcels[effect.packet] = parcel
        return PacketRebuilt(effect.packet, same, bool(parcel.evidence))

    async def upload(self, effect: Upload) -> Event:
        """Upload the evidence that the target has not got yet, a few files at a time, until it wants to wait."""
        answers: dict[RecordVersion, Receipt] = {}
        parcel = self.parcels[effect.packet]
        for start in range(0, len(parcel.evidence), self.contract.concurrency):
            files = parcel.evidence[start : start + self.contract.concurrency]
            said = await asyncio.gather(*(self._upload(file) for file in files))
            answers |= {file.version: receipt for file, receipt in zip(files, said, strict=True)}
            if any(isinstance(receipt, Unavailable | Hold) for receipt in said):
                break
        there = {version for version, receipt in answers.items() if isinstance(receipt, Landed | AlreadyThere)}
        left = tuple(file for file in parcel.evidence if file.version not in there)
        self.parcels[effect.packet] = replace(parcel, evidence=left)  # a new try asks only for what is missing
        return Uploaded(effect.packet, answers)

    async def _upload(self, file: Evidence) -> Receipt:
        lost: Receipt = Ambiguous("time-out")
        return await self.door.ask(lambda: self.target.upload(file.key, file.sha256, file.content), lost)

    async def submit(self, effect: Submit) -> Event:
        """POST the packet."""
        parcel = self.parcels[effect.packet]
        await failpoint("packet.after_row_before_post")
        lost: Receipt = Ambiguous("time-out")
        answer = await self.door.ask(lambda: self.target.submit(effect.packet, parcel.purpose, parcel.body), lost)
        await failpoint("packet.after_post_before_row")
        return Submitted(effect.packet, answer)

    async def poll(self, effect: Poll) -> Event:
        """Ask what became of it."""
        lost: PollAnswer = Unavailable(None, "time-out")
        answer = await self.door.ask(lambda: self.target.results(effect.packet), lost)
        if isinstance(answer, Verdicts):
            await failpoint("packet.after_verdict_before_row")
        return Polled(effect.packet, answer)

    async def _pack(self, op: Op, members: Sequence[Member]) -> tuple[Parcel, set[int]]:
        entries = [member.entry for member in members if not member.revokes]
        records, unreadable = await _decoded(self.reader, entries)
        items = [payload.sector_revoke(m.entry.record_id, m.revokes) for m in members if m.revokes]
        evidence: list[Evidence] = []
        for entry, record in records:
            item = payload.sector_record(record)
            if (file := await self._evidence(entry, record)) is not None:
                evidence.append(file)
                item[self.contract.wire.evidence] = file.key
            items.append(item)
        body = encode_packet(self.contract, op, items, None)
        return Parcel(self.contract.wire.purposes.word(op), body, tuple(evidence)), unreadable

    async def _evidence(self, entry: Entry, record: dict[str, Any]) -> Evidence | None:
        """The signed bytes, inline or where the claim check says; the target's edge compares their hash."""
        evidence = record["evidence"]
        if evidence is None:
            return None
        content = evidence["content"]
        if not isinstance(content, bytes):
            content = await self.reader.claimed(content)
        key = idempotency_key(self.name, entry.record_id, entry.version, entry.content_hash)
        return Evidence((entry.record_id, entry.version), key, evidence["sha256"], content)
