"""A whole installation for a proof: servers, neighbours, supervised workers, vendors and the judge.

The judge is the demo's: the vendors' own file against the simulators' own books (gateway/sandbox/checker.py).
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, LiteralString

import msgspec
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError
from rich.console import Console

from gateway.config import Config
from gateway.edges import ledger
from gateway.edges.connector_files import load_connectors
from gateway.edges.operator_ledger import opened
from gateway.ops.supervisor import Backoff, Plan, Supervisor
from gateway.ops.worker import stage_names
from gateway.sandbox.checker import Verdict, judge
from gateway.sandbox.demo_board import Board
from gateway.sandbox.demo_evidence import collect, read_tallies
from gateway.sandbox.demo_setup import SLOTS, Addresses, Layout, prepare_topics, write_config
from gateway.sandbox.demo_simulators import Simulator, Staging, simulators
from gateway.sandbox.demo_watch import Watch, make_watch_consumer
from gateway.sandbox.embedded import embedded_servers
from gateway.sandbox.histories import Wave
from gateway.sandbox.publisher import Publisher
from gateway.sandbox.vendors import Script, write_script

STILL_S = 5.0
QUICK = Backoff(base_s=0.1, cap_s=1.0)


@dataclass
class Installation:
    """A running installation."""

    config: Config
    layout: Layout
    script: Script
    publisher: Publisher
    neighbours: dict[str, Simulator]
    workers: Supervisor
    watch: Watch
    admin: AIOKafkaAdminClient

    async def publish(self, over_s: float) -> None:
        """All waves that need no repair, spread over *over_s* seconds."""
        for wave in (Wave.MAIN, Wave.LATE):
            await self.publisher.publish(self.script.waves[wave], over_s=over_s if wave is Wave.MAIN else 0.0)

    async def verdict(self, within_s: float) -> Verdict:
        """Wait until nothing moves, then let the judge compare."""
        seen = await self.watch.rest(lambda _: False, within_s=within_s)
        books = {name: self.neighbours[name].book for name in self.config.targets}
        return judge(await collect(self.config, self.publisher.sent, books, seen, repaired=False))

    async def handled(self, stage: str) -> int:
        """How many records *stage* has surely handled so far; markers of transactions are no records."""
        match stage.partition(":"):
            case ("intake", _, _):
                return await self._taken_in()
            case ("identity", _, _):
                return await self._number("SELECT coalesce(sum(version), 0) FROM heads")
            case ("deliver", _, target):
                return (await self.neighbours[target].progress())["effects"]
            case _:
                return sum((await read_tallies(self.watch.pool)).values()) // len(self.config.targets)

    async def _taken_in(self) -> int:
        """Messages of vendors that the intake group has committed."""
        group = f"{self.config.kafka.group_prefix}.intake"
        try:
            offsets = await self.admin.list_consumer_group_offsets(group)
        except GroupCoordinatorNotAvailableError:
            return 0
        return sum(max(0, offset.offset) for offset in offsets.values())

    async def _number(self, query: LiteralString) -> int:
        async with self.watch.pool.connection() as connection:
            row = await (await connection.execute(query)).fetchone()
        return int(str(row[0])) if row else 0


@asynccontextmanager
async def installation(
    folder: Path,
    *,
    records: int,
    faults: str = "light",
    seed: int = 1,
    environment: Mapping[str, str] | None = None,
    registry: Sequence[dict[str, Any]] = (),
) -> AsyncIterator[Installation]:
    """Start everything with embedded servers below *folder*; stop it in the other order.

    *registry* are entries of pupils beside those of the script.
    """
    layout, script = Layout(folder), write_script(records, seed, SLOTS)
    layout.pupils.write_bytes(msgspec.json.Encoder().encode_lines([*script.registry, *registry]))
    async with AsyncExitStack() as stack:
        servers = stack.enter_context(embedded_servers())
        staging = Staging(folder, faults, seed, layout.pupils, script.refused)
        neighbours = await stack.enter_async_context(simulators(staging))
        addresses = Addresses(servers.bootstrap_servers, servers.ledger_url)
        config = write_config(layout, addresses, neighbours, os.environ)
        await asyncio.to_thread(ledger.migrate, config.ledger.url)
        await prepare_topics(config, {c.vendor for c in load_connectors(Path(config.connectors.path)).values()})
        pool = await stack.enter_async_context(opened(config.ledger.url))
        consumer = await make_watch_consumer(config)
        stack.push_async_callback(consumer.stop)
        publisher = Publisher(config.kafka, layout.vendors_file)
        await publisher.start()
        stack.push_async_callback(publisher.stop)
        plan = Plan(
            config=layout.config,
            state_dir=layout.state,
            workers=dict.fromkeys(stage_names(config), 1),
            environment=environment or {},
            backoff=QUICK,
        )
        workers = Supervisor(plan, tell=print)
        await workers.start()
        stack.push_async_callback(workers.stop)
        targets = [neighbours[name] for name in config.targets]
        board = Board(Console(file=StringIO()))
        board.figures.planned = script.events(Wave.MAIN) + script.events(Wave.LATE)
        watch = Watch(config, pool, consumer, targets, board, publisher.sent, workers, STILL_S)
        admin = AIOKafkaAdminClient(bootstrap_servers=servers.bootstrap_servers)
        await admin.start()
        stack.push_async_callback(admin.close)
        yield Installation(config, layout, script, publisher, neighbours, workers, watch, admin)
