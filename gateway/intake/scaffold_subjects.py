"""How a sample carries its subjects: a list of rows, or columns named by subject (``toan_hk1``, ``marks.toan``)."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.intake.scaffold_match import Match, matches
from gateway.intake.scaffold_sample import Leaf, Sample
from gateway.intake.scaffold_words import NAMES, SUFFIXES, plain, subject_words

_SEPARATORS = "_-. "
_BOUNDARY = re.compile(r"[_\-. ]+|(?<=[a-z0-9])(?=[A-Z])")
_ROW_WORDS = {word: field for field, words in SUFFIXES.items() for word in words}


@dataclass(frozen=True, slots=True)
class Columns:
    """Subjects as columns: (code, key as written) and, for each row field, its path with ``{key}``."""

    each: tuple[tuple[str, str], ...]
    paths: Mapping[str, str]
    used: frozenset[str]
    """The leaves that belong to subjects."""


@dataclass(frozen=True, slots=True)
class RowList:
    """Subjects as a list of objects at *path*; *words*: the vendor's word → code, empty where it sends codes."""

    path: str
    fields: Mapping[str, Match]
    words: Mapping[str, str]
    unknown: tuple[str, ...]


def row_list(sample: Sample, listed: str, wanted: Sequence[str]) -> RowList | None:
    """The list whose elements are subjects: half of their codes or names are known ones."""
    names = {name: words for name, words in NAMES["subjects"].items() if name in wanted}
    words = subject_words(listed)
    for path, leaves in sample.lists.items():
        found = matches(names, leaves)
        key = found.get("subject_code") or found.get("subject_name")
        if key is None or not key.leaf.values:
            continue
        known = {value: words[plain(value)] for value in key.leaf.values if plain(value) in words}
        if len(known) * 2 >= len(key.leaf.values):
            codes = all(value == code for value, code in known.items()) and len(known) == len(key.leaf.values)
            unknown = tuple(value for value in key.leaf.values if value not in known)
            return RowList(path, found, {} if codes else known, unknown)
    return None


def columns(leaves: Sequence[Leaf], listed: str, default: str) -> Columns | None:
    """Columns named by subject; *default* is the row field of a column that is the subject's key alone."""
    words = subject_words(listed)
    found = [(leaf, *reading) for leaf in leaves for reading in _readings(leaf, words, default)]
    if len({code for _, code, *_ in found}) < 3:
        return None
    paths: dict[str, str] = {}
    for field in dict.fromkeys(field for *_, field, _ in found):
        templates = Counter(template for *_, one, template in found if one == field)
        paths[field] = templates.most_common(1)[0][0]
    each: dict[str, str] = {}
    for _, code, key, field, template in found:
        if paths[field] == template:
            each.setdefault(code, key)
    fitting = [
        leaf.path for leaf, code, key, field, template in found if paths[field] == template and each[code] == key
    ]
    return Columns(tuple(each.items()), paths, frozenset(fitting))


def _readings(leaf: Leaf, words: Mapping[str, str], default: str) -> Iterator[tuple[str, str, str, str]]:
    """(code, key, row field, path with braces) of a leaf whose path names a subject; the first that fits."""
    for at in range(len(leaf.parts) - 1, -1, -1):
        part = leaf.parts[at]
        for start, end in _cuts(part):
            key = part[start:end]
            code = words.get(plain(key))
            # a digit in a name is a number, not a subject's code
            if code is None or plain(key).isdigit() or key != key.strip(_SEPARATORS):
                continue
            rest = (
                *leaf.parts[:at],
                part[:start].rstrip(_SEPARATORS),
                part[end:].lstrip(_SEPARATORS),
                *leaf.parts[at + 1 :],
            )
            field = _row_field(rest, default)
            if field is not None:
                braces = f"{part[:start]}{{key}}{part[end:]}"
                yield code, key, field, ".".join((*leaf.parts[:at], braces, *leaf.parts[at + 1 :]))
                return


def _cuts(part: str) -> list[tuple[int, int]]:
    """Where a subject's key may stand in a name: all of it, its begin or its end; the longest first."""
    ends = {0, len(part), *(place for match in _BOUNDARY.finditer(part) for place in match.span())}
    cuts = {(a, b) for a in ends for b in ends if a < b and (a == 0 or b == len(part))}
    return sorted(cuts, key=lambda cut: cut[0] - cut[1])


def _row_field(rest: Sequence[str], default: str) -> str | None:
    """The row field the other words of the name tell; *default* for none of them, None for words that say nothing."""
    said = [text for text in rest if text]
    fields = [_ROW_WORDS[plain(text)] for text in said if plain(text) in _ROW_WORDS]
    if len(said) >= 2:
        joined = plain("".join(said[-2:]))
        fields = [_ROW_WORDS[joined]] if joined in _ROW_WORDS else fields
    if fields:
        return fields[-1]
    tail = [text for text in said if plain(text) not in _CONTAINERS]
    return default if not tail else None


_CONTAINERS = {
    "marks",
    "scores",
    "diem",
    "monhoc",
    "mon",
    "subjects",
    "ketqua",
    "results",
    "grades",
    "diemso",
    "bangdiem",
}
