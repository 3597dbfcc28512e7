"""Reads an installation's trust store from its folder; every fault of every file is collected before raising.

    *.pem *.crt *.cer   certificates of authorities, PEM or DER: those signed by themselves are roots, the others
                        intermediates (signers' own certificates come inside the documents)
    *.crl               revocation lists of those authorities, PEM or DER
    approved.txt        optional: SHA-256 fingerprints of the signers' certificates approved at the portal, one a
                        line, anything after ``#`` is a remark; where the file stands, no other certificate counts
    seal/  persons/     optional: the same kinds of file again, for school seals and for persons only; an authority
                        that stands there must be in the chain of such a signer, besides what holds for all

The result is plain bytes, so that it can be handed to the processes that verify.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.config import ConfigFaults, Fault
from gateway.intake.documents_trust import Allowed, Kind, TrustStore, is_root, withdrawals

CERTIFICATES: Final = frozenset({".pem", ".crt", ".cer"})
LISTS: Final = ".crl"
APPROVED: Final = "approved.txt"
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class KindFiles:
    """What the folder of one kind of signer holds, in DER."""

    issuers: tuple[bytes, ...] = ()
    approved: frozenset[str] | None = None

    def allowed(self) -> Allowed:
        """What it asks of its signers."""
        return Allowed(tuple(x509.load_der_x509_certificate(der) for der in self.issuers), self.approved)


@dataclass(frozen=True, slots=True)
class TrustFiles:
    """What a trust folder holds, in DER; *certificates* and *lists* are also those of its subfolders."""

    certificates: tuple[bytes, ...] = ()
    lists: tuple[bytes, ...] = ()
    approved: frozenset[str] | None = None
    kinds: Mapping[Kind, KindFiles] = field(default_factory=dict)

    def store(self) -> TrustStore:
        """The trust store of these files."""
        certificates = [x509.load_der_x509_certificate(der) for der in self.certificates]
        return TrustStore(
            roots=tuple(certificate for certificate in certificates if is_root(certificate)),
            intermediates=tuple(certificate for certificate in certificates if not is_root(certificate)),
            approved=self.approved,
            withdrawn=withdrawals(x509.load_der_x509_crl(der) for der in self.lists),
            kinds={kind: files.allowed() for kind, files in self.kinds.items()},
        )


def load_trust(folder: Path) -> TrustFiles:
    """The trust store in *folder*; raises ConfigFaults with all faults of all its files."""
    if not folder.is_dir():
        raise ConfigFaults([Fault(str(folder), 0, "documents.trust", "is no folder")])
    reader, kinds = _Reader(), {kind: _Reader() for kind in Kind if (folder / kind).is_dir()}
    for file in sorted(folder.iterdir()):
        if file.name not in kinds:
            reader.read(file)
    for kind, own in kinds.items():
        for file in sorted((folder / kind).iterdir()):
            own.read(file)
        reader.take_in(own, folder / kind)
    reader.check(folder)
    if reader.faults:
        raise ConfigFaults(reader.faults)
    return TrustFiles(
        _der(reader.certificates),
        tuple(crl.public_bytes(Encoding.DER) for _, crl in reader.lists),
        reader.approved,
        {kind: KindFiles(_der(own.certificates), own.approved) for kind, own in kinds.items()},
    )


class _Reader:
    def __init__(self) -> None:
        self.certificates: list[x509.Certificate] = []
        self.lists: list[tuple[Path, x509.CertificateRevocationList]] = []
        self.approved: frozenset[str] | None = None
        self.faults: list[Fault] = []

    def read(self, file: Path) -> None:
        """Take *file* in, or note what is wrong with it."""
        try:
            if file.suffix in CERTIFICATES:
                self.certificates += _certificates(file.read_bytes())
            elif file.suffix == LISTS:
                self.lists.append((file, _revocation_list(file.read_bytes())))
            elif file.name == APPROVED:
                self.approved = self._fingerprints(file)
            elif not file.name.startswith((".", "README")):
                self._fault(file, "is no certificate (.pem, .crt, .cer), revocation list (.crl) or approved.txt")
        except OSError as error:
            self._fault(file, f"cannot be read: {error.strerror}")
        except ValueError:
            self._fault(file, "cannot be read as PEM or DER")

    def take_in(self, other: "_Reader", folder: Path) -> None:
        """Add what the subfolder *folder* holds: its authorities are believed like the others."""
        self.certificates += [one for one in other.certificates if one not in self.certificates]
        self.lists += other.lists
        self.faults += other.faults
        if other.approved is None and not (other.certificates or other.faults):
            self._fault(folder, "holds neither a certificate of an authority nor approved.txt")

    def check(self, folder: Path) -> None:
        """What must hold between the files."""
        if not any(is_root(certificate) for certificate in self.certificates):
            self._fault(folder, "holds no root certificate (one that is signed by itself)")
        for file, crl in self.lists:
            issuers = [certificate for certificate in self.certificates if certificate.subject == crl.issuer]
            if not any(_issued(crl, issuer) for issuer in issuers):
                self._fault(file, "is signed by none of the authorities of this folder")

    def _fingerprints(self, file: Path) -> frozenset[str]:
        found = set()
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            text = line.partition("#")[0].strip().replace(":", "").lower()
            if text and not _FINGERPRINT.fullmatch(text):
                self._fault(file, "is no SHA-256 fingerprint (64 hex digits)", number)
            elif text:
                found.add(text)
        return frozenset(found)

    def _fault(self, file: Path, text: str, line: int = 0) -> None:
        self.faults.append(Fault(str(file), line, "", text))


def _der(certificates: list[x509.Certificate]) -> tuple[bytes, ...]:
    return tuple(certificate.public_bytes(Encoding.DER) for certificate in certificates)


def _certificates(value: bytes) -> list[x509.Certificate]:
    if b"-----BEGIN" in value:
        return x509.load_pem_x509_certificates(value)
    return [x509.load_der_x509_certificate(value)]


def _revocation_list(value: bytes) -> x509.CertificateRevocationList:
    if b"-----BEGIN" in value:
        return x509.load_pem_x509_crl(value)
    return x509.load_der_x509_crl(value)


def _issued(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    try:
        return crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]  # other kinds raise TypeError
    except TypeError:
        return False
