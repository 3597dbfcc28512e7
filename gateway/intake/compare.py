"""How two lists of dry-run results differ, field by field: what ``test`` and ``diff`` show.

Results are those of `dry_run` (plain JSON values).  Records are put side by side by their source, rows of subjects by
their code, findings by code, field and rule: so a row that moved is no difference of every row after it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Result = Mapping[str, Any]
ABSENT = object()
"""Stands where a side has no such field."""


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one record that differs; a side without it holds `ABSENT`."""

    source: str
    path: str
    before: object
    after: object

    def __str__(self) -> str:
        """``0.json#0  record.body.full_name: "a" → "b"``."""
        return f"{self.source}  {self.path}: {_said(self.before)} → {_said(self.after)}"

    def as_json(self) -> dict[str, object]:
        """For programs; the side without the field lacks its key."""
        sides = {"before": self.before, "after": self.after}
        here = {side: value for side, value in sides.items() if value is not ABSENT}
        return {"source": self.source, "path": self.path, **here}


def changes(before: Sequence[Result], after: Sequence[Result]) -> list[Change]:
    """Every difference, in the order of the records and of their fields."""
    left, right = ({str(result.get("source")): result for result in side} for side in (before, after))
    found: list[Change] = []
    for source in dict.fromkeys([*left, *right]):
        old, new = (dict(_leaves(side[source])) if source in side else None for side in (left, right))
        if old is None or new is None:
            outcomes = [ABSENT if side is None else side.get("outcome") for side in (old, new)]
            found.append(Change(source, "outcome", *outcomes))
            continue
        paths = dict.fromkeys([*old, *new])
        pairs = ((path, old.get(path, ABSENT), new.get(path, ABSENT)) for path in paths)
        found += [Change(source, *pair) for pair in pairs if pair[1] != pair[2]]
    return found


def _leaves(result: Result) -> Iterator[tuple[str, object]]:
    for name, value in result.items():
        if name == "problems":
            for problem in value:
                rule = f" {problem['rule']}" if problem.get("rule") else ""
                path = f"problems[{problem['code']} {problem['field']}{rule}]"
                yield path, problem.get("severity")
                yield from ((f"{path}.{key}", problem[key]) for key in ("owner", "fix_vi", "fix_en") if key in problem)
        elif name != "source":
            yield from _below(name, value)


def _below(path: str, value: object) -> Iterator[tuple[str, object]]:
    match value:
        case dict() if value:
            for name, inside in value.items():
                yield from _below(f"{path}.{name}", inside)
        case list() if value:
            seen: set[object] = set()
            for index, inside in enumerate(value):
                code = inside.get("subject_code") if isinstance(inside, dict) else None
                label = f"#{index}" if code is None or code in seen else code
                seen.add(code)
                yield from _below(f"{path}[{label}]", inside)
        case _:
            yield path, value


def _said(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case str():
            return f'"{value}"'
        case _:
            return "absent" if value is ABSENT else str(value)
