"""Which input a national field is probably made from, by names and values; a guess that a person confirms.

An exact known name counts by how many parts of the path it takes (``teacher.name`` beats ``name``); a near name is a
guess; a field of one person (father, principal …) is never read below another.  Each leaf serves one field.
"""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.intake.functions_dates import read_birth, read_instant
from gateway.intake.scaffold_sample import Leaf
from gateway.intake.scaffold_words import PEOPLE, plain
from gateway.intake.values import Refusal

NEAR: Final = 0.86
WORTH_NAMING: Final = 0.68
_GUESS_SCORE: Final = 40.0
_GENERAL: Final = frozenset(
    {"title", "name", "code", "ma", "ten", "nam", "maso", "reason", "id", "year", "comment", "level"}
)
"""Names that say little below another name: ``unit.title`` is no award."""
_WITHDRAWN: Final = 0.4
"""What a name is worth whose values do not fit the field."""

Names = Mapping[str, Sequence[str]]
"""Field → names vendors give it."""


@dataclass(frozen=True, slots=True)
class Match:
    """A field and the leaf it is read from; *sure* where the name is a known one and its values fit."""

    field: str
    leaf: Leaf
    sure: bool


def matches(names: Names, leaves: Sequence[Leaf]) -> dict[str, Match]:
    """Field → its match, the best names first, each leaf once."""
    scored = sorted(_scored(names, leaves), key=lambda found: -found[0])
    taken: set[str] = set()
    found: dict[str, Match] = {}
    for score, name, leaf in scored:
        if name not in found and leaf.path not in taken:
            taken.add(leaf.path)
            found[name] = Match(name, leaf, sure=score >= 2 * _GUESS_SCORE)
    return found


def candidates(field: str, names: Sequence[str], leaves: Sequence[Leaf]) -> list[str]:
    """The paths that are a little like *field*, for a person to choose from; at most three."""
    scored = [(_likeness(leaf, (plain(field), *names)), leaf.path) for leaf in leaves]
    near = sorted((pair for pair in scored if pair[0] >= WORTH_NAMING), reverse=True)
    return [path for _, path in near[:3]]


def _scored(names: Names, leaves: Sequence[Leaf]) -> Iterator[tuple[float, str, Leaf]]:
    for field, known in names.items():
        wanted = {plain(field): 0, **{name: -place for place, name in enumerate(known)}}
        for leaf in leaves:
            if (score := _score(field, wanted, leaf)) > 0:
                yield score, field, leaf


def _score(field: str, wanted: Mapping[str, int], leaf: Leaf) -> float:
    person, about = _person_of_path(leaf), _person_of_field(field)
    if person is not None and person != about:
        return 0.0
    score = 0.0
    for depth, form in enumerate(forms(leaf), start=1):
        if form in wanted:
            known = _GUESS_SCORE + 20 if depth == 1 and form in _GENERAL and leaf.parts[:-1] else 100.0
            score = max(score, known + 10 * depth + 0.1 * wanted[form] + (5 if person == about else 0))
    if not score and _likeness(leaf, tuple(wanted)) >= NEAR:
        score = _GUESS_SCORE + (0 if leaf.path.startswith("$.") else 1)
    if leaf.path.startswith("$."):
        score *= 0.95  # what stands in the item itself is nearer to the pupil
    if field == "version" and (leaf.path.startswith("$.") or not any(map(FITS[field], leaf.values))):
        return 0.0  # the version of a format, not of a record
    fits = FITS.get(field)
    return score * _WITHDRAWN if score and fits and leaf.values and not any(map(fits, leaf.values)) else score


def forms(leaf: Leaf) -> list[str]:
    """The names a path can go by: its last part, that before the one above it, its last two parts joined, and so on."""
    parts, named = leaf.parts, _joined(leaf)
    above = parts[-2] if len(parts) > 1 else leaf.above
    turned = plain(f"{parts[-1]}{above}") if above else ""  # truong.ten: in Vietnamese the word for it comes first
    return [*named[:1], *([turned] if turned else []), *named[1:]]


def _joined(leaf: Leaf) -> list[str]:
    return [plain("".join(leaf.parts[-count:])) for count in range(1, len(leaf.parts) + 1)]


def _likeness(leaf: Leaf, known: Sequence[str]) -> float:
    """How near the nearest of *known* is, 0…1; a name with other digits (hk1, hk2) is another name."""
    pairs = ((form, name) for form in _joined(leaf)[:2] for name in known if len(name) > 3)
    near = (difflib.SequenceMatcher(None, *pair).ratio() for pair in pairs if _digits(pair[0]) == _digits(pair[1]))
    return max(near, default=0.0)


def _digits(name: str) -> str:
    return "".join(letter for letter in name if letter.isdigit())


def _person_of_path(leaf: Leaf) -> str | None:
    for part in reversed(leaf.parts):
        for person, words in PEOPLE.items():
            if plain(part) in words:
                return person
    return None


def _person_of_field(field: str) -> str | None:
    return next((person for person in PEOPLE if field.startswith(f"{person}_")), None)


def _is_moment(value: str) -> bool:
    return isinstance(read_instant(value), int) or not isinstance(read_birth(value, excel=True), Refusal)


def _matching(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.ASCII | re.IGNORECASE)
    return lambda value: compiled.fullmatch(value) is not None


FITS: Mapping[str, Callable[[str], bool]] = {
    "pupil_code": _matching(r"\d{8,20}|TAM-.+"),
    "citizen_id": _matching(r"[\d .]{9,20}"),
    "school_leader_citizen_id": _matching(r"[\d .]{9,20}"),
    "homeroom_teacher_citizen_id": _matching(r"[\d .]{9,20}"),
    "subject_teacher_citizen_id": _matching(r"[\d .]{9,20}"),
    "school_year": _matching(r"\d{4}\s*[-–—/]\s*\d{4}"),
    "grade_code": _matching(r"(?:\D*\s)?\d{1,2}"),
    "version": _matching(r"\d{1,12}"),
    "education_level": _matching(r"0?[2-5]"),
    "school_province_code": _matching(r"\d{1,2}"),
    "department_code": _matching(r"\d{2}"),
    "birth_date": _is_moment,
    "issue_date": _is_moment,
    "created_date": _is_moment,
    "occurred_at": _is_moment,
    "full_name": _matching(r"[^\d]+"),
    "school_name": _matching(r".*\D.*"),
    "class_name": _matching(r".*\D.*"),
    "promotion_text": _matching(r".{4,}"),
}
"""Field → whether a value can be one of it at all."""
