# ruff: noqa: INP001, T201, S101  a script to run, not a package
"""Where delivery's time goes: microseconds of CPU a record for each step, by the code that the stage runs.

    .venv/bin/python bench/deliver_steps.py [records]

Steps run one after the other over the same fresh records, with a real PostgreSQL and a real HTTP sink in processes of
their own; Kafka is only in ``hocba bench deliver``.  Compare figures of one run with each other: the first lines are
the design's reference operations, which cost 3.7, 105 and 118 µs on the machine of its figures.
"""

import asyncio
import cProfile
import pstats
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import msgspec  # noqa: E402
import uvloop  # noqa: E402

from gateway.delivery.effects import SendBatch, Write  # noqa: E402
from gateway.delivery.events import Answered, Event, Received, Started, Woke, Written  # noqa: E402
from gateway.delivery.machine import Machine  # noqa: E402
from gateway.delivery.retry import Backoff  # noqa: E402
from gateway.delivery.values import Entry, Settings  # noqa: E402
from gateway.edges import ledger  # noqa: E402
from gateway.edges.delivery_ledger import DeliveryLedger, Flush  # noqa: E402
from gateway.edges.keys import Keys, load_keys, new_keys  # noqa: E402
from gateway.edges.target_contract import ImmediateContract, load_contract  # noqa: E402
from gateway.edges.targets import open_immediate  # noqa: E402
from gateway.ops.worker import collect_rarely  # noqa: E402
from gateway.outcomes import Send  # noqa: E402
from gateway.record import idempotency_key  # noqa: E402
from gateway.sandbox.bench_deliver import TARGET, VARIANTS, national_outputs, sink  # noqa: E402
from gateway.sandbox.calibration import reference_us  # noqa: E402
from gateway.sandbox.embedded import embedded_servers  # noqa: E402
from gateway.workers.delivery_records import Receipts, Shelf, entry_of  # noqa: E402

FETCH = 500
UNDER_WAY = 64


@dataclass(frozen=True, slots=True)
class Read:
    """A record as the consumer gives it."""

    offset: int
    value: bytes
    headers: Sequence[tuple[str, bytes]]
    topic: str = "national.records"
    partition: int = 0
    timestamp: int = 0
    key: bytes | None = None


@dataclass(slots=True)
class Costs:
    """CPU seconds by step."""

    spent: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def of(self, step: str) -> Iterator[None]:
        """Add what the block uses to *step*."""
        began = time.process_time()
        yield
        self.spent[step] += time.process_time() - began


class Run:
    """One variant over a backlog, step by step."""

    def __init__(self, contract: ImmediateContract, url: str, owned: DeliveryLedger) -> None:
        settings = Settings(
            Backoff(0.5, 60), batch_records=contract.batch.records, batch_age_s=0.0, concurrency=contract.concurrency
        )
        self.machine = Machine(settings, lambda: 0.5)
        self.target = open_immediate(contract, url, {"token": "t"})
        self.ledger = owned
        self.shelf = Shelf(0)
        self.receipts = Receipts(TARGET)
        self.costs = Costs()
        self.batches: list[SendBatch] = []
        self.writes: list[Write] = []

    def hear(self, event: Event) -> None:
        """Decide about *event*."""
        with self.costs.of("machine"):
            effects = self.machine.handle(event, 0.0)
        self.batches += [effect for effect in effects if isinstance(effect, SendBatch)]
        self.writes += [effect for effect in effects if isinstance(effect, Write)]

    async def fetched(self, records: Sequence[Read]) -> None:
        """Take *records* from the stream to their end."""
        with self.costs.of("headers"):
            entries = [entry for record in records if isinstance(entry := entry_of(record), Entry)]
        with self.costs.of("ledger: what is known"):
            known = await self.ledger.known([(entry.school_year, entry.record_id) for entry in entries])
        for record in records:
            self.shelf.keep(record)
        self.hear(Received(entries, known, records[-1].offset + 1))
        await self.written()
        while self.batches or self.writes:
            leaving, self.batches = self.batches[:UNDER_WAY], self.batches[UNDER_WAY:]
            batches = [self.translated(batch) for batch in leaving]
            with self.costs.of("request and answers"):
                answers = await asyncio.gather(*(self.target.send(batch) for batch in batches))
            for batch, answer in zip(leaving, answers, strict=True):
                assert answer.whole is None, answer.whole
                self.hear(Answered(batch.batch, answer))
            self.hear(Woke())
            await self.written()

    def translated(self, batch: SendBatch) -> list[Send]:
        """The bodies of *batch*."""
        sends = []
        with self.costs.of("translation and keys"):
            for item in batch.items:
                entry = item.entry
                body = self.shelf.translated(entry.offset, self.shelf.value(entry.offset), item.op)
                assert body is not None
                key = idempotency_key(TARGET, entry.record_id, entry.version, entry.content_hash)
                sends.append(Send(entry.record_id, entry.version, item.op, key, body))
        return sends

    async def written(self) -> None:
        """Commit what the machine wrote, with its receipts."""
        writes, self.writes = self.writes, []
        if not writes:
            return
        flush = Flush(list(writes))
        with self.costs.of("receipts"):
            for write in writes:
                for settle in write.settles:
                    offset = settle.entry.offset
                    flush.receipts.append(self.receipts.settled(settle, self.shelf.origin(offset), 1))
                    self.shelf.forget(offset)
        with self.costs.of("ledger: states and outbox"):
            await self.ledger.write(flush)
        for write in writes:
            self.hear(Written(write.ticket))

    async def published(self) -> None:
        """What the outbox costs beside Kafka."""
        while True:
            with self.costs.of("ledger: outbox read and marked"):
                waiting = await self.ledger.unpublished(1_000)
                if not waiting:
                    return
                await self.ledger.published(waiting)


async def measured(variant: str, records: Sequence[Read], url: str, ledger_url: str, profile: str) -> dict[str, float]:
    """Step → microseconds a record."""
    contract = load_contract(ROOT / "targets" / f"{TARGET}.yaml", {})
    assert isinstance(contract, ImmediateContract)
    changes = msgspec.to_builtins(contract) | VARIANTS[variant]
    contract = msgspec.convert(changes, ImmediateContract)
    async with ledger.make_pool(ledger_url, 4) as pool:
        owned = DeliveryLedger(pool, TARGET, 0, "bench")
        await owned.raise_epoch()
        await owned.renew(600.0)
        run = Run(contract, url, owned)
        run.hear(Started())
        profiler = cProfile.Profile(time.process_time)
        if profile == variant:
            profiler.enable()
        for start in range(0, len(records), FETCH):
            await run.fetched(records[start : start + FETCH])
            await run.published()
        profiler.disable()
        await run.target.aclose()
        if profile == variant:
            pstats.Stats(profiler).sort_stats("tottime").print_stats(45)
    return {step: seconds / len(records) * 1e6 for step, seconds in run.costs.spent.items()}


def _keys() -> Keys:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "keys.json"
        new_keys(path)
        return load_keys(path)


async def main(count: int, profile: str) -> None:
    """Print a table a variant."""
    outputs = list(national_outputs(ROOT / "connectors", _keys(), 1, range(count * len(VARIANTS))))
    for operation, us in reference_us(outputs[0].value).items():
        print(f"{operation:34}{us:8.1f} µs")
    with embedded_servers(kafka=False) as servers:
        ledger.migrate(servers.ledger_url)
        async with sink() as url:
            for number, variant in enumerate(VARIANTS):
                part = outputs[number * count : (number + 1) * count]
                records: list[Any] = [Read(n + number * count, o.value, o.headers) for n, o in enumerate(part)]
                steps = await measured(variant, records, url, servers.ledger_url, profile)
                print(variant)
                for step, us in steps.items():
                    print(f"  {step:32}{us:8.1f} µs")
                print(f"  {'all of these':32}{sum(steps.values()):8.1f} µs", flush=True)


if __name__ == "__main__":
    collect_rarely("deliver:bench")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 4_000, sys.argv[2] if len(sys.argv) > 2 else ""))
