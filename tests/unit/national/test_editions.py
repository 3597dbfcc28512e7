"""Editions of the official code lists, picked by circular and school year."""

from pathlib import Path

import pytest

from gateway.errors import Problem
from gateway.intake import rules_lists
from gateway.national import schema
from gateway.national.editions import all_codes, changing, in_force, read_editions

BASE = "list,code,vietnamese,english\nsubject_thcs,15,Toán,Mathematics\nsubject_thcs,26,GDCD,Civic education\n"
LATER = "list,code,vietnamese,english\nsubject_thcs,15,Toán học,Mathematics\nsubject_thcs,77,Môn Mẫu,Sample\n"
INDEX = "file,circular,first_school_year,last_school_year,source\nbase.csv,,,,TT 32\nlater.csv,99,2027,2029,TT 99\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("base.csv", BASE), ("later.csv", LATER), ("editions.csv", INDEX)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("circular", "year", "codes"),
    [
        ("22", 2027, {"15", "26"}),
        ("99", 2026, {"15", "26"}),
        ("99", 2027, {"15", "77"}),
        ("99", 2029, {"15", "77"}),
        ("99", 2030, {"15", "26"}),
        ("", 0, {"15", "26"}),
    ],
)
def test_an_edition_holds_under_its_circular_in_its_years(
    folder: Path, circular: str, year: int, codes: set[str]
) -> None:
    assert in_force(read_editions(folder), "subject_thcs", circular, year).keys() == codes


def test_a_mapping_may_use_the_codes_of_every_edition(folder: Path) -> None:
    codes = all_codes(read_editions(folder))["subject_thcs"]

    assert list(codes) == ["15", "26", "77"]
    assert codes["15"].vietnamese == "Toán học"


def test_an_unknown_list_has_no_codes(folder: Path) -> None:
    assert in_force(read_editions(folder), "nothing", "22", 2025) == {}


def test_only_lists_of_several_editions_depend_on_the_record(folder: Path) -> None:
    assert changing(read_editions(folder)) == {"subject_thcs"}


def test_a_record_is_judged_by_the_edition_of_its_own_year(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(rules_lists, "editions", lambda: read_editions(folder))
        _forget()
        rows = [{"subject_code": "15"}, {"subject_code": "77"}, {"subject_code": "26"}, {"subject_code": None}]
        body = {"school_year": "2027-2028", "education_level": "03", "results": {"subjects": rows}}
        found = [rules_lists.list_problems(body | {"circular": circular}, "secondary") for circular in ("22", "99")]
        without_year = rules_lists.list_problems(body | {"school_year": None}, "secondary")
    _forget()

    assert found == [
        [Problem("DQ-30", "subjects[#1].subject_code")],
        [Problem("DQ-30", "subjects[#2].subject_code")],
    ]
    assert without_year == []


def test_any_coded_field_of_any_place_may_change_its_list(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = LATER + "".join(f"{name},ZZ,Mẫu,Sample\n" for name in ("province_new", "primary_overall_result"))
    (folder / "later.csv").write_text(later, encoding="utf-8")
    (folder / "base.csv").write_text(BASE + later.partition("\n")[2], encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(rules_lists, "editions", lambda: read_editions(folder))
        _forget()
        body = {
            "school_year": "2025-2026", "circular": "27", "education_level": "02",
            "school_province_code": "79", "residence_province_code": "ZZ", "results": {"overall_result": "HT"},
        }  # fmt: skip
        found = rules_lists.list_problems(body, "primary")
    _forget()

    assert found == [Problem("DQ-11", "school_province_code"), Problem("DQ-11", "overall_result")]


def _forget() -> None:
    for remembered in (rules_lists.changing_fields, rules_lists._codes):  # noqa: SLF001  their caches hold the real editions
        remembered.cache_clear()


def test_the_bundled_lists_are_one_edition_so_far() -> None:
    assert changing(schema.editions()) == frozenset()
    assert schema.code_lists().keys() == schema.editions()[0].lists.keys()


def test_the_list_names_of_a_notation() -> None:
    assert schema.lists_of("@subject_thcs or @subject_thpt") == ("subject_thcs", "subject_thpt")
    assert schema.lists_of("1|2") == ()
