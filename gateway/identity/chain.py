"""Which link is asked next about a claim, and what all answers together say: a table, no I/O.

    registry says                    population database asked with      it knows them     it does not
    confirmed                        the registry's person               as registered     unconfirmed: review
    not found, refused; ID claimed   the claim                           confirmed         unconfirmed: review
    not found, no ID claimed         – (it finds nobody)                 not found
    no citizen ID; ID claimed        the claim                           confirmed         not applicable
    no citizen ID, none claimed      –                                   not applicable
    mismatch, several                – (people decide)                   as the registry says

Without a population link the registry's verdict stands.  A link that returns people instead of yes or no is held
against what was asked, field by field.  Only a claim of a whole or year-only birth date can be asked: the population
database takes no month, so a month is asked as its year.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gateway.identity.verdicts import (
    Candidate,
    Claim,
    Confirmed,
    Mismatch,
    NotApplicable,
    NotFound,
    Unconfirmed,
    Verdict,
    compare,
    filled,
)


@dataclass(frozen=True, slots=True)
class People:
    """What a link that finds says: none, one or several persons."""

    candidates: tuple[Candidate, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Known:
    """What a link that only confirms says of ID, name and birth date together."""

    known: bool


Finding = People | Known


@dataclass(frozen=True, slots=True)
class AskPopulation:
    """One more question; the registry's verdict is kept meanwhile."""

    question: Claim
    registry: Verdict


@dataclass(frozen=True, slots=True)
class Settled:
    """The last word of the chain."""

    verdict: Verdict


Step = AskPopulation | Settled


def after_registry(claim: Claim, found: Sequence[Candidate], *, asks_population: bool) -> Step:
    """What follows the registry's answer; *found* is empty where it refused the code."""
    verdict = compare(claim, found)
    if not asks_population:
        return Settled(verdict)
    match verdict:
        case Confirmed(citizen_id):
            person = found[0]
            birth = max(person.birth_date, claim.birth, key=len)
            known = replace(claim, citizen_id=citizen_id, full_name=person.full_name, birth=birth)
            return AskPopulation(known, verdict)
        case NotFound() | NotApplicable() if claim.citizen_id:
            return AskPopulation(replace(claim, citizen_id=filled(claim.citizen_id)), verdict)
        case _:
            return Settled(verdict)


def after_population(asked: AskPopulation, finding: Finding) -> Verdict:
    """The last word, once the population database has answered *asked*."""
    population = _by_population(asked.question, finding)
    match asked.registry, population:
        case Confirmed(), Confirmed():
            return asked.registry
        case ((NotFound() | NotApplicable()), Confirmed()):
            return population
        case NotApplicable(), _:
            return asked.registry
        case _, Mismatch():
            return population
        case _:
            return Unconfirmed()


def _by_population(question: Claim, finding: Finding) -> Verdict:
    match finding:
        case Known(known):
            return Confirmed(question.citizen_id or "") if known else Unconfirmed()
        case People(candidates):
            return compare(question, candidates)
