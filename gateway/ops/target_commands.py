"""``hocba targets``: who delivers where, and what holds a target; each alarm with what to do about it."""

from typing import Any

import msgspec
import typer

from gateway.edges.owner_ledger import OwnedSlot, owned_slots
from gateway.errors import catalogue
from gateway.ops import format as show
from gateway.ops.operator_commands import DEFAULT_CONFIG, TargetOption, ask, give_up
from gateway.ops.setup_commands import ConfigOption, JsonOption
from gateway.ops.story import reason

COLUMNS = ("target", "slot", "owner", "lease_left_s", "alarm", "alarm_since")


def targets(target: TargetOption = None, config: ConfigOption = DEFAULT_CONFIG, *, as_json: JsonOption = False) -> None:
    """Show each slot of each target: owner, lease, alarm; exit code 1 when one has an alarm or nobody who may send."""
    rows = ask(config, lambda settings, pool: owned_slots(pool, _named(target, settings.targets), settings.slots))
    plain = [_plain(row) for row in rows]
    if as_json:
        show.print_json(plain)
    else:
        _print(plain)
    raise typer.Exit(1 if any(row.alarm or not row.lease_left_s for row in rows) else 0)


def _named(target: str | None, known: dict[str, Any]) -> list[str]:
    if target is not None and target not in known:
        give_up(f"there is no target {target} in the configuration; targets: {', '.join(known)}")
    return [*known] if target is None else [target]


def _plain(row: OwnedSlot) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(row)
    return plain | {"lease_left_s": round(row.lease_left_s, 1), "problem": reason(row.alarm, "")}


def _print(rows: list[dict[str, Any]]) -> None:
    show.console().print(show.table("targets", COLUMNS, rows))
    for code, problem in sorted({row["alarm"]: row["problem"] for row in rows if row["problem"]}.items()):
        entry = catalogue()[code]
        show.console().print(show.facts(f"{code} {entry.title_en} / {entry.title_vi}", problem))
