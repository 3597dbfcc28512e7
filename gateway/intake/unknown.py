"""Counting the input names that no rule reads, for the drift report (design rule 9).

Items of one vendor mostly have the same names in the same order, so a shape that was found known is known.
"""

from collections.abc import Mapping
from typing import Any, Final

from gateway.intake.decode_xml import ANCHORS

MAX_UNKNOWN: Final = 64
LONGEST: Final = 80
SHAPES: Final = 64

Shape = tuple[str, ...]


class Known:
    """A tree of known names: name → what is known below; empty where all below is."""

    __slots__ = ("_below", "_last", "_names", "_seen")

    def __init__(self, tree: Mapping[str, Any]) -> None:
        self._names = frozenset(tree) | ANCHORS
        self._below = tuple((name, Known(below)) for name, below in tree.items() if below)
        self._last: Shape = ()
        self._seen: set[Shape] = set()

    def count(self, tree: dict[str, Any], shape: Shape, counts: dict[str, int], most: int, path: str = "") -> None:
        """Adds the unknown names of *tree*, whose names are *shape*; bounded, for names and lists are the vendor's."""
        if shape == self._last or shape in self._seen:
            self._last = shape
        elif self._names.issuperset(shape):
            if len(self._seen) < SHAPES:
                self._seen.add(shape)
        else:
            _add(tree.keys() - self._names, path, counts)
        for name, below in self._below:
            if name in tree:
                inside = tree[name]
                for element in inside[:most] if isinstance(inside, list) else (inside,):
                    if isinstance(element, dict):
                        below.count(element, tuple(element), counts, most, f"{path}{name}.")


def _add(names: set[str], path: str, counts: dict[str, int]) -> None:
    for name in names:
        label = f"{path}{name}"[:LONGEST]
        if label in counts or len(counts) < MAX_UNKNOWN:
            counts[label] = counts.get(label, 0) + 1
