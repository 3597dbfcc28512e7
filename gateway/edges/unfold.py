"""Kafka's compression codecs, unfolded within a bound: no vendor's batch may fill the memory of a worker.

A broker accepts a batch by its compressed size (measured: 510 kB of gzip that unfold to 500 MiB pass
``max.message.bytes``), and aiokafka unfolds whatever it is given.  Having the broker unfold at the door (topic setting
``compression.type=uncompressed``) is worse: the same batch ended a broker of 512 MB heap at once.
"""

import struct
import zlib
from collections.abc import Callable
from typing import Final

import cramjam

MAX_UNFOLDED_BYTES: Final = 16 * 1024 * 1024
_USUAL_RATIO: Final = 16
"""Room is made for so much first, because making room for the most costs milliseconds a batch."""
_SNAPPY_FRAMES: Final = b"\x82SNAPPY\x00"
_XERIAL_AT: Final = 16


class UnfoldsTooFar(Exception):
    """The batch is larger than the bound, or is not what its codec says."""


def unfold(codec: int, folded: bytes, most: int = MAX_UNFOLDED_BYTES) -> bytes:
    """The bytes behind *folded* (Kafka's codec number); raises UnfoldsTooFar above *most* bytes or for garbage."""
    try:
        match codec:
            case 1:
                return _gzip(folded, most)
            case 2:
                return _snappy(folded, most)
            case 3:
                return _into(cramjam.lz4.decompress_into, folded, most)
            case 4:
                return _into(cramjam.zstd.decompress_into, folded, most)
            case _:
                raise UnfoldsTooFar
    except (zlib.error, cramjam.DecompressionError, OSError, ValueError, struct.error) as error:
        raise UnfoldsTooFar from error


def _gzip(folded: bytes, most: int) -> bytes:
    found = bytearray()
    while folded:
        stream = zlib.decompressobj(31)
        found += stream.decompress(folded, most + 1 - len(found))
        if len(found) > most or not stream.eof:
            raise UnfoldsTooFar
        folded = stream.unused_data
    return bytes(found)


def _snappy(folded: bytes, most: int) -> bytes:
    if not folded.startswith(_SNAPPY_FRAMES):
        return _snappy_block(folded, most)
    found, place = bytearray(), _XERIAL_AT
    while place < len(folded):
        (size,) = struct.unpack_from(">i", folded, place)
        if size <= 0:
            raise UnfoldsTooFar
        found += _snappy_block(folded[place + 4 : place + 4 + size], most - len(found))
        place += 4 + size
    return bytes(found)


def _snappy_block(block: bytes, most: int) -> bytes:
    if cramjam.snappy.decompress_raw_len(block) > most:
        raise UnfoldsTooFar
    return bytes(cramjam.snappy.decompress_raw(block))


def _into(decompress: Callable[[bytes, bytearray], int], folded: bytes, most: int) -> bytes:
    usual = min(most, _USUAL_RATIO * len(folded))
    try:
        room = bytearray(usual)
        return bytes(memoryview(room)[: decompress(folded, room)])
    except cramjam.DecompressionError:
        if usual == most:
            raise
    room = bytearray(most)
    return bytes(memoryview(room)[: decompress(folded, room)])
