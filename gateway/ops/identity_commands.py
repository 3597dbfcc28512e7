"""What people tell identity: official codes of pupils who came under temporary ones, and who a pupil is.

Pupil codes and citizen IDs are personal data (a temporary code may hold an ID), so they are read from a file or
standard input, never from the command line, which others can see, and never printed back: a faulty line is named by its
number.
"""

import csv
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from gateway.config import Config
from gateway.edges import clock
from gateway.edges.identity_aliases import Alias, AliasStore, Recorded
from gateway.edges.identity_recheck import RECHECKED, Wish
from gateway.edges.identity_recheck import recheck as order_rechecks
from gateway.edges.identity_review import REVIEWED, Decision, Review, ReviewDesk
from gateway.edges.keys import load_keys
from gateway.edges.ledger import Pool
from gateway.ops import format as show
from gateway.ops.identity_people import erase_command, show_command
from gateway.ops.identity_precheck import precheck_command
from gateway.ops.operator_commands import DEFAULT_CONFIG, ByOption, LimitOption, ReasonOption, ask, give_up, parked_ids
from gateway.ops.setup_commands import ConfigOption, JsonOption

CITIZEN_ID_DIGITS: Final = 12
REVIEW_COLUMNS: Final = ("id", "vendor", "school_code", "code", "verdict", "differences", "parked_at")
CodesOption = Annotated[list[str] | None, typer.Option("--code", help="Only this reason; may be given again.")]

app = typer.Typer(no_args_is_help=True)


@app.callback()
def identity() -> None:
    """Pupils' identities."""


def _desk(settings: Config, pool: Pool) -> ReviewDesk:
    return ReviewDesk(pool, load_keys(Path(settings.keys_file)))


app.command("precheck")(precheck_command)
app.command("show")(show_command)
app.command("erase")(erase_command)


@app.command("review")
def review(
    codes: CodesOption = None,
    school: Annotated[str, typer.Option("--school", help="Only this school.")] = "",
    limit: LimitOption = 100,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    as_json: JsonOption = False,
) -> None:
    """List the records that wait for a person, with the fields that differ and how, and no value."""

    async def waiting(settings: Config, pool: Pool) -> list[Review]:
        return await _desk(settings, pool).waiting(codes or REVIEWED, school=school, limit=limit)

    plain = [msgspec.to_builtins(one) for one in ask(config, waiting)]
    if as_json:
        show.print_json(plain)
    else:
        show.console().print(show.table("to be reviewed", REVIEW_COLUMNS, plain))


@app.command("confirm")
def confirm(
    parked_id: Annotated[str, typer.Argument(help="A record of the review: identity:3:77")],
    file: Annotated[Path, typer.Argument(help="A file with the pupil's citizen ID alone. - reads stdin.")],
    reason_given: ReasonOption,
    by: ByOption,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    as_json: JsonOption = False,
) -> None:
    """Decide, with your name, which citizen ID a reviewed pupil has, and release the records that wait for it.

    The decision holds for exactly this claim (code, name, birth date, sex, ID): a corrected one is looked up anew.
    """
    row = parked_ids([parked_id])[0]
    citizen_id = (sys.stdin.readline() if str(file) == "-" else file.read_text("utf-8-sig")).strip()
    if len(citizen_id) != CITIZEN_ID_DIGITS or not citizen_id.isdecimal():
        give_up(f"a citizen ID has {CITIZEN_ID_DIGITS} digits and stands alone")
    if row.stage != "identity":
        give_up(f"{parked_id} is no record of identity")
    decision = Decision(row.slot, row.offset, citizen_id, reason_given, by)

    async def confirmed(settings: Config, pool: Pool) -> int:
        return await _desk(settings, pool).confirm(decision, clock.now())

    released = ask(config, confirmed)
    if not released:
        give_up(f"{parked_id} does not wait for a person")
    _tell("confirmed", {"released": released}, as_json)


@app.command("recheck")
def recheck(
    reason_given: ReasonOption,
    by: ByOption,
    codes: CodesOption = None,
    most: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many, the oldest first.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    as_json: JsonOption = False,
) -> None:
    """Order fresh look-ups of pupils who were not found, had no ID or were not confirmed.

    The tower orders the same every night by itself, as far as the waiting rows leave room (identity.recheck_cron).
    """
    wish = Wish(reason_given, by, clock.now(), codes or RECHECKED, most)

    async def ordered(_: Config, pool: Pool) -> int:
        return await order_rechecks(pool, wish)

    _tell("look-ups", {"ordered": ask(config, ordered)}, as_json)


def _tell(title: str, plain: dict[str, object], as_json: bool) -> None:
    if as_json:
        show.print_json(plain)
    else:
        show.console().print(show.facts(title, plain))


@app.command("alias")
def alias(
    file: Annotated[Path, typer.Argument(help="CSV without a header: temporary code, official code. - reads stdin.")],
    reason_given: ReasonOption,
    by: ByOption,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    as_json: JsonOption = False,
) -> None:
    """Record which official codes temporary pupil codes have become, and let their records go on under them.

    Exit code 1 when a line is faulty (nothing is recorded then) or contradicts what was recorded before.
    """
    aliases = read_aliases(sys.stdin if str(file) == "-" else file.read_text("utf-8-sig").splitlines())

    async def recorded(settings: Config, pool: Pool) -> Recorded:
        store = AliasStore(pool, load_keys(Path(settings.keys_file)))
        return await store.record(aliases, reason=reason_given, by=by)

    done = ask(config, recorded)
    told = {"new": done.new, "known": done.known, "conflicts": list(done.conflicts), "released": done.released}
    _tell("aliases", told, as_json)
    raise typer.Exit(1 if done.conflicts else 0)


def read_aliases(lines: Iterable[str]) -> list[Alias]:
    """The aliases in *lines*; ends with exit code 1, naming every faulty line by its number."""
    aliases: list[Alias] = []
    faulty: list[int] = []
    for number, row in enumerate(csv.reader(lines), 1):
        cells = [cell.strip() for cell in row]
        if len(cells) == 2 and all(cells) and cells[0] != cells[1] and cells[1].isdecimal():
            aliases.append(Alias(cells[0], cells[1]))
        elif any(cells):
            faulty.append(number)
    if faulty:
        places = ", ".join(map(str, faulty[:20]))
        give_up(f"not a temporary code and an official code of digits, two cells a line: line {places}")
    return aliases
