"""``hocba identity precheck``: who would be confirmed, asked months before the peak."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console

from gateway.config import Config
from gateway.edges import operator_ledger
from gateway.edges.identity_verdicts import VerdictStore
from gateway.edges.keys import load_keys
from gateway.ops import format as show
from gateway.ops.operator_commands import DEFAULT_CONFIG, give_up
from gateway.ops.setup_commands import ConfigOption, JsonOption, read_config
from gateway.workers.identity import open_links
from gateway.workers.identity_precheck import Line, NoSuchColumn, Report, precheck, read_lines
from gateway.workers.identity_resolver import Resolver

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


def precheck_command(
    file: Annotated[Path, typer.Option("--from", help="CSV with a header: the columns are named when one is missing.")],
    pace: Annotated[float, typer.Option("--pace", min=0.01, max=1.0, help="Share of the configured rates.")] = 0.5,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    as_json: JsonOption = False,
) -> None:
    """Ask the registers about every pupil of a file, and report by school how they stand, never by name.

    Every answer is kept: stopped anywhere, it goes on from there, and the records of confirmed pupils need no look-up.
    Exit code 0 when every line could be asked about; the report says who is not confirmed.
    """
    try:
        lines = list(read_lines(file.read_text("utf-8-sig").splitlines()))
    except NoSuchColumn as error:
        give_up(f"{file} lacks these columns: {error}")
    settings = at_pace(read_config(config), pace)
    with Console(stderr=True, highlight=False).status("asking") as status:
        report = asyncio.run(_run(settings, lines, lambda done: status.update(f"{done} of {len(lines)} pupils")))
    _show(report, as_json)
    raise typer.Exit(1 if report.unusable else 0)


def at_pace(config: Config, pace: float) -> Config:
    """*config* with a share of every link's rate: the workers may be asking too."""
    replace = msgspec.structs.replace
    links = {name: replace(link, rate_per_s=link.rate_per_s * pace) for name, link in config.identity.links.items()}
    registry = replace(config.registry, rate_per_s=config.registry.rate_per_s * pace)
    return replace(config, registry=registry, identity=replace(config.identity, links=links))


async def _run(config: Config, lines: list[Line], told: Callable[[int], None]) -> Report:
    keys = load_keys(Path(config.keys_file))
    registry, population = open_links(config)
    async with operator_ledger.opened(config.ledger.url) as pool:
        resolver = Resolver(registry, population, VerdictStore(pool, keys), config)
        asking = asyncio.ensure_future(resolver.run())
        checking = asyncio.ensure_future(precheck(resolver, keys.lane_token, lines, told))
        try:
            await asyncio.wait([asking, checking], return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                asking.result()
            return await checking
        finally:
            for task in (asking, checking):
                task.cancel()
            await asyncio.gather(asking, checking, return_exceptions=True)
            for link in (registry, population):
                if link is not None:
                    await link.aclose()


def _show(report: Report, as_json: bool) -> None:
    rows: list[dict[str, Any]] = [
        {"school": school, "pupils": counts.total(), **{word: counts[word] for word in WORDS}}
        for school, counts in sorted(report.schools.items())
    ]
    if as_json:
        show.print_json({"schools": rows, "cached": report.cached, "unusable_lines": report.unusable})
        return
    console = show.console()
    console.print(show.table("pupils by school", ("school", "pupils", *WORDS), rows))
    console.print(f"{report.cached} of them were known already")
    if report.unusable:
        console.print(f"no pupil code, name or birth date in line {', '.join(map(str, report.unusable[:20]))}")
