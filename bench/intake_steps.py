# ruff: noqa: INP001  a script to run, not a package
"""Where intake's time goes: microseconds of CPU a record for each step, by the code that the stage runs.

    .venv/bin/python bench/intake_steps.py [records]

Steps are measured one after the other over the same fresh messages, so each includes what memory costs; the network and
the broker's answers are only in ``hocba bench intake``.  Compare figures of one run with each other.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from aiokafka.producer.message_accumulator import BatchBuilder  # noqa: E402

from gateway.edges.connector_files import load_connectors  # noqa: E402
from gateway.intake import Connector, Items, Mapped  # noqa: E402
from gateway.national import codec  # noqa: E402
from gateway.record import Position  # noqa: E402
from gateway.sandbox.bench_intake import USUAL, VARIANTS  # noqa: E402
from gateway.workers.intake_outputs import Envelope, outputs_of  # noqa: E402

PUBLISHED_MS = 1_780_272_000_000
PLACE = Position("vendor.bench.records", 0, 0)
CHUNK = 50


@dataclass(frozen=True, slots=True)
class Sent:
    """A consumed record, as far as intake looks at it."""

    value: bytes
    topic: str = "vendor.bench.records"
    partition: int = 0
    offset: int = 0
    timestamp: int = PUBLISHED_MS
    key: bytes = b""
    headers: tuple[tuple[str, bytes], ...] = ()


def cost_us(work: Callable[[Any], object], inputs: Sequence[Any]) -> float:
    """CPU microseconds one input takes: the mean of chunks without the slower half, which others have disturbed."""
    times = []
    for start in range(0, len(inputs) - CHUNK + 1, CHUNK):
        began = time.process_time()
        for one in inputs[start : start + CHUNK]:
            work(one)
        times.append(time.process_time() - began)
    kept = sorted(times)[: max(1, len(times) // 2)]
    return sum(kept) / len(kept) / CHUNK * 1e6


def steps(connector: Connector, values: Sequence[bytes]) -> dict[str, float]:
    """Step → microseconds a record."""
    complete = replace(connector, straight=None)
    envelope = Envelope(b"k" * 32, 12)
    straight = connector.straight
    if straight is None:
        message = f"{connector.name} has no straight path"
        raise SystemExit(message)
    for value in values:  # what is remembered after a while
        connector.process(value, PLACE, PUBLISHED_MS)
    half = len(values) // 2
    bodies = [body_of(complete, value) for value in values[:half]]
    outputs = [outputs_of(connector, Sent(value), envelope, at_ms=0)[0] for value in values[:half]]
    batch = BatchBuilder(1 << 30, 0, is_transactional=1)

    def mapped(value: bytes) -> None:
        root, (tree,) = connector.trees(value)
        straight.make(tree, root, tuple(tree))

    def appended(output: Any) -> None:
        batch.append(key=output.key, value=output.value, timestamp=None, headers=output.headers)

    decode = cost_us(connector.trees, values)
    mapping = cost_us(mapped, values)
    process = cost_us(lambda value: connector.process(value, PLACE, PUBLISHED_MS), values)
    whole = cost_us(lambda value: outputs_of(connector, Sent(value), envelope, at_ms=0), values)
    return {
        "decode": decode,
        "map and encode": mapping - decode,
        "rules and outcome": process - mapping,
        "hash, head, headers": whole - process,
        "batch append": cost_us(appended, outputs),
        "all of these": whole + cost_us(appended, outputs),
        "(of it: SHA-256)": cost_us(codec.content_hash, [codec.encode_body(body) for body in bodies]),
        "(complete path)": cost_us(lambda value: complete.process(value, PLACE, PUBLISHED_MS), values[:half]),
        "(encode a body)": cost_us(codec.encode_body, bodies),
    }


def body_of(connector: Connector, value: bytes) -> dict[str, Any]:
    """The body of a clean message of one record."""
    match connector.process(value, PLACE, PUBLISHED_MS):
        case Items((Mapped(body=dict(body)),)):
            return body
    message = "a bench record is not clean"
    raise SystemExit(message)


def main() -> None:
    """Print a table a variant."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 4_000
    connectors = {connector.vendor: connector for connector in load_connectors(ROOT / "connectors").values()}
    for name in USUAL:
        variant = VARIANTS[name]
        sys.stdout.write(f"{name}\n")
        for step, us in steps(connectors[variant.vendor], [variant.message(n) for n in range(count)]).items():
            sys.stdout.write(f"  {step:22}{us:8.1f} µs\n")


if __name__ == "__main__":
    main()
