"""The static check of what rules read against what the cases hold: a misspelled path reads nothing, and nobody hears.

Only JSON and XML say their names nowhere but in messages; CSV columns and Avro fields are declared, so `check_paths`
knows them.  A path counts as met when its names stand in any case, whatever their values.  One that is met nowhere is

    a fault   where an input that no rule reads is spelled nearly so, or has the same name in another place
    a note    else: the vendor may send it another day, and a case should show it
"""

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.config import Fault
from gateway.intake.check_paths import Read, filled, reads
from gateway.intake.connector import WHOLE
from gateway.intake.coverage import Item, leaves, unread
from gateway.intake.language import Definition
from gateway.intake.makers import PathStep, path_steps
from gateway.intake.values import folded

NEAR = 0.8
MOST_NAMED = 3
FORMATS = frozenset({"json", "xml"})


@dataclass(frozen=True, slots=True)
class Unmet:
    """A path that stands in no case; *sure*: an unread input is nearly the same, so it is a slip."""

    fault: Fault
    sure: bool


def unmet(definition: Definition, items: Sequence[Item]) -> list[Unmet]:
    """The paths of *definition* that none of *items* (those of all cases) has; none where there is no case to tell."""
    if definition.profile.format not in FORMATS or not items:
        return []
    inputs = dict.fromkeys(path for item in items for path in _inputs(definition, item))
    free = [path for path, _ in unread(definition, items)]
    found: dict[tuple[str, int, str], Unmet] = {}
    for read in reads(definition):
        paths = filled(read)
        if not any(_stands(path, read, items) for path in paths):
            path = paths[0]
            found.setdefault((read.node.file, read.node.line, path), _said(path, read, inputs, free))
    return list(found.values())


def _said(path: str, read: Read, inputs: Collection[str], free: Collection[str]) -> Unmet:
    whole = _whole(path, read)
    slips = _alike(whole, free)
    near = slips or [one for one in _alike(whole, inputs) if _above(one) == _above(whole)]
    asked = f"; did you mean {', '.join(_as_written(one, path, read) for one in near[:MOST_NAMED])}?" if near else ""
    text = f"{path} stands in no case of the connector{asked}"
    return Unmet(Fault(read.node.file, read.node.line, read.node.path, text), sure=bool(slips))


def _inputs(definition: Definition, item: Item) -> Iterator[str]:
    tree, root = item
    yield from leaves(tree)
    if definition.profile.place not in {"", WHOLE}:
        inside = f"$.{definition.profile.place}."
        yield from (path for path in leaves(root, "$.") if not path.startswith(inside))


def _whole(path: str, read: Read) -> str:
    """*path* as `leaves` name it: from the item, without choices, or with ``$.`` from the message."""
    names = ".".join(step.name for step in path_steps(path))
    if path.startswith("$."):
        return f"$.{names}"
    below = read.rows.path if read.rows is not None and read.rows.path is not None else ""
    return names if path.startswith("^.") or not below or path == below else f"{below}.{names}"


def _as_written(found: str, path: str, read: Read) -> str:
    """The input *found* as the rule that holds *path* would name it."""
    below = read.rows.path if read.rows is not None else None
    if path.startswith("^."):
        return f"^.{found}"
    return found.removeprefix(f"{below}.") if below and path != below else found


def _alike(wanted: str, inputs: Collection[str]) -> list[str]:
    """Those of *inputs* that are nearly *wanted*: in spelling, or in another place; the nearest first."""
    scored = [(score, path) for path in inputs if (score := _likeness(wanted, path)) >= NEAR]
    return [path for _, path in sorted(scored, key=lambda pair: (-pair[0], pair[1]))]


def _likeness(wanted: str, path: str) -> float:
    """0…1; names that differ in their digits (hk1, hk2) are other names."""
    one, other = _plain(wanted), _plain(path)
    if _digits(one) != _digits(other):
        return 0.0
    last, name = _plain(wanted.rpartition(".")[2]), _plain(path.rpartition(".")[2])
    elsewhere = 0.9 if last == name and len(name) > MOST_NAMED else 0.0
    spelled = difflib.SequenceMatcher(None, last, name).ratio() if _above(wanted) == _above(path) else 0.0
    return max(elsewhere, spelled, difflib.SequenceMatcher(None, one, other).ratio() - 0.1)


def _above(path: str) -> str:
    return path.rpartition(".")[0]


def _plain(text: str) -> str:
    return "".join(letter for letter in folded(text) if letter.isalnum())


def _digits(text: str) -> str:
    return "".join(letter for letter in text if letter.isdigit())


def _stands(path: str, read: Read, items: Sequence[Item]) -> bool:
    steps = path_steps(path)
    return any(_leads(steps, start) for item in items for start in _starts(path, read, item))


def _starts(path: str, read: Read, item: Item) -> list[Any]:
    tree, root = item
    if path.startswith("$."):
        return [root]
    below = read.rows.path if read.rows is not None and path != read.rows.path else None
    if path.startswith("^.") or below is None:
        return [tree]
    return _at(path_steps(below), root if below.startswith("$.") else tree)


def _leads(steps: Sequence[PathStep], start: Any) -> bool:
    return bool(_at(steps, start))


def _at(steps: Sequence[PathStep], start: Any) -> list[Any]:
    """What stands at *steps* below *start*, elements of lists each; empty where a name is missing."""
    here = [start]
    for step in steps:
        inside = [element for one in here for element in (one if isinstance(one, list) else [one])]
        here = [one[step.name] for one in inside if isinstance(one, Mapping) and step.name in one]
        if step.field:
            here = [one for one in here if any(step.field in e for e in _listed(one) if isinstance(e, Mapping))]
    return [element for one in here for element in _listed(one)]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) and value else [value]
