"""The tables of a scaffold: the usual words of a list, those of the sample among them, and what nobody could place."""

from collections.abc import Mapping, Sequence

import msgspec

from gateway.intake.scaffold_subjects import RowList
from gateway.intake.scaffold_words import WORDS
from gateway.intake.values import folded, word
from gateway.national.schema import code_lists

OFFICIAL: Mapping[str, str] = {
    "event": "event_type",
    "gender": "gender",
    "yes": "boolean",
    "level": "secondary_result_level",
    "trait": "primary_quality_level",
    "subject_level": "primary_subject_level",
    "overall": "primary_overall_result",
    "ethnic": "ethnic_group",
}
"""Our name of a table → its official list."""


def tables_text(used: Mapping[str, Sequence[str]], subjects: RowList | None, listed: str, todo: list[str]) -> str:
    """The text of ``tables:`` for the tables in *used* (name → words of the sample); what is left goes into *todo*."""
    parts = [_table(name, words, todo) for name, words in used.items()]
    if subjects is not None:
        parts.append(_subject_table(subjects, listed, todo))
    return "# The vendor's words for official codes; a word in no list is refused (DQ-11).\ntables:" + "".join(
        ["\n", *parts] if parts else [" {}\n"]
    )


def _table(name: str, words: Sequence[str], todo: list[str]) -> str:
    official = OFFICIAL[name]
    if name == "ethnic":
        known = {folded(text) for code in code_lists()[official].values() for text in (code.vietnamese, code.code)}
        lost = [text for text in words if folded(text) not in known]
        return f"  {name}:\n    official: {official}\n    names: true\n" + _lost(name, lost, todo)
    usual = WORDS[official]
    known = {word(text) for texts in usual.values() for text in texts}
    lost = [text for text in words if word(text) not in known]
    lines = "".join(f"      {_quoted(code)}: [{', '.join(map(_quoted, usual[code]))}]\n" for code in usual)
    unused = [code for code in code_lists()[official] if code not in usual]
    more = f"    unused: [{', '.join(map(_quoted, unused))}]\n" if unused else ""
    return f"  {name}:\n    official: {official}\n    words:\n{lines}{more}" + _lost(name, lost, todo)


def _subject_table(subjects: RowList, listed: str, todo: list[str]) -> str:
    words: dict[str, list[str]] = {}
    for text, code in subjects.words.items():
        words.setdefault(code, []).append(text)
    lines = "".join(f"      {_quoted(code)}: [{', '.join(map(_quoted, texts))}]\n" for code, texts in words.items())
    unused = [code for code in code_lists()[listed] if code not in words]
    more = f"    unused: [{', '.join(map(_quoted, unused))}]  # not in the sample: will they come?\n" if unused else ""
    return f"  subject:\n    official: {listed}\n    words:\n{lines}{more}" + _lost("subject", subjects.unknown, todo)


def _lost(name: str, lost: Sequence[str], todo: list[str]) -> str:
    """Words of the sample that are in no list; a person says what they mean."""
    if not lost:
        return ""
    todo.append(f"tables.{name}: {len(lost)} words of the sample have no code yet (listed in mappings/tables.yaml)")
    return f"    # TODO which code is meant by: {', '.join(map(_quoted, lost[:20]))}\n"


def _quoted(value: str) -> str:
    return msgspec.json.encode(value).decode()
