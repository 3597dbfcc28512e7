"""The registry's answer held against a claim."""

from dataclasses import replace

import pytest

from gateway.errors import Problem, describe
from gateway.identity.verdicts import (
    Claim,
    Confirmed,
    Differs,
    NoCitizenId,
    NotFound,
    Several,
    Verdict,
    claim_hash,
    code_of,
    compare,
    problems_of,
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

    assert verdict == Confirmed("001210999901", (Problem("DQ-04", "full_name"),))


@pytest.mark.parametrize(
    ("claim", "fields"),
    [
        (replace(CLAIM, full_name="Nguyễn Mẫu Ấn"), ("full_name",)),
        (replace(CLAIM, birth="2012-05-04"), ("birth_date",)),
        (replace(CLAIM, gender="2"), ("gender",)),
        (replace(CLAIM, citizen_id="001210999902"), ("citizen_id",)),
        (replace(CLAIM, full_name="Lê Mẫu", gender="2"), ("full_name", "gender")),
    ],
)
def test_any_other_difference_names_its_fields_and_no_value(claim: Claim, fields: tuple[str, ...]) -> None:
    verdict = compare(claim, [PERSON])

    assert verdict == Differs(fields)
    assert [problem.field for problem in problems_of(verdict)] == list(fields)


def test_an_entry_without_a_birth_date_confirms_nobody() -> None:
    assert compare(CLAIM, [replace(PERSON, birth_date="")]) == Differs(("birth_date",))


def test_a_pupil_who_agrees_and_has_no_id_waits_for_one() -> None:
    assert compare(replace(CLAIM, citizen_id=None), [replace(PERSON, citizen_id=None)]) == NoCitizenId()


def test_several_people_under_one_code_are_never_chosen_from() -> None:
    assert compare(CLAIM, [PERSON, replace(PERSON, full_name="Lê Mẫu")]) == Several()
    assert compare(CLAIM, [PERSON, PERSON]) == Confirmed("001210999901")


def test_nobody_under_the_code() -> None:
    assert compare(CLAIM, []) == NotFound()


@pytest.mark.parametrize("verdict", [NotFound(), Differs(("gender",)), Several(), NoCitizenId()])
def test_every_verdict_that_holds_a_record_has_a_reason_in_the_catalogue(verdict: Verdict) -> None:
    assert [problem.code for problem in problems_of(verdict)] == [code_of(verdict)]
    assert describe(problems_of(verdict)[0]).severity == "park"


def test_a_confirmed_verdict_has_no_reason() -> None:
    assert (code_of(Confirmed("1")), problems_of(Confirmed("1"))) == ("", ())


def test_the_claims_hash_changes_with_every_part_and_not_with_spaces() -> None:
    changed = [
        replace(CLAIM, pupil_code="0199990002"),
        replace(CLAIM, citizen_id=None),
        replace(CLAIM, full_name="Nguyễn Mẫu An"),
        replace(CLAIM, birth="2012-05"),
        replace(CLAIM, gender="2"),
    ]

    assert len({claim_hash(claim) for claim in (CLAIM, *changed)}) == 6
    assert claim_hash(replace(CLAIM, full_name=" Nguyễn  Mẫu Ân ")) == claim_hash(CLAIM)
    assert claim_hash(replace(CLAIM, citizen_id="1210999901")) == claim_hash(CLAIM)


def test_nothing_of_a_person_is_printed() -> None:
    text = f"{CLAIM!r} {Confirmed('001210999901')!r}"

    assert "Mẫu" not in text
    assert "9999" not in text
