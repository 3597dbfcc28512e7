"""``hocba demo``: servers, neighbours, vendors and all workers as processes; then the judge, the repair, the judge.

    publish ──► refusals known ──► late wave ──► at rest ──► registry down, a few more ──► FIRST RECKONING
    registry mended, corrections published, orders given ──► at rest ──► workers drained ──► SECOND RECKONING

The demo decides nothing by the gateway's word: it compares the vendors' own file with the targets' own books
(checker.py), and exits 0 only if both reckonings add up and every end state occurred.
"""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from gateway.config import Config
from gateway.edges import ledger
from gateway.edges.clock import monotonic_s
from gateway.edges.connector_files import load_connectors
from gateway.edges.operator_ledger import opened
from gateway.errors import GatewayError
from gateway.record import State
from gateway.sandbox.checker import Verdict, judge
from gateway.sandbox.demo_board import Board
from gateway.sandbox.demo_evidence import LedgerLook, collect
from gateway.sandbox.demo_kills import Workers, perform, plan_kills
from gateway.sandbox.demo_report import Reckoning, json_report, last_words, print_report, problems
from gateway.sandbox.demo_setup import SESSION_S, SLOTS, Addresses, Layout, prepare_topics, write_config
from gateway.sandbox.demo_simulators import Simulator, Staging, simulators
from gateway.sandbox.demo_watch import Watch, make_watch_consumer
from gateway.sandbox.embedded import EmbeddedServerError, default_data_dir, embedded_servers
from gateway.sandbox.folders import fresh_folder
from gateway.sandbox.histories import PUT_RIGHT, Wave
from gateway.sandbox.messes import Plant
from gateway.sandbox.publisher import Publisher
from gateway.sandbox.repair import order
from gateway.sandbox.simulators.faults import FaultPlan
from gateway.sandbox.vendors import Script, write_script

STILL_S: Final = SESSION_S + 2.0
REFUSALS_S: Final = 60.0
ADDS_UP, DOES_NOT, CANNOT = 0, 1, 2
Tell = Callable[[str], None]
MakeWorkers = Callable[[Path, Path, dict[str, int], Tell], Workers]


class FaultLevel(StrEnum):
    """How much goes wrong."""

    OFF = "off"
    LIGHT = "light"
    HEAVY = "heavy"


_KILL_ROUNDS: Final = {FaultLevel.OFF: 0, FaultLevel.LIGHT: 1, FaultLevel.HEAVY: 3}
_EVENTS_PER_S: Final = {FaultLevel.OFF: 0, FaultLevel.LIGHT: 250, FaultLevel.HEAVY: 400}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was asked for."""

    records: int
    faults: FaultLevel
    seed: int
    workers: int = 1
    keep: bool = False
    bootstrap_servers: str | None = None
    ledger_url: str | None = None
    as_json: bool = False

    @property
    def publish_s(self) -> float:
        """How long the main wave takes: kills need records in flight."""
        rate = _EVENTS_PER_S[self.faults]
        return self.records / rate if rate else 0.0

    @property
    def rest_s(self) -> float:
        """How long the run may take to come to rest."""
        return 90.0 + self.records / 50


def run(wish: Wish, stages: Callable[[Config], Sequence[str]], make_workers: MakeWorkers) -> int:
    """Run the demo; the exit code is 0 only if everything adds up."""
    console = Console(stderr=wish.as_json, soft_wrap=True)
    folder = fresh_folder(default_data_dir())
    code = CANNOT
    try:
        with Board(console) as board, _servers(wish, board.tell) as addresses:
            stand = _Stand(wish, Layout(folder), addresses, board, stages, make_workers)
            reckonings = asyncio.run(_demo(stand))
        code = _tell(reckonings, wish, console)
    except (GatewayError, EmbeddedServerError) as error:
        console.print(f"[red]the demo stopped:[/red] {error}", highlight=False)
    except asyncio.CancelledError:
        console.print("[red]the demo was told to stop[/red]", highlight=False)
    finally:
        if wish.keep or code != ADDS_UP:
            for line in last_words(Layout(folder).state / "logs") if code != ADDS_UP else ():
                console.print(line, highlight=False, markup=False)
            console.print(f"files and logs of this run: {folder}", highlight=False)
        else:
            shutil.rmtree(folder)
    return code


def _tell(reckonings: tuple[Reckoning, Reckoning], wish: Wish, console: Console) -> int:
    before, after = reckonings
    print_report(before, after, console)
    if wish.as_json:
        sys.stdout.write(json_report(before, after) + "\n")
    return ADDS_UP if not problems(before, after) else DOES_NOT


@contextmanager
def _servers(wish: Wish, tell: Tell) -> Iterator[Addresses]:
    """The servers asked for; what is not named is embedded."""
    kafka, postgres = wish.bootstrap_servers is None, wish.ledger_url is None
    if not kafka and not postgres:
        yield Addresses(wish.bootstrap_servers or "", wish.ledger_url or "")
        return
    with embedded_servers(kafka=kafka, postgres=postgres, keep=wish.keep, progress=tell) as started:
        yield Addresses(
            wish.bootstrap_servers or started.bootstrap_servers,
            wish.ledger_url or started.ledger_url,
        )


@dataclass(frozen=True, slots=True)
class _Stand:
    """What a run is given."""

    wish: Wish
    layout: Layout
    addresses: Addresses
    board: Board
    stages: Callable[[Config], Sequence[str]]
    make_workers: MakeWorkers


@dataclass(slots=True)
class _Running:
    """What a run has while it runs."""

    config: Config
    script: Script
    publisher: Publisher
    neighbours: Mapping[str, Simulator]
    workers: Workers
    watch: Watch
    began_s: float = 0.0

    @property
    def books(self) -> dict[str, Path]:
        """The targets' books."""
        return {target.name: target.book for target in self.watch.targets}

    def chosen(self, *histories: str) -> frozenset[str]:
        """Event ids of *histories*."""
        return frozenset(sent.event_id for sent in self.publisher.sent if sent.history in histories)


async def _demo(stand: _Stand) -> tuple[Reckoning, Reckoning]:
    wish, board = stand.wish, stand.board
    if task := asyncio.current_task():  # TERM ends it in order, as Ctrl-C does: everything started is stopped
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with _started(stand) as running:
        board.phase("vendors publish")
        await _main_wave(wish, running, board)
        await _late_wave(running, board)
        board.phase("waiting until nothing moves")
        await running.watch.rest(lambda _: False, within_s=wish.rest_s)
        took_s = running.watch.changed_s - running.began_s  # what comes next is not settled before the repair
        seen = await _down_wave(wish, running, board)
        before = Reckoning(await _reckon(running, seen, repaired=False), seen, took_s)
        board.phase("repair")
        await _repair(running, board)
        seen = await running.watch.rest(lambda _: False, within_s=wish.rest_s)
        board.phase("workers drain")
        await running.workers.stop()
        return before, Reckoning(await _reckon(running, seen, repaired=True), seen, took_s)


@asynccontextmanager
async def _started(stand: _Stand) -> AsyncIterator[_Running]:
    """Everything of a run, started in its order and stopped in the other."""
    wish, layout, board = stand.wish, stand.layout, stand.board
    script = write_script(wish.records, wish.seed, SLOTS)
    with layout.pupils.open("wb") as file:
        file.write(msgspec.json.Encoder().encode_lines(script.registry))
    async with AsyncExitStack() as stack:
        staging = Staging(layout.folder, str(wish.faults), wish.seed, layout.pupils, script.refused)
        neighbours = await stack.enter_async_context(simulators(staging))
        config = write_config(layout, stand.addresses, neighbours, os.environ)
        board.tell(f"simulated neighbours are up: {', '.join(neighbours)}")
        await asyncio.to_thread(ledger.migrate, config.ledger.url)
        vendors = {c.vendor for c in load_connectors(Path(config.connectors.path)).values()}
        await prepare_topics(config, vendors)
        pool = await stack.enter_async_context(opened(config.ledger.url))
        consumer = await make_watch_consumer(config)
        stack.push_async_callback(consumer.stop)
        publisher = Publisher(config.kafka, layout.vendors_file)
        await publisher.start()
        stack.push_async_callback(publisher.stop)
        counts = dict.fromkeys(stand.stages(config), wish.workers)
        workers = stand.make_workers(layout.config, layout.state, counts, board.tell)
        await workers.start()
        stack.push_async_callback(workers.stop)
        board.tell(f"workers are started: {', '.join(sorted(workers.pids()))}")
        targets = [neighbours[name] for name in config.targets]
        watch = Watch(config, pool, consumer, targets, board, publisher.sent, workers, STILL_S)
        board.figures.planned = sum(script.events(wave) for wave in Wave if wave is not Wave.REPAIR)
        yield _Running(config, script, publisher, neighbours, workers, watch)


async def _main_wave(wish: Wish, running: _Running, board: Board) -> None:
    """Publish, and kill workers while their records are on the way; ends when every kill is done."""
    watch, script = running.watch, running.script
    running.began_s = watch.changed_s = monotonic_s()
    kills = plan_kills(sorted(running.workers.pids()), _KILL_ROUNDS[wish.faults], wish.seed)
    async with asyncio.TaskGroup() as tasks:
        glancing = tasks.create_task(watch.keep_glancing())
        killing = tasks.create_task(perform(kills, running.workers, watch.done, board.tell))
        await running.publisher.publish(script.waves[Wave.MAIN], over_s=wish.publish_s)
        _, late = await asyncio.wait([killing], timeout=wish.rest_s)
        glancing.cancel()
        killing.cancel()
    if late:
        await watch.give_up(wish.rest_s)


async def _late_wave(running: _Running, board: Board) -> None:
    """What builds on refusals, once the targets have refused."""
    refused = [sent for sent in running.publisher.sent if sent.plant is Plant.REFUSED]
    await running.watch.until_states(refused, State.PARKED, within_s=REFUSALS_S)
    board.phase("vendors cancel some records")
    await running.publisher.publish(running.script.waves[Wave.LATE], over_s=0.0)


async def _down_wave(wish: Wish, running: _Running, board: Board) -> LedgerLook:
    """A few more pupils while the pupil registry does not answer: they wait, and nobody else does."""
    registry = running.neighbours["registry"]
    await registry.change_faults(FaultPlan(down=True))
    board.phase("the pupil registry is down; a few more pupils")
    await running.publisher.publish(running.script.waves[Wave.DOWN], over_s=0.0)
    return await running.watch.rest(lambda sent: sent.wave == Wave.DOWN, within_s=wish.rest_s)


async def _reckon(running: _Running, seen: LedgerLook, *, repaired: bool) -> Verdict:
    evidence = await collect(running.config, running.publisher.sent, running.books, seen, repaired=repaired)
    return judge(evidence)


async def _repair(running: _Running, board: Board) -> None:
    """Put right what was parked, each thing by whoever would do it."""
    script, pool = running.script, running.watch.pool
    registry = running.neighbours["registry"]
    await registry.change_faults(registry.plan)
    await registry.add_pupils(script.mended, replace=True)
    board.tell(f"registry: answers again, {len(script.mended)} entries put right")
    for name in running.books:
        await running.neighbours[name].change_faults(FaultPlan(refuse_records=script.refused))
    corrected = await running.publisher.publish(script.waves[Wave.REPAIR], over_s=0.0)
    board.tell(f"vendors: {len(corrected)} corrected versions published")
    released = await order(pool, "identity", "release", "registry entry put right", running.chosen(*PUT_RIGHT))
    board.tell(f"operators: {released} orders to look up again")
    in_error = running.chosen("cancel of nothing sent", "temporary code")
    count = await order(pool, "identity", "discard", "sent in error, the school agrees", in_error)
    board.tell(f"operators: {count} orders to discard")
    await _release_refused(running, board)


async def _release_refused(running: _Running, board: Board) -> None:
    """Once the corrections have replaced what they correct: release what the targets refused by chance only."""
    await running.watch.rest(lambda _: False, within_s=REFUSALS_S)
    count = await order(running.watch.pool, "delivery", "release", "the target has mended its rule")
    board.tell(f"operators: {count} orders to send again")
