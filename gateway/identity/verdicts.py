"""Is this pupil the person the registry holds under the pupil code?  The answer, as a value.

    confirmed                    every field agrees
    confirmed_with_differences   a field agrees only when folded: the record flows, with a warning
    mismatch                     a field differs, or the population database does not know the person: review
    not_found, several           nobody, or more than one person, under the pupil code: review
    not_applicable               the person agrees and has no citizen ID yet (foreign, not registered): parked, kept
    (waiting                     no verdict yet: a row of the ledger, never a value here)

Confirmed only when name, birth date, sex and (if one is claimed) citizen ID all agree; anything less goes to people.

- A birth date agrees to the precision both sides give (YYYY, YYYY-MM or YYYY-MM-DD); an entry without one does not.
- Sex 0 (unknown) on either side says nothing, so it contradicts nothing; code, name and birth date still have to agree.
- A claimed ID, or the candidate repaired from a damaged one (DQ-19), is filled with zeros to 12 digits and must be
  equal.  Without a claimed ID (DQ-18) the registry's own ID is what a confirmed pupil is given.
- Several entries under one code are never chosen from, even if only one agrees: the code itself is then in doubt.

A verdict belongs to one claim (its keyed hash): a corrected name is another claim and asks again.  None repeats a
value.
"""

import hashlib
import hmac
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from gateway.errors import Problem
from gateway.identity.names import WARNED, How, Other, Same, compare_names

CITIZEN_ID_DIGITS: Final = 12
UNKNOWN_SEX: Final = "0"
WARNING_CODES: Final = {How.CASE: "DQ-04", How.DIACRITICS: "DQ-04", How.ORDER: "ID-06"}
STALE: Final = "ID-07"
UNCONFIRMED: Final = "DQ-25"


class Candidate(Protocol):
    """A person the registry holds under a pupil code."""

    @property
    def citizen_id(self) -> str | None:
        """12 digits, None while the person has none."""

    @property
    def full_name(self) -> str:
        """The registered name."""

    @property
    def birth_date(self) -> str:
        """YYYY-MM-DD, or less precise."""

    @property
    def gender(self) -> str:
        """0 unknown, 1 male, 2 female."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who a vendor says the pupil is; never printed."""

    pupil_code: str = field(repr=False)
    citizen_id: str | None = field(repr=False)
    full_name: str = field(repr=False)
    birth: str = field(repr=False)
    gender: str = field(repr=False)


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """A national field and how it differs; no value of either side."""

    field: str
    how: How


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The person is found and agrees; *differences* were removed by folding; *stale*: older than it may be."""

    citizen_id: str = field(repr=False)
    differences: tuple[Difference, ...] = ()
    stale: bool = False

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What the school is told, one problem a difference."""
        told = [Problem(WARNING_CODES[one.how], one.field, one.how) for one in self.differences if one.how in WARNED]
        return (*told, Problem(STALE, "citizen_id")) if self.stale else tuple(told)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One person is found, and these fields do not agree."""

    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """The population database, asked for ID, name and birth date together, does not know such a person (DQ-25)."""


@dataclass(frozen=True, slots=True)
class NotFound:
    """Nobody has this pupil code, or the registry does not take it for one."""


@dataclass(frozen=True, slots=True)
class Several:
    """More than one person has this pupil code."""


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """The person agrees and has no citizen ID yet (foreign, stateless, not yet registered)."""


Verdict = Confirmed | Mismatch | Unconfirmed | NotFound | Several | NotApplicable


def compare(claim: Claim, candidates: Sequence[Candidate]) -> Verdict:
    """The registry's answer held against the claim."""
    if not candidates:
        return NotFound()
    if len({_identity(candidate) for candidate in candidates}) > 1:
        return Several()
    person = candidates[0]
    name = compare_names(claim.full_name, person.full_name)
    differing = _differences(claim, person, name)
    if differing:
        return Mismatch(differing)
    if not person.citizen_id:
        return NotApplicable()
    folded = name.hows if isinstance(name, Same) else ()
    return Confirmed(filled(person.citizen_id), tuple(Difference("full_name", how) for how in folded))


def _differences(claim: Claim, person: Candidate, name: Same | Other) -> tuple[Difference, ...]:
    hows = {
        "full_name": name.how if isinstance(name, Other) else None,
        "birth_date": births_differ(claim.birth, person.birth_date),
        "gender": sexes_differ(claim.gender, person.gender),
        "citizen_id": ids_differ(claim.citizen_id, person.citizen_id),
    }
    return tuple(Difference(name, how) for name, how in hows.items() if how is not None)


def births_differ(claimed: str, registered: str) -> How | None:
    """How two dates differ in the precision that both give; None if they agree.  Day and month turned: ``order``.

    >>> births_differ("2012", "2012-05-03"), births_differ("2012-03-05", "2012-05-03").value
    (None, 'order')
    >>> births_differ("2012-05", "2012-06-01").value, births_differ("2012", "").value
    ('different', 'missing')
    """
    if not claimed or not registered:
        return How.MISSING
    mine, theirs = claimed.split("-"), registered.split("-")
    common = min(len(mine), len(theirs))
    if mine[:common] == theirs[:common]:
        return None
    return How.ORDER if [mine[0], *reversed(mine[1:])] == theirs else How.DIFFERENT


def sexes_differ(claimed: str, registered: str) -> How | None:
    """Whether two sexes contradict each other; unknown contradicts nothing."""
    sexes = {claimed, registered}
    return How.DIFFERENT if len(sexes) > 1 and UNKNOWN_SEX not in sexes else None


def ids_differ(claimed: str | None, registered: str | None) -> How | None:
    """Whether two IDs contradict each other; a missing one contradicts nothing."""
    agree = not claimed or not registered or filled(claimed) == filled(registered)
    return None if agree else How.DIFFERENT


def filled(citizen_id: str) -> str:
    """An ID with its lost leading zeros."""
    return citizen_id.strip().zfill(CITIZEN_ID_DIGITS)


def claim_hash(claim: Claim, key: bytes) -> bytes:
    """HMAC-SHA-256 of the claim in one canonical form: the key of its verdict, beside the pupil's lane.

    Keyed, because names, dates and IDs are few enough to be tried one after the other.  Canonical drops Unicode form
    and spaces only: case and diacritics stay, because a verdict's warnings depend on them.
    """
    parts = (
        _plain(claim.pupil_code).upper(),
        filled(claim.citizen_id) if claim.citizen_id else "",
        _plain(claim.full_name),
        claim.birth,
        claim.gender,
    )
    return hmac.digest(key, json.dumps(parts, ensure_ascii=False).encode(), hashlib.sha256)


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _identity(candidate: Candidate) -> tuple[str | None, str, str, str]:
    return candidate.citizen_id, candidate.full_name, candidate.birth_date, candidate.gender


def word_of(verdict: Verdict) -> str:
    """The verdict's word in heads, ledger and audit."""
    match verdict:
        case Confirmed():
            return "confirmed_with_differences" if verdict.warnings else "confirmed"
        case Mismatch():
            return "mismatch"
        case Unconfirmed():
            return "unconfirmed"
        case NotFound():
            return "not_found"
        case Several():
            return "several"
        case NotApplicable():
            return "not_applicable"


def problems_of(verdict: Verdict) -> tuple[Problem, ...]:
    """What a parked record of this verdict tells its vendor: one problem for each field, with how it differs."""
    match verdict:
        case Confirmed():
            return ()
        case Mismatch(differences):
            return tuple(Problem("ID-03", one.field, one.how) for one in differences)
        case Unconfirmed():
            return tuple(Problem(UNCONFIRMED, name) for name in ("citizen_id", "full_name", "birth_date"))
        case NotFound():
            return (Problem("ID-02", "pupil_code"),)
        case Several():
            return (Problem("ID-04", "pupil_code"),)
        case NotApplicable():
            return (Problem("ID-05", "citizen_id"),)
