"""Whether a học bạ XML carries the signatures that are due: bytes, trust store and moment in, findings out.

    HOC_BA
      DU_LIEU_HOC_BA Id="data"                     ◄── CBQL (leader) and KY_PHAT_HANH (school seal) sign this
        THONG_TIN_HOC_BA Id="thongtinhocba"        ◄── GVCN (homeroom teacher) signs this; the mapping reads it
          DIEM_TONG_KET Id="…"  one a subject      ◄── GVBM (subject teacher) signs these
        DANH_SACH_THONG_TIN_KY                     holds the teachers' signatures
      PHAT_HANH_HOC_BA                             holds the leader's and the school's

Source: facts section 7.  Rules a change must respect: what the mapping reads is found by its place, never by an Id a
sender may put elsewhere, and only an element at its place may be signed (signature wrapping); a signature stands
outside what it signs; whatever is not understood is refused, never skipped; a finding names a role, never a value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.errors import Problem
from gateway.intake.documents_layout import Document, Placed, Role, Row, open_document
from gateway.intake.documents_signature import Checker, read_signature
from gateway.intake.documents_trust import TrustBook
from gateway.intake.documents_verdict import Verdict

CODE = "DQ-42"


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
    for role in policy.signers:
        judged = [_judged(checker, placed) for placed in document.signatures[role]]
        if role is Role.SUBJECT_TEACHER:
            found += _teachers(document, judged)
        else:
            found += [_problem(role, verdict) for verdict, _ in judged if verdict is not Verdict.GOOD]
            found += [] if judged else [_problem(role, Verdict.MISSING)]
    return tuple(dict.fromkeys(found))


def _judged(checker: Checker, placed: Placed) -> tuple[Verdict, frozenset[str]]:
    """The verdict on a signature and the Ids it names."""
    signature = read_signature(placed)
    if isinstance(signature, Verdict):
        return signature, frozenset()
    return checker.verdict(signature), signature.names


def _teachers(document: Document, judged: Sequence[tuple[Verdict, frozenset[str]]]) -> list[Problem]:
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
