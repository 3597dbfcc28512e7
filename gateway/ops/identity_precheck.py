"""``hocba identity precheck``: who would be confirmed, asked months before the peak.

Beside the cache, a state file keeps the report and the place reached after every thousand pupils: the same command goes
on from there.  It holds counts by school and no person.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from gateway.config import Config
from gateway.edges import operator_ledger
from gateway.edges.identity_verdicts import VerdictStore
from gateway.edges.keys import Keys, load_keys
from gateway.ops import format as show
from gateway.ops.operator_commands import DEFAULT_CONFIG, give_up
from gateway.ops.setup_commands import ConfigOption, JsonOption, read_config
from gateway.workers.identity import open_links
from gateway.workers.identity_precheck import Chunk, Report, Told, precheck
from gateway.workers.identity_resolver import Resolver
from gateway.workers.precheck_sources import NoSuchColumn, file_chunks, topic_chunks

WORDS: Final = (
    "confirmed",
    "confirmed_with_differences",
    "mismatch",
    "unconfirmed",
    "not_found",
    "several",
    "not_applicable",
    "temporary_code",
    "unusable",
)


class State(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The state file: what is being read, how large it was, and the report so far."""

    source: str
    size_bytes: int = 0
    report: Report


def precheck_command(
    source: Annotated[
        str, typer.Option("--from", help="A CSV file with a header (missing columns are named), or a topic.")
    ],
    pace: Annotated[float, typer.Option("--pace", min=0.01, max=1.0, help="Share of the configured rates.")] = 0.5,
    state: Annotated[
        Path | None, typer.Option("--state", help="Where the place reached is kept.  Default: below state_dir.")
    ] = None,
    afresh: Annotated[bool, typer.Option("--afresh", help="Begin again; the answers stay.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    as_json: JsonOption = False,
) -> None:
    """Ask the registers about every pupil of a file or a topic, and report by school how they stand, never by name.

    A topic is gateway.mapped, or a vendor's own, mapped by its connector as intake would.  Every answer is kept, and so
    is the place reached: stopped anywhere, the same command goes on from there, and the records of confirmed pupils
    need no look-up.  Exit code 0 when every line could be asked about; the report says who is not confirmed.
    """
    settings = at_pace(read_config(config), pace)
    path = state or Path(settings.state_dir) / f"precheck-{Path(source).name}.json"
    begun = read_state(path, source, afresh=afresh)
    try:
        report = asyncio.run(_run(settings, begun, path))
    except NoSuchColumn as error:
        give_up(f"{source} lacks these columns: {error}")
    path.unlink(missing_ok=True)  # done: the same command begins again
    _show(report, as_json)
    raise typer.Exit(1 if report.unusable else 0)


def at_pace(config: Config, pace: float) -> Config:
    """*config* with a share of every link's rate: the workers may be asking too."""
    replace = msgspec.structs.replace
    links = {name: replace(link, rate_per_s=link.rate_per_s * pace) for name, link in config.identity.links.items()}
    registry = replace(config.registry, rate_per_s=config.registry.rate_per_s * pace)
    return replace(config, registry=registry, identity=replace(config.identity, links=links))


def read_state(path: Path, source: str, *, afresh: bool) -> State:
    """Where the last run on *source* was cut off; ends with exit code 1 when the file has changed since."""
    size_bytes = Path(source).stat().st_size if Path(source).is_file() else 0
    fresh = State(source=source, size_bytes=size_bytes, report=Report())
    if afresh or not path.exists():
        return fresh
    kept = msgspec.json.decode(path.read_bytes(), type=State)
    if (kept.source, kept.size_bytes) != (source, size_bytes):
        give_up(f"{path} was kept for {kept.source} as it was then; go on with that, or begin again with --afresh")
    return kept


def write_state(path: Path, state: State) -> None:
    """Keep *state* whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(msgspec.json.encode(state))
    fresh.replace(path)


async def _run(config: Config, state: State, path: Path) -> Report:
    keys = load_keys(Path(config.keys_file))
    registry, population = open_links(config)
    chunks = _chunks(config, keys, state)
    with closing(_Bar(state)) as bar:

        def told(_: Report) -> None:
            write_state(path, state)
            bar.move()

        async with operator_ledger.opened(config.ledger.url) as pool:
            resolver = Resolver(registry, population, VerdictStore(pool, keys), config)
            try:
                return await _beside(resolver, keys, chunks, state.report, told)
            finally:
                for link in (registry, population):
                    if link is not None:
                        await link.aclose()


async def _beside(resolver: Resolver, keys: Keys, chunks: AsyncIterator[Chunk], report: Report, told: Told) -> Report:
    """The pre-check while *resolver* runs; what ends the resolver ends both."""
    asking = asyncio.ensure_future(resolver.run())
    checking = asyncio.ensure_future(precheck(resolver, keys, chunks, report, told))
    try:
        await asyncio.wait([asking, checking], return_when=asyncio.FIRST_COMPLETED)
        if asking.done():
            asking.result()
        return await checking
    finally:
        for task in (asking, checking):
            task.cancel()
        await asyncio.gather(asking, checking, return_exceptions=True)


def _chunks(config: Config, keys: Keys, state: State) -> AsyncIterator[Chunk]:
    place = state.report.place
    if Path(state.source).is_file():
        return file_chunks(Path(state.source), place)
    return topic_chunks(config, keys, state.source, place)


class _Bar:
    """The progress on standard error: pupils done, of how many where that is known, and when it will end."""

    def __init__(self, state: State) -> None:
        self._report = state.report
        columns = (TextColumn("pupils"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=Console(stderr=True, highlight=False))
        total = _lines_of(Path(state.source)) if Path(state.source).is_file() else None
        self._task = self._progress.add_task("pupils", total=total, completed=state.report.pupils)
        self._progress.start()

    def move(self) -> None:
        self._progress.update(self._task, completed=self._report.pupils)

    def close(self) -> None:
        self._progress.stop()


def _lines_of(path: Path) -> int:
    """About how many pupils a file has: its lines without the header."""
    with path.open("rb") as file:
        return max(0, sum(1 for _ in file) - 1)


def _show(report: Report, as_json: bool) -> None:
    rows: list[dict[str, Any]] = [
        {"school": school, "pupils": sum(counts.values()), **{word: counts.get(word, 0) for word in WORDS}}
        for school, counts in sorted(report.schools.items())
    ]
    if as_json:
        told = {"unusable": report.unusable, "unusable_lines": report.unusable_lines}
        show.print_json({"schools": rows, "pupils": report.pupils, "cached": report.cached, **told})
        return
    console = show.console()
    console.print(show.table("pupils by school", ("school", "pupils", *WORDS), rows))
    console.print(f"{report.cached} of them were known already")
    if report.unusable:
        lines = ", ".join(map(str, report.unusable_lines[:20]))
        console.print(f"no pupil code, name or birth date in {report.unusable} lines: {lines}")
