"""Batches as vendors may write them: what aiokafka cannot read must not end the worker that fetched it.

Every consumer of this program reads through `BoundedRecords` and `BoundedPartition` (``bound_all_consumers``):

- a batch that unfolds to more than MAX_UNFOLDED_BYTES, or not at all, becomes one record that carries the batch's
  bytes as they came, with the key UNREADABLE; intake rejects it whole, every other stage puts it aside as foreign;
- a fetch ends after MAX_UNFOLDED_BYTES of unfolded batches; what follows is fetched again;
- a header's name that is not UTF-8, at which aiokafka raises for ever, is read leniently; what still cannot be taken
  apart stands in like a batch that unfolds too far, from the first record that was not given out.

Uncompressed batches, the only ones that this program writes, cost a look at their header.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Any, Final

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch
from aiokafka.record.util import calc_crc32c, decode_varint, encode_varint

from gateway.edges.unfold import MAX_UNFOLDED_BYTES, UnfoldsTooFar, unfold

UNREADABLE: Final = b"hocba:batch-cannot-be-read"
"""The key of a record that stands for a batch.  A vendor that writes it itself is refused the same way."""

MENDED_AT_MOST: Final = 2
"""A batch that still raises then is aiokafka's or ours to explain: the process ends."""

_FRAME: Final = struct.Struct(">qi")
_HEAD: Final = struct.Struct(">iBIhiqqqhii")
"""Leader epoch, magic, CRC, attributes, last offset delta, two timestamps, producer id, epoch, sequence, count."""
_BODY_AT: Final = _FRAME.size + _HEAD.size
_CRC_FROM: Final = _FRAME.size + 9
_MAGIC_AT: Final = _FRAME.size + 4
_CODEC_AT: Final = _CRC_FROM + 1
_CODEC: Final = 0x07


class BoundedRecords:
    """aiokafka's ``MemoryRecords`` for one partition of a fetch."""

    def __init__(self, fetched: bytes) -> None:
        self._fetched = memoryview(fetched)
        self._place = 0
        self._unfolded = 0
        self._batch: bytes | memoryview = b""
        self._again = False

    def size_in_bytes(self) -> int:
        """Bytes on the wire."""
        return len(self._fetched)

    def has_next(self) -> bool:
        """Whether a whole batch follows, and still belongs to this fetch."""
        return self._again or (self._unfolded < MAX_UNFOLDED_BYTES and self._end() > 0)

    def _end(self) -> int:
        """Where the batch at hand ends; 0 when it is cut off."""
        if len(self._fetched) - self._place < _FRAME.size:
            return 0
        end = self._place + _FRAME.size + int(_FRAME.unpack_from(self._fetched, self._place)[1])
        return end if end <= len(self._fetched) else 0

    def next_batch(self) -> Any:
        """The next batch, uncompressed."""
        if self._again:
            self._again = False
            return DefaultRecordBatch(self._batch)
        end = self._end()
        if not end:
            return None
        batch = self._batch = self._fetched[self._place : end]
        self._place = end
        if batch[_MAGIC_AT] < 2:
            return LegacyRecordBatch(batch, batch[_MAGIC_AT])
        if batch[_CODEC_AT] & _CODEC:
            self._batch = _unfolded(bytes(batch))
            self._unfolded += len(self._batch)
        return DefaultRecordBatch(self._batch)

    def mend(self, offset: int) -> None:
        """The batch given out last cannot be read at *offset*: give it out again in a form that can."""
        self._again = True
        self._batch = _mended(bytes(self._batch), offset)


class BoundedPartition(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka is untyped
    """aiokafka's records of one partition of a fetch; a batch that makes it raise is mended, at most twice."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._records_iterator = None  # one that nobody reads would keep the fetched bytes until the next collection
        self._reading = self._mended()

    def __iter__(self) -> Iterator[Any]:
        """One generator for all who ask: a frame less for each record than to be asked for the next one."""
        return self._reading

    def __next__(self) -> Any:
        """The next record."""
        return next(self._reading)

    def _mended(self) -> Iterator[Any]:
        times = 0
        while True:
            try:
                for record in self._unpack_records():
                    times = 0
                    yield record
            except (UnicodeDecodeError, CorruptRecordException):
                if times == MENDED_AT_MOST:
                    raise
                times += 1
                self._records.mend(self.next_fetch_offset)
            else:
                return


def _unfolded(batch: bytes) -> bytes:
    """*batch* without compression, or the batch of one record that stands for it."""
    folded = batch[_BODY_AT:]
    try:
        return _rewritten(batch, unfold(batch[_CODEC_AT] & _CODEC, folded), None)
    except UnfoldsTooFar:
        return _rewritten(batch, _stand_in(folded, 0), 1)


def _mended(batch: bytes, offset: int) -> bytes:
    base, _ = _FRAME.unpack_from(batch)
    body, count = batch[_BODY_AT:], _HEAD.unpack_from(batch, _FRAME.size)[-1]
    try:
        fresh = _with_readable_names(body, count)
    except (IndexError, ValueError):
        fresh = body
    if fresh == body:  # the names are not what is wrong with it
        return _rewritten(batch, _stand_in(body, max(0, offset - base)), 1)
    return _rewritten(batch, fresh, None)


def _with_readable_names(body: bytes, count: int) -> bytes:
    """The records of *body* with UTF-8 in the headers' names; raises IndexError or ValueError for no records."""
    fresh, place = bytearray(), 0
    for _ in range(count):
        size, start = decode_varint(body, place)
        place = start + size
        if size < 0 or place > len(body):
            raise ValueError
        record = _renamed(body[start:place])
        encode_varint(len(record), fresh.append)
        fresh += record
    return bytes(fresh)


def _renamed(record: bytes) -> bytes:
    place = 1
    for _ in range(2):  # time and offset
        _, place = decode_varint(record, place)
    for _ in range(2):  # key and value
        size, place = decode_varint(record, place)
        place += max(0, size)
    headers, after = decode_varint(record, place)
    fresh = bytearray(record[:after])
    for _ in range(headers):
        size, place = decode_varint(record, after)
        name = record[place : place + size].decode("utf-8", "replace").encode()
        encode_varint(len(name), fresh.append)
        fresh += name
        place += size
        length, start = decode_varint(record, place)
        after = start + max(0, length)
        if size < 0 or after > len(record):
            raise ValueError
        fresh += record[place:after]
    return bytes(fresh)


def _rewritten(batch: bytes, body: bytes, count: int | None) -> bytes:
    """*batch* with another *body*, and as many records as before or *count*; offsets stay as they are."""
    offset, _ = _FRAME.unpack_from(batch)
    epoch, magic, _, attributes, *rest = _HEAD.unpack_from(batch, _FRAME.size)
    if count is not None:
        rest[-1] = count
    head = _HEAD.pack(epoch, magic, 0, attributes & ~_CODEC, *rest)
    fresh = bytearray(_FRAME.pack(offset, len(head) + len(body)) + head + body)
    struct.pack_into(">I", fresh, _CRC_FROM - 4, calc_crc32c(bytes(fresh[_CRC_FROM:])))
    return bytes(fresh)


def _stand_in(body: bytes, delta: int) -> bytes:
    """One record: key UNREADABLE, value *body*, no headers, *delta* offsets behind the batch's first."""
    inside = bytearray(b"\0")
    write: Callable[[int], None] = inside.append
    for number in (0, delta, len(UNREADABLE)):
        encode_varint(number, write)
    inside += UNREADABLE
    encode_varint(len(body), write)
    inside += body + b"\0"
    size = bytearray()
    encode_varint(len(inside), size.append)
    return bytes(size + inside)


def bound_all_consumers() -> None:
    """Let every aiokafka consumer of this process (Faust's too) read this way; safe to repeat."""
    fetcher.MemoryRecords = BoundedRecords
    fetcher.PartitionRecords = BoundedPartition
