"""The registry's answer held against a claim."""

from dataclasses import replace

import pytest

from gateway.errors import Problem, describe
from gateway.identity.names import How
from gateway.identity.verdicts import (
    Claim,
    Confirmed,
    Difference,
    Mismatch,
    NotApplicable,
    NotFound,
    Several,
    Unconfirmed,
    Verdict,
    births_differ,
    claim_hash,
    compare,
    problems_of,
    word_of,
)
from tests.fakes.identity import Person

CLAIM = Claim("0199990001", "001210999901", "Nguyễn Mẫu Ân", "2012-05-03", "1")
PERSON = Person("001210999901", "Nguyễn Mẫu Ân", "2012-05-03", "1")


def test_a_pupil_who_agrees_in_everything_is_confirmed() -> None:
    assert compare(CLAIM, [PERSON]) == Confirmed("001210999901")


def test_a_confirmed_pupil_without_a_claimed_id_is_given_the_registrys() -> None:
    assert compare(replace(CLAIM, citizen_id=None), [PERSON]) == Confirmed("001210999901")


def test_an_id_that_lost_its_leading_zeros_is_confirmed_by_the_lookup() -> None:
    assert compare(replace(CLAIM, citizen_id="1210999901"), [PERSON]) == Confirmed("001210999901")


@pytest.mark.parametrize("birth", ["2012", "2012-05"])
def test_a_birth_date_agrees_to_the_precision_given(birth: str) -> None:
    assert isinstance(compare(replace(CLAIM, birth=birth), [PERSON]), Confirmed)


def test_unknown_sex_contradicts_nothing() -> None:
    assert isinstance(compare(replace(CLAIM, gender="0"), [PERSON]), Confirmed)
    assert isinstance(compare(CLAIM, [replace(PERSON, gender="0")]), Confirmed)


def test_a_name_typed_without_diacritics_is_confirmed_with_a_warning() -> None:
    verdict = compare(replace(CLAIM, full_name="Nguyen Mau An"), [PERSON])

    assert verdict == Confirmed("001210999901", (Difference("full_name", How.DIACRITICS),))
    assert isinstance(verdict, Confirmed)
    assert verdict.warnings == (Problem("DQ-04", "full_name", "diacritics"),)
    assert word_of(verdict) == "confirmed_with_differences"


def test_a_moved_tone_mark_or_another_apostrophe_is_kept_as_a_difference_and_warns_of_nothing() -> None:
    verdict = compare(replace(CLAIM, full_name="H’ Mẫu  Thuý"), [replace(PERSON, full_name="H'Mẫu Thúy")])

    assert verdict == Confirmed(
        "001210999901", (Difference("full_name", How.SPACING), Difference("full_name", How.TONE_PLACE))
    )
    assert isinstance(verdict, Confirmed)
    assert (verdict.warnings, word_of(verdict)) == ((), "confirmed")


def test_a_stale_verdict_says_so() -> None:
    assert Confirmed("1", stale=True).warnings == (Problem("ID-07", "citizen_id"),)
    assert describe(Problem("ID-07")).severity == "warn"


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        (replace(CLAIM, full_name="Nguyễn Mẫu Ấn"), {"full_name": How.TONE}),
        (replace(CLAIM, birth="2012-05-04"), {"birth_date": How.DIFFERENT}),
        (replace(CLAIM, birth="2012-03-05"), {"birth_date": How.ORDER}),
        (replace(CLAIM, gender="2"), {"gender": How.DIFFERENT}),
        (replace(CLAIM, citizen_id="001210999902"), {"citizen_id": How.DIFFERENT}),
        (replace(CLAIM, full_name="Lê Mẫu", gender="2"), {"full_name": How.DIFFERENT, "gender": How.DIFFERENT}),
    ],
)
def test_any_other_difference_names_its_fields_and_no_value(claim: Claim, expected: dict[str, How]) -> None:
    verdict = compare(claim, [PERSON])

    assert verdict == Mismatch(tuple(Difference(name, how) for name, how in expected.items()))
    assert [(problem.field, problem.rule) for problem in problems_of(verdict)] == list(expected.items())


def test_an_entry_without_a_birth_date_confirms_nobody() -> None:
    verdict = compare(CLAIM, [replace(PERSON, birth_date="")])

    assert verdict == Mismatch((Difference("birth_date", How.MISSING),))
    assert births_differ("", "2012") is How.MISSING


def test_a_pupil_who_agrees_and_has_no_id_waits_for_one() -> None:
    assert compare(replace(CLAIM, citizen_id=None), [replace(PERSON, citizen_id=None)]) == NotApplicable()


def test_several_people_under_one_code_are_never_chosen_from() -> None:
    assert compare(CLAIM, [PERSON, replace(PERSON, full_name="Lê Mẫu")]) == Several()
    assert compare(CLAIM, [PERSON, PERSON]) == Confirmed("001210999901")


def test_nobody_under_the_code() -> None:
    assert compare(CLAIM, []) == NotFound()


@pytest.mark.parametrize(
    ("verdict", "word", "code"),
    [
        (NotFound(), "not_found", "ID-02"),
        (Mismatch((Difference("gender", How.DIFFERENT),)), "mismatch", "ID-03"),
        (Several(), "several", "ID-04"),
        (NotApplicable(), "not_applicable", "ID-05"),
        (Unconfirmed(), "unconfirmed", "DQ-25"),
    ],
)
def test_every_verdict_that_holds_a_record_has_a_reason_in_the_catalogue(
    verdict: Verdict, word: str, code: str
) -> None:
    problems = problems_of(verdict)

    assert ({problem.code for problem in problems}, word_of(verdict)) == ({code}, word)
    assert describe(problems[0]).severity == "park"


def test_a_confirmed_verdict_has_no_reason() -> None:
    assert (word_of(Confirmed("1")), problems_of(Confirmed("1"))) == ("confirmed", ())


def test_the_claims_hash_changes_with_every_part_and_not_with_spaces() -> None:
    changed = [
        replace(CLAIM, pupil_code="0199990002"),
        replace(CLAIM, citizen_id=None),
        replace(CLAIM, full_name="Nguyễn Mẫu An"),
        replace(CLAIM, birth="2012-05"),
        replace(CLAIM, gender="2"),
    ]

    assert len({claim_hash(claim, b"k") for claim in (CLAIM, *changed)}) == 6
    assert claim_hash(replace(CLAIM, full_name=" Nguyễn  Mẫu Ân "), b"k") == claim_hash(CLAIM, b"k")
    assert claim_hash(replace(CLAIM, citizen_id="1210999901"), b"k") == claim_hash(CLAIM, b"k")
    assert claim_hash(CLAIM, b"k") != claim_hash(CLAIM, b"another")


def test_nothing_of_a_person_is_printed() -> None:
    text = f"{CLAIM!r} {Confirmed('001210999901')!r}"

    assert "Mẫu" not in text
    assert "9999" not in text
