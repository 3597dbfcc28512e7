"""What is asked next and what all answers together say: the whole table."""

from dataclasses import replace

import pytest

from gateway.identity.chain import AskPopulation, Finding, Known, People, Settled, after_population, after_registry
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
)
from tests.fakes.identity import Person

CLAIM = Claim("0199990001", None, "NGUYỄN MẪU ÂN", "2012", "1")
WITH_ID = replace(CLAIM, citizen_id="1210999901")
PERSON = Person("001210999901", "Nguyễn Mẫu Ân", "2012-05-03", "1")
NO_ID = replace(PERSON, citizen_id=None)
FOLDED = Confirmed("001210999901", (Difference("full_name", How.CASE),))
YES, NO = Known(known=True), Known(known=False)
OTHER = replace(PERSON, full_name="Lê Mẫu Khác")
NAME_DIFFERS = Mismatch((Difference("full_name", How.DIFFERENT),))


@pytest.mark.parametrize(
    ("claim", "found", "verdict"),
    [
        (CLAIM, [PERSON], FOLDED),
        (CLAIM, [], NotFound()),
        (WITH_ID, [], NotFound()),
        (WITH_ID, [NO_ID], NotApplicable()),
        (CLAIM, [OTHER], NAME_DIFFERS),
        (CLAIM, [PERSON, OTHER], Several()),
    ],
)
def test_without_a_population_link_the_registry_has_the_last_word(
    claim: Claim, found: list[Person], verdict: Verdict
) -> None:
    assert after_registry(claim, found, asks_population=False) == Settled(verdict)


@pytest.mark.parametrize(
    ("claim", "found", "verdict"),
    [
        (CLAIM, [], NotFound()),
        (CLAIM, [NO_ID], NotApplicable()),
        (CLAIM, [OTHER], NAME_DIFFERS),
        (WITH_ID, [OTHER], NAME_DIFFERS),
        (WITH_ID, [PERSON, OTHER], Several()),
    ],
)
def test_what_nobody_else_can_answer_is_settled_by_the_registry(
    claim: Claim, found: list[Person], verdict: Verdict
) -> None:
    assert after_registry(claim, found, asks_population=True) == Settled(verdict)


def test_a_confirmed_pupil_is_asked_for_as_registered_with_the_more_precise_birth_date() -> None:
    asked = after_registry(CLAIM, [PERSON], asks_population=True)

    assert asked == AskPopulation(Claim("0199990001", "001210999901", "Nguyễn Mẫu Ân", "2012-05-03", "1"), FOLDED)
    year_only = after_registry(
        replace(CLAIM, birth="2012-05-03"), [replace(PERSON, birth_date="2012")], asks_population=True
    )
    assert isinstance(year_only, AskPopulation)
    assert year_only.question.birth == "2012-05-03"


@pytest.mark.parametrize("found", [[], [NO_ID]])
def test_a_claimed_id_is_asked_for_directly_when_the_registry_has_none(found: list[Person]) -> None:
    asked = after_registry(WITH_ID, found, asks_population=True)

    assert isinstance(asked, AskPopulation)
    assert asked.question == replace(WITH_ID, citizen_id="001210999901")


ASKED = Claim("0199990001", "001210999901", "Nguyễn Mẫu Ân", "2012-05-03", "1")


@pytest.mark.parametrize(
    ("registry", "finding", "verdict"),
    [
        (FOLDED, YES, FOLDED),
        (FOLDED, NO, Unconfirmed()),
        (FOLDED, People((PERSON,)), FOLDED),
        (FOLDED, People(()), Unconfirmed()),
        (FOLDED, People((OTHER,)), NAME_DIFFERS),
        (FOLDED, People((PERSON, OTHER)), Unconfirmed()),
        (NotFound(), YES, Confirmed("001210999901")),
        (NotFound(), NO, Unconfirmed()),
        (NotFound(), People((PERSON,)), Confirmed("001210999901")),
        (NotFound(), People(()), Unconfirmed()),
        (NotFound(), People((OTHER,)), NAME_DIFFERS),
        (NotApplicable(), YES, Confirmed("001210999901")),
        (NotApplicable(), NO, NotApplicable()),
        (NotApplicable(), People(()), NotApplicable()),
    ],
)
def test_both_answers_together(registry: Verdict, finding: Finding, verdict: Verdict) -> None:
    assert after_population(AskPopulation(ASKED, registry), finding) == verdict
