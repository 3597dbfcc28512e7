"""Whether a học bạ XML carries the signatures that are due: bytes, trust store and moment in, findings out.

    HOC_BA
      DU_LIEU_HOC_BA Id="data"                     ◄── CBQL (leader) and KY_PHAT_HANH (school seal) sign this
        THONG_TIN_HOC_BA Id="thongtinhocba"        ◄── GVCN (homeroom teacher) signs this; the mapping reads it
          DIEM_TONG_KET Id="…"  one a subject      ◄── GVBM (subject teacher) signs these
        DANH_SACH_THONG_TIN_KY                     holds the teachers' signatures
      PHAT_HANH_HOC_BA                             holds the leader's and the school's

Source: facts section 7.  Rules a change must respect: what the mapping reads is found by its place, never by an Id a
sender may put elsewhere, and only an element at its place may be signed (signature wrapping); a signature stands
outside what it signs; a person's certificate is no seal; whatever is not understood is refused, never skipped; a
finding names a role, never a value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.errors import Problem
from gateway.intake.documents_layout import Document, Role, Row, open_document
from gateway.intake.documents_signature import Checker, Signature, read_signature
from gateway.intake.documents_trust import TrustBook
from gateway.intake.documents_verdict import Verdict

CODE = "DQ-42"
_NOT_TOLD = frozenset({Verdict.GOOD, Verdict.IMPLIED})


@dataclass(frozen=True, slots=True)
class Policy:
    """What a connector asks: who must have signed, and where the record stands below the root element."""

    signers: tuple[Role, ...]
    record_path: tuple[str, ...]


def findings(value: bytes, policy: Policy, trust: TrustBook, received: datetime) -> tuple[Problem, ...]:
    """DQ-42 with role and verdict (as *rule*) for each signature that is missing or not good; empty when all are.

    A certificate is judged at the signing time where one is stated and itself signed, else at *received*.
    """
    document = open_document(value, policy.record_path)
    if isinstance(document, Verdict):
        return (_problem("", document),)
    checker = Checker(document, trust, received)
    found = [_problem("", Verdict.WRONG_REFERENCE)] if document.stray else []
    signatures = {role: [read_signature(placed) for placed in document.signatures[role]] for role in Role}
    for role in Role:  # from the inside out: what breaks a row also breaks the signatures over it
        if role not in policy.signers:
            continue
        judged = [_judged(checker, signature) for signature in signatures[role]]
        if role is Role.SUBJECT_TEACHER:
            found += _teachers(document, judged)
        else:
            judged = _seals(checker, signatures, judged) if role is Role.SCHOOL_SEAL else judged
            found += [_problem(role, verdict) for verdict, _ in judged]
            found += [] if judged else [_problem(role, Verdict.MISSING)]
    return tuple(dict.fromkeys(p for p in found if p.rule not in _NOT_TOLD))


Judged = tuple[Verdict, frozenset[str]]
"""The verdict on a signature and the Ids it names."""


def _judged(checker: Checker, signature: Signature | Verdict) -> Judged:
    if isinstance(signature, Verdict):
        return signature, frozenset()
    return checker.verdict(signature), signature.names


def _seals(
    checker: Checker, signatures: Mapping[Role, Sequence[Signature | Verdict]], judged: list[Judged]
) -> list[Judged]:
    """*judged* of the school's seal, where a certificate that a person signed with is none, whoever must sign."""
    persons = {
        checker.certificate(signature)
        for role in Role
        for signature in signatures[role]
        if role is not Role.SCHOOL_SEAL and isinstance(signature, Signature)
    }
    found = []
    for signature, (verdict, names) in zip(signatures[Role.SCHOOL_SEAL], judged, strict=True):
        shared = isinstance(signature, Signature) and checker.certificate(signature) in persons
        found.append((Verdict.SAME_CERTIFICATE if shared and verdict is Verdict.GOOD else verdict, names))
    return found


def _teachers(document: Document, judged: Sequence[Judged]) -> list[Problem]:
    """One finding a subject row that is not well signed, and one for a bad signature that covers no row."""
    rows = {row.id: row for row in document.rows}
    found = [
        _problem(Role.SUBJECT_TEACHER, verdict)
        for verdict, names in judged
        if verdict is not Verdict.GOOD and not names & rows.keys()
    ]
    for row in document.rows:
        over = [verdict for verdict, names in judged if row.id in names] or [Verdict.MISSING]
        found += [_row_problem(row, verdict) for verdict in over if verdict is not Verdict.GOOD]
    return found


def _row_problem(row: Row, verdict: Verdict) -> Problem:
    return _problem(f"{Role.SUBJECT_TEACHER}[#{row.index}]", verdict)


def _problem(place: str, verdict: Verdict) -> Problem:
    return Problem(CODE, f"signature.{place}" if place else "signature", str(verdict))
