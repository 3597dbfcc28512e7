"""Code tables at run time: a vendor's word to the official code, looked up as it stands and then in comparison form.

A word for two codes is a fault of the table.  A word of no code is refused (DQ-11), never guessed.
"""

from gateway.intake.language import Table
from gateway.intake.nodes import Faults
from gateway.intake.values import NOT_LISTED, Refusal, Step, as_text, as_word, folded, word
from gateway.national.schema import code_lists

UNDECLARED_SEX = Refusal("DQ-17")
BOOLEANS = {"1": True, "0": False}


def spellings(table: Table, faults: Faults) -> dict[str, str | None]:
    """Every known word, in comparison form, with its code; None for words that mean nothing."""
    known: dict[str, str | None] = {_form(table, text): None for text in table.nothing}
    for code, texts in _all_words(table).items():
        for text in texts:
            form = _form(table, text)
            if known.get(form, code) != code:
                faults.add(table.node, f"a word of code {code} is also a word of code {known[form]}")
            known[form] = code
    return known


def _form(table: Table, text: str) -> str:
    return folded(text) if table.names else word(text)


def _all_words(table: Table) -> dict[str, tuple[str, ...]]:
    if not table.names:
        return dict(table.words)
    names = {code: (entry.vietnamese, code) for code, entry in code_lists().get(table.official, {}).items()}
    return {code: names.get(code, ()) + table.words.get(code, ()) for code in names.keys() | table.words.keys()}


def look_up(table: Table, *, boolean: bool) -> Step:
    """The step of *table*; with *boolean* it gives True and False for the codes 1 and 0."""
    codes = spellings(table, Faults())
    known: dict[str, object] = {
        form: BOOLEANS.get(code or "", code) if boolean else code for form, code in codes.items()
    }
    form = folded if table.names else word
    text_of = as_word if table.official == "boolean" else as_text
    refusal = UNDECLARED_SEX if table.official == "gender" else Refusal("DQ-11", table.official)
    if table.official.startswith("subject_"):
        refusal = Refusal("DQ-30")

    def step(value: object) -> object:
        if value.__class__ is str and value in known:
            return known[value]
        found = text_of(value)
        if not isinstance(found, str):
            return refusal if found is NOT_LISTED else found
        return known.get(form(found), refusal) if found else None

    return step
