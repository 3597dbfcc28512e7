"""What a run ends with: the table of end states, the reconciliation, and the JSON object of design section 10."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table

from gateway.errors import catalogue
from gateway.record import State
from gateway.sandbox.checker import Verdict
from gateway.sandbox.demo_board import SHOWN
from gateway.sandbox.demo_evidence import LedgerLook

SHOWN_FINDINGS: Final = 20
SHOWN_REASONS: Final = 8
_OPEN: Final = (State.PARKED, State.WAITING)


@dataclass(frozen=True, slots=True)
class Reckoning:
    """The judge's verdict with what the ledger says beside it; *took_s* from the first publish to the last change."""

    verdict: Verdict
    seen: LedgerLook = field(repr=False)
    took_s: float

    @property
    def per_second(self) -> float:
        """Produced records a second."""
        return self.verdict.produced / self.took_s if self.took_s > 0 else 0.0


def never_seen(*reckonings: Reckoning) -> list[State]:
    """The states in which no event stood at any reckoning: then the run has not shown what it is for."""
    met = {
        state
        for reckoning in reckonings
        for states in reckoning.verdict.targets.values()
        for state, count in states.items()
        if count
    }
    return [state for state in State if state not in met]


def problems(before: Reckoning, after: Reckoning) -> list[str]:
    """Everything that does not add up, a sentence each; empty when all is well."""
    found = [f"no event ever ended {state}" for state in never_seen(before, after)]
    for name, reckoning in (("before the repair", before), ("after the repair", after)):
        verdict = reckoning.verdict
        counts = Counter((finding.target, finding.what) for finding in verdict.findings)
        found += [f"{name}: {target or 'stream'}: {count} × {what}" for (target, what), count in counts.items()]
        for target, states in verdict.targets.items():
            if (total := sum(states.values())) != verdict.produced:
                found.append(f"{name}: {target}: {total} states for {verdict.produced} produced records")
    return found


def figures(reckoning: Reckoning) -> dict[str, Any]:
    """The figures of one reckoning by the names of design section 10."""
    verdict, identity = reckoning.verdict, reckoning.seen.identity
    return {
        "produced": verdict.produced,
        "rejected": verdict.rejected,
        "unified": verdict.unified,
        "targets": {
            name: {str(state): states.get(state, 0) for state in SHOWN} for name, states in verdict.targets.items()
        },
        "identity": {
            "confirmed": verdict.unified,
            "waiting": identity.get("waiting", 0),
            "review": identity.get("review", 0),
            "parked": identity.get("parked", 0),
        },
        "lost": verdict.lost,
        "duplicate_effects": verdict.duplicate_effects,
        "unified_duplicates": verdict.unified_duplicates,
        "seconds": round(reckoning.took_s, 1),
        "records_per_second": round(reckoning.per_second, 1),
    }


def json_report(before: Reckoning, after: Reckoning) -> str:
    """One JSON object."""
    return msgspec.json.encode(figures(after) | {"before_repair": figures(before)}).decode()


def print_report(before: Reckoning, after: Reckoning, console: Console) -> None:
    """Tables for a person."""
    console.print(_states_table(before, after))
    console.print(_reasons_table(before, after))
    console.print(_reconciliation(before, after))
    found = problems(before, after)
    for line in found[:SHOWN_FINDINGS]:
        console.print(f"[red]does not add up:[/red] {line}", highlight=False)
    for finding in [*before.verdict.findings, *after.verdict.findings][:SHOWN_FINDINGS]:
        console.print(f"  {finding.what}: {finding.target} event {finding.event_id} record {finding.record_id}")
    if not found:
        console.print(
            f"[green]Everything adds up:[/green] {after.verdict.produced} records produced, nothing lost, nothing "
            f"doubled; {before.took_s:.1f} s from the first publish to rest, {before.per_second:.0f} records/s."
        )


def _states_table(before: Reckoning, after: Reckoning) -> Table:
    targets = sorted(before.verdict.targets)
    columns = [f"{target},\n{when} repair" for target in targets for when in ("before", "after")]
    table = Table("", *columns, title="End states of every record, by target")
    sides = [reckoning.verdict.targets[target] for target in targets for reckoning in (before, after)]
    for state in SHOWN:
        table.add_row(state.replace("_", " "), *(str(side.get(state, 0) or "·") for side in sides))
    table.add_row("sum", *(str(sum(side.values())) for side in sides))
    return table


def _reasons_table(before: Reckoning, after: Reckoning) -> Table:
    """Why records were held, at any target, and whether the repair has helped."""
    table = Table("code", "reason", "whose turn", "before", "after", title="What was held, and why")
    held = [_held(before), _held(after)]
    for code, count in held[0].most_common(SHOWN_REASONS):
        entry = catalogue().get(code)
        title, owner = (entry.title_en, entry.owner) if entry else (code, "")
        table.add_row(code, title, owner.replace("_", " "), str(count), str(held[1][code]))
    shown = {code for code, _ in held[0].most_common(SHOWN_REASONS)}
    others = [sum(count for code, count in side.items() if code not in shown) for side in held]
    table.add_row("", "other reasons", "", *map(str, others))
    table.add_row("", "sum", "", *(str(side.total()) for side in held))
    return table


def _held(reckoning: Reckoning) -> Counter[str]:
    seen = reckoning.seen
    events = {
        (event, seen.reasons.get((event, target), "")) for (event, target), s in seen.states.items() if s in _OPEN
    }
    return Counter(code for _, code in events)


def _reconciliation(before: Reckoning, after: Reckoning) -> Table:
    table = Table("", "before the repair", "after the repair", title="The vendors' file against the targets' books")
    rows = {
        "produced": "produced",
        "rejected": "rejected",
        "in the unified stream": "unified",
        "lost": "lost",
        "doubled effects": "duplicate_effects",
        "doubled in the unified stream": "unified_duplicates",
        "versions that went backwards": "backwards",
        "repeated sends without effect": "duplicate_sends",
    }
    for label, name in rows.items():
        table.add_row(label, str(getattr(before.verdict, name)), str(getattr(after.verdict, name)))
    return table


def last_words(logs: Path) -> list[str]:
    """The last error of each worker's log, for a run that did not end well."""
    found = []
    for log in sorted(logs.glob("*.log")):
        errors = [line for line in log.read_text("utf-8", "replace").splitlines() if _is_error(line)]
        found += [f"{log.stem}: {line}" for line in errors[-1:]]
    return found


def _is_error(line: str) -> bool:
    """A logged error, or a text for a person (which is no JSON)."""
    return '"level": "error"' in line or bool(line.strip() and not line.startswith("{"))
