"""Compressed batches: every codec unfolds to what went in, and none beyond the bound in time or memory."""

import gzip
import random
import struct
import subprocess
import sys
from typing import Any

import cramjam
import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from gateway.edges import batches, unfold
from gateway.edges.batches import UNREADABLE, BoundedPartition, BoundedRecords
from gateway.edges.kafka_types import TopicPartition
from gateway.edges.unfold import UnfoldsTooFar

NAMES = {1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
FOLD: dict[int, Any] = {
    1: gzip.compress,
    2: cramjam.snappy.compress_raw,
    3: cramjam.lz4.compress,
    4: cramjam.zstd.compress,
}


def batch(codec: int, values: list[bytes], *, offset: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 16 * 1024 * 1024)
    for number, value in enumerate(values):
        assert builder.append(number, 1_700_000_000_000, f"k{number}".encode(), value, [("h", b"x")])
    made = bytearray(builder.build())
    struct.pack_into(">q", made, 0, offset)
    return bytes(made)


def folded(codec: int, body: bytes, count: int) -> bytes:
    """A batch whose records section is *body*, whatever that is."""
    head = struct.pack(">hiqqqhii", codec, count - 1, 1, 1, -1, -1, -1, count) + body
    rest = struct.pack(">iBI", 0, 2, calc_crc32c(head)) + head
    return struct.pack(">qi", 7, len(rest)) + rest


def read(fetched: bytes) -> list[Any]:
    records, found = BoundedRecords(fetched), []
    while records.has_next():
        one = records.next_batch()
        assert one.validate_crc()
        found += list(one)
    return found


@pytest.mark.parametrize("codec", [0, *NAMES])
def test_every_codec_gives_what_went_in(codec: int) -> None:
    values = [f"giá trị {number}".encode() * 50 for number in range(40)]
    fetched = batch(codec, values, offset=3) + batch(codec, values[:5], offset=43)

    found = read(fetched)

    assert [one.value for one in found] == values + values[:5]
    assert [one.offset for one in found] == list(range(3, 48))
    assert {tuple(one.headers) for one in found} == {(("h", b"x"),)}


@pytest.mark.parametrize("codec", NAMES)
def test_a_batch_that_unfolds_too_far_becomes_one_record_of_its_bytes(codec: int) -> None:
    body = bytes(FOLD[codec](bytes(40 * 1024 * 1024)))

    (stand_in,) = read(folded(codec, body, 5))

    assert (stand_in.key, stand_in.value, stand_in.offset) == (UNREADABLE, body, 7)


@pytest.mark.parametrize("codec", [*NAMES, 5, 7])
@pytest.mark.parametrize("body", [b"", b"garbage", b"\x82SNAPPY\x00\0\0\0\1\0\0\0\1\xff\xff\xff\xff", bytes(300)])
def test_what_its_codec_cannot_read_becomes_one_record_of_its_bytes(codec: int, body: bytes) -> None:
    (stand_in,) = read(folded(codec, body or b"\xff", 1))

    assert (stand_in.key, stand_in.value) == (UNREADABLE, body or b"\xff")


def test_a_stand_in_is_followed_by_the_batch_after_the_whole_refused_one() -> None:
    records = BoundedRecords(folded(1, gzip.compress(bytes(40 * 1024 * 1024)), 5) + batch(0, [b"good"], offset=12))

    assert records.next_batch().next_offset == 12
    assert records.has_next()
    assert [one.value for one in records.next_batch()] == [b"good"]


def test_a_fetch_ends_when_enough_was_unfolded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MAX_UNFOLDED_BYTES", 100_000)
    noise = random.Random(1).randbytes(60_000)
    fetched = b"".join(batch(1, [noise], offset=number) for number in range(5))

    assert [one.offset for one in read(fetched)] == [0, 1]


def test_half_a_batch_at_the_end_of_a_fetch_is_left_for_the_next() -> None:
    fetched = batch(0, [b"a"]) + batch(0, [b"b"], offset=1)[:-3]

    assert [one.value for one in read(fetched)] == [b"a"]
    assert not BoundedRecords(fetched[:5]).has_next()
    assert BoundedRecords(b"").next_batch() is None


@pytest.mark.parametrize("codec", NAMES)
def test_500_mib_are_refused_in_bounded_time_and_memory(codec: int) -> None:
    """In a child, so that the peak of memory is its own; snappy's best is 1 : 21, so its message is a large one."""
    program = f"""
import gzip, time, zlib, cramjam
from gateway.edges.unfold import UnfoldsTooFar, unfold
mib = bytes(1 << 20)
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
if {codec} == 1:
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = b"".join(pack.compress(mib) for _ in range(500)) + pack.flush()
elif {codec} == 2:
    block = bytes(cramjam.snappy.compress_raw(mib))
    body = b"\\x82SNAPPY\\x00" + (1).to_bytes(4, "big") * 2 + (len(block).to_bytes(4, "big") + block) * 500
else:
    body = bytes((cramjam.lz4 if {codec} == 3 else cramjam.zstd).compress(bytes(500 << 20)))
open('/proc/self/clear_refs', 'w').write('5')
before = peak()
began = time.monotonic()
try:
    unfold({codec}, body)
except UnfoldsTooFar:
    print(time.monotonic() - began, (peak() - before) / 1024)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    seconds, mib = (float(figure) for figure in done.stdout.split())

    assert seconds < 2.0
    assert mib < 80


def test_the_finding_names_no_value() -> None:
    with pytest.raises(UnfoldsTooFar, match=r"^$"):
        unfold.unfold(4, b"Nguyen Mau")


def partition(fetched: bytes, at: int = 0) -> Any:
    return BoundedPartition(TopicPartition("t", 0), BoundedRecords(fetched), [], at, None, None, True, 1)


def spoilt(fetched: bytes, name: bytes) -> bytes:
    """*fetched*, one batch whose third record has an `hh` header, with other bytes for that name."""
    made = bytearray(fetched)
    place = made.find(b"\x04hh") + 1
    made[place : place + 2] = name
    struct.pack_into(">I", made, 17, calc_crc32c(bytes(made[21:])))
    return bytes(made)


def named(names: list[str], codec: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1024 * 1024)
    for number, name in enumerate(names):
        assert builder.append(number, 1_700_000_000_000, b"k", b"v%d" % number, [("a", b"1"), (name, b"x"), ("b", b"")])
    return bytes(builder.build())


def test_a_header_name_that_is_not_utf_8_is_read_leniently_and_nothing_is_read_twice_or_left_out() -> None:
    found = list(partition(spoilt(named(["n", "n", "hh", "n"]), b"\xff\xfe") + batch(0, [b"good"], offset=4)))

    assert [(one.offset, one.value) for one in found] == [
        (0, b"v0"), (1, b"v1"), (2, b"v2"), (3, b"v3"), (4, b"good"),
    ]  # fmt: skip
    assert list(found[2].headers) == [("a", b"1"), ("\ufffd\ufffd", b"x"), ("b", b"")]


def test_a_position_inside_of_a_mended_batch_is_kept() -> None:
    assert [one.offset for one in partition(spoilt(named(["n", "n", "hh", "n"]), b"\xff\xfe"), at=2)] == [2, 3]


def test_a_batch_that_is_no_records_at_all_stands_in_for_what_was_not_given_out() -> None:
    torn = bytearray(named(["n", "n", "hh", "n"]))
    place = torn.find(b"v2") - 1
    torn[place] = 0x3F  # its length is said to be negative
    struct.pack_into(">I", torn, 17, calc_crc32c(bytes(torn[21:])))

    found = list(partition(bytes(torn) + batch(0, [b"good"], offset=4)))

    assert [(one.offset, one.key) for one in found] == [(0, b"k"), (1, b"k"), (2, UNREADABLE), (4, b"k0")]
    assert found[2].value == bytes(torn[61:])
