"""Which certificates an installation believes, and when: chains to its roots, withdrawals, the portal's approvals.

Chains are built by `cryptography`'s verifier at the moment of signing; what it found is remembered with the span in
which the whole chain is valid, because the same few hundred people sign a school's records.  Revocation knows
what the configured lists say: a certificate is good for what it signed before its withdrawal, unless its key was
stolen, when nothing it signed counts.
"""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store, VerificationError

from gateway.intake.documents_verdict import Verdict

MIN_KEY_BITS = 2_048
MAX_KEY_BITS = 8_192
MAX_CHAIN = 4
_REMEMBERED = 8_192
_STOLEN = frozenset({x509.ReasonFlags.key_compromise, x509.ReasonFlags.ca_compromise})

Withdrawn = Mapping[tuple[bytes, int], datetime]
"""(issuer's name in DER, serial number) → from when on; `ALWAYS` for a stolen key."""
ALWAYS = datetime.min.replace(tzinfo=UTC)


class Kind(StrEnum):
    """Whose certificate: the school's, or a person's."""

    SEAL = "seal"
    PERSONS = "persons"


@dataclass(frozen=True, slots=True)
class Allowed:
    """What an installation asks of one kind: an authority of *issuers* in the chain, a fingerprint in *approved*."""

    issuers: tuple[x509.Certificate, ...] = ()
    approved: frozenset[str] | None = None


Authority = tuple[bytes, bytes]
"""Name and key, which an authority keeps when its certificate is renewed."""


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when a chain of certificates is valid, ends included; *names* are its links for withdrawals."""

    since: datetime
    until: datetime
    names: tuple[tuple[bytes, int], ...]
    authorities: frozenset[Authority]


@dataclass(frozen=True, slots=True)
class TrustStore:
    """The roots and intermediates of an installation; *approved* are SHA-256 fingerprints, None when all are.

    A kind that does not stand in *kinds* may come from any of the authorities.
    """

    roots: tuple[x509.Certificate, ...]
    intermediates: tuple[x509.Certificate, ...] = ()
    approved: frozenset[str] | None = None
    withdrawn: Withdrawn | None = None
    kinds: Mapping[Kind, Allowed] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Signer:
    """An enclosed certificate, as read once; *spans* are the chains found for it so far."""

    certificate: x509.Certificate
    since: datetime
    until: datetime
    key: RSAPublicKey
    fingerprint: str
    others: tuple[x509.Certificate, ...]
    spans: list[Span] = field(default_factory=list)


class TrustBook:
    """A trust store and what was found out about certificates so far; one a process."""

    def __init__(self, store: TrustStore) -> None:
        self._store = store
        self._anchors = Store(list(store.roots)) if store.roots else None
        self._signers: dict[tuple[str, ...], Signer | None] = {}
        self._issuers = {
            kind: frozenset(map(_authority, allowed.issuers))
            for kind, allowed in store.kinds.items()
            if allowed.issuers
        }
        lists = {kind: (store.approved, store.kinds.get(kind, Allowed()).approved) for kind in Kind}
        self._approved = {kind: [those for those in both if those is not None] for kind, both in lists.items()}

    def signer(self, enclosed: tuple[str, ...]) -> Signer | None:
        """Who signed, by the certificates *enclosed* (base64 of DER); None if they are not taken."""
        if enclosed not in self._signers:
            if len(self._signers) >= _REMEMBERED:
                self._signers.clear()
            self._signers[enclosed] = _signer(enclosed)
        return self._signers[enclosed]

    def verdict(self, signer: Signer, moment: datetime, kind: Kind) -> Verdict:
        """Whether *signer*'s certificate was good at *moment* for what *kind* signs."""
        if moment < signer.since:
            return Verdict.NOT_YET_VALID
        if moment > signer.until:
            return Verdict.EXPIRED
        span = self._span(signer, moment)
        if span is None or (kind in self._issuers and not self._issuers[kind] & span.authorities):
            return Verdict.UNTRUSTED
        withdrawn = self._store.withdrawn
        if withdrawn and any(name in withdrawn and withdrawn[name] <= moment for name in span.names):
            return Verdict.REVOKED
        approved = all(signer.fingerprint in those for those in self._approved[kind])
        return Verdict.GOOD if approved else Verdict.NOT_APPROVED

    def _span(self, signer: Signer, moment: datetime) -> Span | None:
        for span in signer.spans:
            if span.since <= moment <= span.until:
                return span
        found = self._chained(signer, moment)
        if found is not None:
            signer.spans.append(found)  # as many as the authorities renewed their own certificates
        return found

    def _chained(self, signer: Signer, moment: datetime) -> Span | None:
        if self._anchors is None:
            return None
        builder = PolicyBuilder().store(self._anchors).time(moment).max_chain_depth(MAX_CHAIN)
        verifier = builder.extension_policies(ca_policy=_CA, ee_policy=_SIGNER).build_client_verifier()
        try:
            chain = verifier.verify(signer.certificate, [*self._store.intermediates, *signer.others]).chain
        except (VerificationError, ValueError):
            return None
        return Span(
            max(link.not_valid_before_utc for link in chain),
            min(link.not_valid_after_utc for link in chain),
            tuple((link.issuer.public_bytes(), link.serial_number) for link in chain),
            frozenset(map(_authority, chain[1:])),
        )


def _authority(certificate: x509.Certificate) -> Authority:
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return certificate.subject.public_bytes(), key


def is_root(certificate: x509.Certificate) -> bool:
    """Whether *certificate* is signed by itself."""
    return certificate.issuer == certificate.subject


def withdrawals(lists: Iterable[x509.CertificateRevocationList]) -> Withdrawn:
    """What revocation lists withdraw, and from when on."""
    found: dict[tuple[bytes, int], datetime] = {}
    for crl in lists:
        issuer = crl.issuer.public_bytes()
        for entry in crl:
            found[issuer, entry.serial_number] = ALWAYS if _stolen(entry) else entry.revocation_date_utc
    return found


def _stolen(entry: x509.RevokedCertificate) -> bool:
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason in _STOLEN
    except (x509.ExtensionNotFound, ValueError):
        return False


def _signer(enclosed: tuple[str, ...]) -> Signer | None:
    """The signer among the certificates *enclosed*: the one that issued none of the others."""
    loaded = [_loaded(text) for text in enclosed]
    certificates = [certificate for certificate in loaded if certificate is not None]
    issuers = {certificate.issuer for certificate in certificates if not is_root(certificate)}
    ends = [certificate for certificate in certificates if certificate.subject not in issuers]
    if len(ends) != 1 or len(certificates) != len(loaded):
        return None
    key = _rsa_key(ends[0])
    if key is None:
        return None
    others = tuple(certificate for certificate in certificates if certificate is not ends[0])
    end = ends[0]
    fingerprint = end.fingerprint(hashes.SHA256()).hex()
    return Signer(end, end.not_valid_before_utc, end.not_valid_after_utc, key, fingerprint, others)


def _loaded(text: str) -> x509.Certificate | None:
    """The certificate, if all of it can be read: its parts are parsed when asked for, with errors of many classes."""
    try:
        certificate = x509.load_der_x509_certificate(base64.b64decode("".join(text.split()), validate=True))
        _ = (certificate.subject, certificate.issuer, certificate.extensions, certificate.public_key())
    except Exception:  # noqa: BLE001  a library's parser over hostile bytes: whatever it raises, they are unreadable
        return None
    return certificate


def _rsa_key(certificate: x509.Certificate) -> RSAPublicKey | None:
    key = certificate.public_key()
    return key if isinstance(key, RSAPublicKey) and MIN_KEY_BITS <= key.key_size <= MAX_KEY_BITS else None


def _ca_only(policy: Policy, certificate: x509.Certificate, extension: x509.BasicConstraints) -> None:
    if not extension.ca:
        message = "no certificate authority"
        raise ValueError(message)


def _may_issue(policy: Policy, certificate: x509.Certificate, extension: x509.KeyUsage | None) -> None:
    if extension is not None and not extension.key_cert_sign:
        message = "may not sign certificates"
        raise ValueError(message)


def _may_sign(policy: Policy, certificate: x509.Certificate, extension: x509.KeyUsage | None) -> None:
    if extension is not None and not (extension.digital_signature or extension.content_commitment):
        message = "may not sign documents"
        raise ValueError(message)


_CA = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _ca_only)
    .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _may_issue)
)
_SIGNER = ExtensionPolicy.permit_all().may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _may_sign)
"""Persons' and schools' certificates are no web servers': only what concerns signing is asked of them."""
