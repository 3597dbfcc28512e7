"""A trust store is read from a folder, and everything wrong with it is said at once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.config import ConfigFaults
from gateway.edges.signature_files import load_trust
from gateway.intake.documents import findings
from gateway.intake.documents_layout import Role
from gateway.intake.documents_trust import TrustBook
from gateway.sandbox.signing import Signer, authority, enclosing, sign_record
from tests.fakes.signers import ALL, RECEIVED, document, intermediate, root, signers, store


def judged(folder: Path) -> set[str]:
    bare = {role: enclosing(signer) for role, signer in signers().items()}
    trust = TrustBook(load_trust(folder).store())
    return {problem.rule for problem in findings(sign_record(document(), bare), ALL, trust, RECEIVED)}


def withdrawn(issuer: Signer, encoding: Encoding = Encoding.PEM) -> bytes:
    leader = signers()[Role.LEADER].certificate
    entry = (
        x509.RevokedCertificateBuilder()
        .serial_number(leader.serial_number)
        .revocation_date(datetime(2026, 1, 1, tzinfo=UTC))
    )
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.certificate.subject)
    builder = builder.last_update(RECEIVED).next_update(RECEIVED + timedelta(days=9))
    return builder.add_revoked_certificate(entry.build()).sign(issuer.key, hashes.SHA256()).public_bytes(encoding)


def faults(folder: Path) -> str:
    with pytest.raises(ConfigFaults) as caught:
        load_trust(folder)
    return str(caught.value)


def test_roots_and_intermediates_are_told_apart(tmp_path: Path) -> None:
    trust = load_trust(store(tmp_path)).store()

    assert [c.subject for c in trust.roots] == [root().certificate.subject]
    assert [c.subject for c in trust.intermediates] == [intermediate().certificate.subject]
    assert judged(tmp_path) == set()


def test_certificates_may_be_der_or_several_in_one_file(tmp_path: Path) -> None:
    (tmp_path / "all.crt").write_bytes(root().pem + intermediate().pem)
    (tmp_path / "again.cer").write_bytes(root().der)
    (tmp_path / "README.md").write_text("where they come from")

    assert judged(tmp_path) == set()


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_revocation_list_withdraws(tmp_path: Path, encoding: Encoding) -> None:
    (store(tmp_path) / "sub.crl").write_bytes(withdrawn(intermediate(), encoding))

    assert judged(tmp_path) == {"revoked"}


def test_the_list_of_the_portal_approves(tmp_path: Path) -> None:
    prints = [signer.certificate.fingerprint(hashes.SHA256()).hex() for signer in signers().values()]
    approved = store(tmp_path) / "approved.txt"
    approved.write_text("# from the portal\n" + "\n".join(text.upper() + "  # a school" for text in prints) + "\n\n")
    assert judged(tmp_path) == set()

    approved.write_text(":".join(prints[0][at : at + 2] for at in range(0, 64, 2)))
    assert judged(tmp_path) == {"not_approved"}


def test_a_folder_says_who_issues_seals(tmp_path: Path) -> None:
    strange = authority("Mẫu Cấp Con Dấu", root())
    seals = store(tmp_path) / "seal"
    seals.mkdir()
    (seals / "a.pem").write_bytes(strange.pem)
    assert verdicts(tmp_path) == {"signature.school_seal": "untrusted"}

    (seals / "b.pem").write_bytes(intermediate().pem)
    (seals / "README.md").write_text("VGCA")
    assert verdicts(tmp_path) == {}


def test_authorities_of_one_role_need_not_stand_twice(tmp_path: Path) -> None:
    for name in ("seal", "persons"):
        store(tmp_path / name)

    assert verdicts(tmp_path) == {}


def test_a_folder_says_which_certificates_of_persons_are_approved(tmp_path: Path) -> None:
    persons = store(tmp_path) / "persons"
    persons.mkdir()
    teacher = signers()[Role.SUBJECT_TEACHER].certificate.fingerprint(hashes.SHA256()).hex()
    (persons / "approved.txt").write_text(teacher)

    assert verdicts(tmp_path) == {"signature.homeroom": "not_approved", "signature.leader": "not_approved"}


def verdicts(folder: Path) -> dict[str, str]:
    bare = {role: enclosing(signer) for role, signer in signers().items()}
    trust = TrustBook(load_trust(folder).store())
    return {p.field: p.rule for p in findings(sign_record(document(), bare), ALL, trust, RECEIVED)}


def test_a_role_folder_says_something_about_its_role(tmp_path: Path) -> None:
    (store(tmp_path) / "seal").mkdir()
    (tmp_path / "seals").mkdir()
    (tmp_path / "persons").mkdir()
    (tmp_path / "persons" / "a.pem").write_bytes(b"-----BEGIN")
    told = faults(tmp_path)

    assert "seal:0: holds neither a certificate of an authority nor approved.txt" in told
    assert "seals:0: is no certificate" in told
    assert "a.pem:0: cannot be read as PEM or DER" in told


def test_every_fault_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (tmp_path / "b.cer").write_bytes(b"\x00")
    (tmp_path / "c.crl").write_bytes(b"\x00")
    (tmp_path / "d.crl").write_bytes(withdrawn(authority("Mẫu Lạ")))
    (tmp_path / "e.key").write_text("a private key has no business here")
    (tmp_path / "approved.txt").write_text("aa\n# fine\nbb")
    (tmp_path / "folder.pem").mkdir()

    told = faults(tmp_path)
    for line in (
        "a.pem:0: cannot be read as PEM or DER",
        "b.cer:0: cannot be read as PEM or DER",
        "c.crl:0: cannot be read as PEM or DER",
        "d.crl:0: is signed by none of the authorities",
        "e.key:0: is no certificate",
        "approved.txt:1: is no SHA-256 fingerprint",
        "approved.txt:3: is no SHA-256 fingerprint",
        "folder.pem:0: cannot be read: Is a directory",
        "holds no root certificate",
    ):
        assert line in told


def test_an_intermediate_alone_is_no_root(tmp_path: Path) -> None:
    (tmp_path / "sub.pem").write_bytes(intermediate().pem)

    assert "holds no root certificate" in faults(tmp_path)


def test_a_folder_that_does_not_exist_is_told(tmp_path: Path) -> None:
    assert "is no folder" in faults(tmp_path / "nowhere")
