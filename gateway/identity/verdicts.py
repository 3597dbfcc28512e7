"""Is this pupil the person the registry holds under the pupil code?  The answer, as a value.

Confirmed only when name, birth date, sex and (if one is claimed) citizen ID all agree; anything less goes to people.

- A birth date agrees to the precision both sides give (YYYY, YYYY-MM or YYYY-MM-DD); an entry without one does not.
- Sex 0 (unknown) on either side says nothing, so it contradicts nothing; code, name and birth date still have to agree.
- A claimed ID, or the candidate repaired from a damaged one (DQ-19), is filled with zeros to 12 digits and must be
  equal.  Without a claimed ID (DQ-18) the registry's own ID is what a confirmed pupil is given.
- Several entries under one code are never chosen from, even if only one agrees: the code itself is then in doubt.

A verdict belongs to one claim (its hash): a corrected name is another claim and asks again.  None repeats a value.
"""

import hashlib
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from gateway.errors import Problem
from gateway.identity.names import Same, compare_names

CITIZEN_ID_DIGITS: Final = 12
UNKNOWN_SEX: Final = "0"


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


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The person is found and agrees; *warnings* are differences that folding removed."""

    citizen_id: str = field(repr=False)
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Differs:
    """One person is found, and these national fields do not agree."""

    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotFound:
    """Nobody has this pupil code, or the registry does not take it for one."""


@dataclass(frozen=True, slots=True)
class Several:
    """More than one person has this pupil code."""


@dataclass(frozen=True, slots=True)
class NoCitizenId:
    """The person agrees and has no citizen ID yet (foreign, stateless, not yet registered)."""


Verdict = Confirmed | Differs | NotFound | Several | NoCitizenId


def compare(claim: Claim, candidates: Sequence[Candidate]) -> Verdict:
    """The registry's answer held against the claim."""
    if not candidates:
        return NotFound()
    if len({_identity(candidate) for candidate in candidates}) > 1:
        return Several()
    person = candidates[0]
    name = compare_names(claim.full_name, person.full_name)
    agreements = {
        "full_name": isinstance(name, Same),
        "birth_date": births_agree(claim.birth, person.birth_date),
        "gender": claim.gender == person.gender or UNKNOWN_SEX in {claim.gender, person.gender},
        "citizen_id": _ids_agree(claim.citizen_id, person.citizen_id),
    }
    differing = tuple(part for part, agrees in agreements.items() if not agrees)
    if differing:
        return Differs(differing)
    if not person.citizen_id:
        return NoCitizenId()
    code = name.warning if isinstance(name, Same) else ""
    return Confirmed(filled(person.citizen_id), (Problem(code, "full_name"),) if code else ())


def births_agree(claimed: str, registered: str) -> bool:
    """Whether two dates agree to the precision that both give.

    >>> births_agree("2012", "2012-05-03"), births_agree("2012-05", "2012-06-01"), births_agree("2012", "")
    (True, False, False)
    """
    mine, theirs = claimed.split("-"), registered.split("-")
    common = min(len(mine), len(theirs))
    return bool(claimed and registered) and mine[:common] == theirs[:common]


def _ids_agree(claimed: str | None, registered: str | None) -> bool:
    return not claimed or not registered or filled(claimed) == filled(registered)


def filled(citizen_id: str) -> str:
    """An ID with its lost leading zeros."""
    return citizen_id.strip().zfill(CITIZEN_ID_DIGITS)


def claim_hash(claim: Claim) -> bytes:
    """SHA-256 of the claim in one canonical form: the key of its verdict, beside the pupil's lane.

    Canonical drops Unicode form and spaces only: case and diacritics stay, because a verdict's warnings depend on them.
    """
    parts = (
        _plain(claim.pupil_code).upper(),
        filled(claim.citizen_id) if claim.citizen_id else "",
        _plain(claim.full_name),
        claim.birth,
        claim.gender,
    )
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).digest()


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _identity(candidate: Candidate) -> tuple[str | None, str, str, str]:
    return candidate.citizen_id, candidate.full_name, candidate.birth_date, candidate.gender


def code_of(verdict: Verdict) -> str:
    """The catalogue's code of a verdict; empty for a confirmed one."""
    match verdict:
        case Confirmed():
            return ""
        case NotFound():
            return "ID-02"
        case Differs():
            return "ID-03"
        case Several():
            return "ID-04"
        case NoCitizenId():
            return "ID-05"


def problems_of(verdict: Verdict) -> tuple[Problem, ...]:
    """What a parked record of this verdict tells its vendor: one problem for each differing field."""
    match verdict:
        case Confirmed():
            return ()
        case Differs(fields):
            return tuple(Problem("ID-03", name) for name in fields)
        case NotFound():
            return (Problem("ID-02", "pupil_code"),)
        case Several():
            return (Problem("ID-04", "pupil_code"),)
        case NoCitizenId():
            return (Problem("ID-05", "citizen_id"),)
