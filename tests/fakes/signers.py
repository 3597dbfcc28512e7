"""Synthetic signers, made once a test session: one root, one intermediate, one key for all roles (keys are slow)."""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from gateway.intake.documents import Policy
from gateway.intake.documents_layout import Role
from gateway.intake.documents_trust import TrustBook, TrustStore
from gateway.sandbox.signing import Signer, authority, new_key, person

RECEIVED = datetime(2026, 6, 1, tzinfo=UTC)
PATH = ("DU_LIEU_HOC_BA", "THONG_TIN_HOC_BA")
SCHOOL = (Role.HOMEROOM, Role.LEADER, Role.SCHOOL_SEAL)
ALL = Policy(tuple(Role), PATH)
ROWS = 3


@cache
def root() -> Signer:
    return authority("Mẫu Gốc")


@cache
def intermediate() -> Signer:
    return authority("Mẫu Trung Gian", root())


@cache
def key() -> RSAPrivateKey:
    return new_key()


@cache
def signers() -> dict[Role, Signer]:
    return {role: person(f"Mẫu {role}", intermediate(), key=key()) for role in Role}


def book(**changes: object) -> TrustBook:
    known: dict[str, object] = {"roots": (root().certificate,)}
    return TrustBook(TrustStore(**(known | changes)))  # type: ignore[arg-type]  # the caller's own names


def document(rows: int = ROWS, *, marks: str = "8.5") -> bytes:
    """An unsigned record with *rows* subject rows of as many teachers."""
    subjects = "".join(
        f'<DIEM_TONG_KET Id="diem{n}"><MA_MON>{n}</MA_MON><CA_NAM>{marks}</CA_NAM><GVBM Id="gv{n}"/></DIEM_TONG_KET>'
        for n in range(rows)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<HOC_BA><DU_LIEU_HOC_BA Id="data"><THONG_TIN_HOC_BA Id="thongtinhocba">'
        f"<HO_VA_TEN>Vàng A Mẫu</HO_VA_TEN>{subjects}</THONG_TIN_HOC_BA></DU_LIEU_HOC_BA></HOC_BA>"
    ).encode()


def store(folder: Path, *more: Signer) -> Path:
    """A trust folder with the root, the intermediate and *more*."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, signer in enumerate((root(), intermediate(), *more)):
        (folder / f"{number}.pem").write_bytes(signer.pem)
    return folder
