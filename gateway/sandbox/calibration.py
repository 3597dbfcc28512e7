"""What a few operations cost on this machine, so that a figure can be put beside the design's (design section 7).

The design's costs were measured on a machine where these took REFERENCE_US; a figure of this machine divided by the
ratio of the two is comparable with them, roughly: interpreters and memories do not all scale alike.
"""

import json
import time
import uuid
from collections.abc import Callable
from io import BytesIO
from typing import Final

import fastavro

from gateway.national import codec, schema

REFERENCE_US: Final = {"uuid5": 3.7, "fastavro read": 118.0, "fastavro write": 105.0}
"""Design section 7: a full-width record."""
ROUNDS: Final = 30
TIMES: Final = 10


def reference_us(value: bytes) -> dict[str, float]:
    """Operation → CPU microseconds here; *value* is a full-width record of the unified stream, as it is sent."""
    avro = schema.parsed(json.loads(schema.current(schema.RECORD).text))
    record = codec.decode_record(value)
    body = value[5:]
    return {
        "uuid5": _cost_us(lambda: uuid.uuid5(uuid.NAMESPACE_URL, "v1|4899970100012345|2025-2026|GDPT")),
        "fastavro read": _cost_us(lambda: fastavro.schemaless_reader(BytesIO(body), avro, None)),
        "fastavro write": _cost_us(lambda: fastavro.schemaless_writer(BytesIO(), avro, record)),
    }


def slowness(costs_us: dict[str, float]) -> float:
    """How many times as long this machine takes as the design's: the mean of the ratios."""
    return sum(costs_us[name] / reference for name, reference in REFERENCE_US.items()) / len(REFERENCE_US)


def _cost_us(work: Callable[[], object]) -> float:
    """The fastest of some rounds: the others were disturbed."""
    times = []
    for _ in range(ROUNDS):
        began = time.process_time_ns()
        for _ in range(TIMES):
            work()
        times.append(time.process_time_ns() - began)
    return min(times) / TIMES / 1000
