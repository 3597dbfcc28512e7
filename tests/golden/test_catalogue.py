"""The error catalogue: complete texts, no dead code, a test that provokes each code, and a page that is up to date."""

import re
from functools import cache
from pathlib import Path

import msgspec
import pytest

from gateway.errors import Entry, Problem, Variant, catalogue, describe, rulebook, severity_of
from gateway.ops.error_page import page
from tests.golden.test_dq_table import reported
from tests.golden.texts import text_of
from tests.unit.intake.loaded import ROOT

PROVOKED_BY: dict[str, str] = msgspec.yaml.decode(
    (Path(__file__).parent / "provoked_by.yaml").read_bytes(), type=dict[str, str]
)
CODE = re.compile(r"\b(?:GW|ID|CF|TG|DQ)-\d\d\b")
TEXTS = ("fix_vi", "fix_en", "example_vi", "example_en")
VIETNAMESE = re.compile("[ăâđêôơưáàảãạấầẩẫậắằẳẵặéèẻẽẹếềểễệíìỉĩịóòỏõọốồổỗộớờởỡợúùủũụứừửữựýỳỷỹỵ]", re.IGNORECASE)

Told = Entry | Variant


def entries() -> list[tuple[str, Told]]:
    """Every entry and variant with the code it belongs to."""
    found: list[tuple[str, Told]] = []
    for code, entry in catalogue().items():
        found += [(code, entry), *((code, variant) for variant in entry.variants)]
    return found


@pytest.mark.parametrize("code", catalogue())
def test_a_named_test_or_case_provokes_the_code(code: str) -> None:
    where = PROVOKED_BY.get(code, "")
    entry = catalogue()[code]
    if where == "case":
        assert code in reported(), f"no case of a connector reports {code}"
        return
    text = text_of(where)

    assert text, f"{code}: {where or 'nothing'} does not exist"
    assert entry.silent or entry.reported_as or code in text, f"{where} does not speak of {code}"


def test_nothing_is_said_to_provoke_a_code_that_does_not_exist() -> None:
    assert PROVOKED_BY.keys() <= catalogue().keys()


@cache
def codes_in_use() -> frozenset[str]:
    """The codes that the code, the connectors and the targets' contracts name outside comments."""
    files = [*ROOT.glob("gateway/**/*.py"), *ROOT.glob("connectors/*/*.yaml"), *ROOT.glob("connectors/*/*/*.yaml")]
    found: set[str] = set()
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            quoted = re.findall(r"[\"'](\S+?)[\"']", line) if file.suffix == ".py" else [line.partition("#")[0]]
            found.update(code for text in quoted for code in CODE.findall(text))
    return frozenset(found)


def test_every_code_is_in_use_or_says_that_nobody_is_told_it() -> None:
    unused = {code for code, entry in catalogue().items() if not (entry.silent or entry.reported_as)} - codes_in_use()

    assert unused == set()


def test_every_code_in_use_stands_in_the_catalogue() -> None:
    assert codes_in_use() - catalogue().keys() == set()


def test_a_code_that_is_told_under_another_one_names_one_that_exists() -> None:
    assert {entry.reported_as for entry in catalogue().values()} - {""} <= catalogue().keys()


@pytest.mark.parametrize(("code", "told"), entries())
def test_an_entry_has_its_texts_in_both_languages(code: str, told: Told) -> None:
    for name in TEXTS:
        text = getattr(told, name)
        assert text == text.strip() != "", f"{code}: {name}"
    assert VIETNAMESE.search(told.fix_vi), code
    assert not VIETNAMESE.search(told.fix_en.replace("Đ", "").replace("Nữ", "")), code


@pytest.mark.parametrize(("code", "told"), entries())
def test_a_fix_is_a_sentence_that_can_be_read(code: str, told: Told) -> None:
    for text in (told.fix_vi, told.fix_en):
        assert text[0].isupper() or text[0].isdigit(), code
        assert text.endswith("."), code
        assert len(text) <= 400, code


def test_who_is_told_of_a_rejected_record_can_mend_it() -> None:
    owners = {code: entry.owner for code, entry in catalogue().items() if entry.severity == "reject"}

    assert {code: owner for code, owner in owners.items() if owner not in {"vendor", "school"}} == {}


def test_a_variant_weighs_and_speaks_in_its_own_way() -> None:
    unknown, renumbered, unlisted = (
        Problem("DQ-28", "school_code"), Problem("DQ-28", "school_code", "CV-6165"), Problem("DQ-28", "class_name"),
    )  # fmt: skip

    assert [severity_of(problem) for problem in (unknown, renumbered, unlisted)] == ["reject", "warn", "warn"]
    assert len({describe(problem).fix_vi for problem in (unknown, renumbered, unlisted)}) == 3


def test_too_many_rows_are_no_large_message() -> None:
    assert "row" in describe(Problem("GW-01", "subjects")).fix_en
    assert "Split" in describe(Problem("GW-01")).fix_en


def test_the_page_is_up_to_date() -> None:
    now = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")

    assert now == page(), "docs/errors.md: rewrite it with python -m gateway.ops.error_page"


def test_the_page_has_every_code_and_rule() -> None:
    text = page()

    assert all(f"### {code} " in text for code in catalogue())
    assert all(f"| {rule.rule} |" in text for rule in rulebook().rules)
