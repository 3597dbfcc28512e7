"""``hocba identity show`` and ``erase``: one pupil at a time, with the name of who asks.

Pupil codes are read from a file or standard input, never from the command line, and never printed back.
"""

import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from gateway.config import Config
from gateway.edges import clock
from gateway.edges.identity_erasure import Erased
from gateway.edges.identity_erasure import erase as erase_lanes
from gateway.edges.identity_link import Duty, RefusedLookup
from gateway.edges.identity_review import ReviewDesk
from gateway.edges.identity_verdicts import ASKED, Audit, Done, VerdictStore
from gateway.edges.keys import Keys, load_keys
from gateway.edges.ledger import Pool
from gateway.edges.pupil_registry import PupilRegistry
from gateway.edges.target_contract import read_credentials
from gateway.identity.chain import People
from gateway.identity.review import side_by_side
from gateway.identity.verdicts import Claim, compare, word_of
from gateway.ops import format as show
from gateway.ops.operator_commands import DEFAULT_CONFIG, ByOption, ReasonOption, ask, give_up, parked_ids
from gateway.ops.setup_commands import ConfigOption, JsonOption
from gateway.outcomes import Unavailable
from gateway.quarantine.plans import ParkedId
from gateway.record import lane_token
from gateway.workers.identity_line import REFUSED, UNANSWERED
from gateway.workers.identity_records import read

COLUMNS = ("candidate", "field", "claimed", "registered", "vi", "en")


def show_command(
    parked_id: Annotated[str, typer.Argument(help="A record of the review: identity:3:77")],
    by: ByOption,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    as_json: JsonOption = False,
) -> None:
    """Ask the registry now who stands behind a parked record's code, and compare field by field, masked.

    The look-up is audited with your name as its officer.  Names show first letters, IDs their last four digits.
    """
    row = parked_ids([parked_id])[0]
    if row.stage != "identity":
        give_up(f"{parked_id} is no record of identity")

    async def told(settings: Config, pool: Pool) -> dict[str, Any]:
        return await _shown(settings, pool, row, by)

    plain = ask(config, told)
    if as_json:
        show.print_json(plain)
        return
    rows = [
        {"candidate": number, **compared}
        for number, candidate in enumerate(plain["candidates"], 1)
        for compared in candidate
    ]
    show.console().print(show.table(f"{parked_id}: {plain['verdict']}", COLUMNS, rows))


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is asked about."""

    lane: int
    claim: Claim = field(repr=False)


async def _shown(settings: Config, pool: Pool, row: ParkedId, by: str) -> dict[str, Any]:
    keys = load_keys(Path(settings.keys_file))
    value = await ReviewDesk(pool, keys).value(row.slot, row.offset)
    item = None if value is None else read(value, row.offset, keys.claim)
    if item is None or item.claim is None:
        give_up(f"{row} is not open, or claims nobody")
    people = await _looked_up(settings, VerdictStore(pool, keys), Asked(item.event.lane, item.claim), by)
    return {
        "id": str(row),
        "verdict": word_of(compare(item.claim, people.candidates)),
        "candidates": [
            [
                {
                    "field": one.field,
                    "how": list(one.hows),
                    "claimed": one.claimed,
                    "registered": one.registered,
                    "vi": one.explained[0],
                    "en": one.explained[1],
                }
                for one in side_by_side(item.claim, person)
            ]
            for person in people.candidates
        ],
    }


async def _looked_up(settings: Config, store: VerdictStore, asked: Asked, by: str) -> People:
    """One audited question to the registry; ends with exit code 1 when it has no answer now."""
    own = settings.registry
    duty, request = Duty(own.purpose, by, "registry"), uuid.uuid4()
    token = read_credentials(Path(own.credentials_file))["token"]
    registry = PupilRegistry(own.url, token, duty, most=1, timeout_s=own.timeout_s)
    await store.asking([Audit(asked.lane, request, duty, ASKED)], clock.now())
    try:
        answer = await registry.ask([asked.claim], request)
    finally:
        await registry.aclose()
    if isinstance(answer, Unavailable | RefusedLookup):
        word = UNANSWERED if isinstance(answer, Unavailable) else REFUSED
        await store.store([], [Audit(asked.lane, request, duty, word)], Done(clock.now()))
        give_up(f"the registry has no answer now ({answer.reason})")
    word = word_of(compare(asked.claim, answer[0].candidates))
    await store.store([], [Audit(asked.lane, request, duty, word)], Done(clock.now()))
    return answer[0]


def erase_command(
    file: Annotated[Path, typer.Argument(help="Pupil codes, one a line; temporary ones too.  - reads stdin.")],
    reason_given: ReasonOption,
    by: ByOption,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    as_json: JsonOption = False,
) -> None:
    """Erase what is kept of these pupils: verdicts, aliases, bodies of closed records; noted with your name.

    Exit code 1 when records of them are open: they are left; settle or discard them, and erase again.
    """
    lines = sys.stdin if str(file) == "-" else file.read_text("utf-8-sig").splitlines()
    codes = [line.strip() for line in lines if line.strip()]

    async def erased(settings: Config, pool: Pool) -> Erased:
        keys = load_keys(Path(settings.keys_file))
        return await erase_lanes(pool, _lanes(keys, codes), reason=reason_given, by=by)

    done = ask(config, erased)
    plain = msgspec.to_builtins(done)
    if as_json:
        show.print_json(plain)
    else:
        show.console().print(show.facts("erased", plain))
    raise typer.Exit(1 if done.open_rows else 0)


def _lanes(keys: Keys, codes: list[str]) -> list[int]:
    return [lane_token(keys.lane_token, code) for code in codes]
