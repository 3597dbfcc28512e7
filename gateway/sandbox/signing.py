"""A synthetic certificate authority and the signatures of synthetic học bạ documents, made at run time.

Nothing here is a real certificate; keys live as long as the process and are never written.  What is signed follows
facts section 7: teachers their subject rows, the homeroom teacher the record, leader and school seal the whole.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from lxml import etree

from gateway.intake.documents_layout import DATA_ID, DSIG, RECORD_ID, Role
from gateway.intake.documents_signature import EXCLUSIVE

SINCE = datetime(2020, 1, 1, tzinfo=UTC)
UNTIL = datetime(2049, 12, 31, tzinfo=UTC)
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"


@dataclass(frozen=True, slots=True)
class Signer:
    """A key and its certificate; *chain* is enclosed with it in signatures."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def pem(self) -> bytes:
        """The certificate as a PEM file holds it."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        """The certificate as a signature encloses it (before base64)."""
        return self.certificate.public_bytes(Encoding.DER)


def new_key(bits: int = 2_048) -> rsa.RSAPrivateKey:
    """A fresh key."""
    return rsa.generate_private_key(65_537, bits)


def authority(name: str, above: Signer | None = None, *, since: datetime = SINCE, until: datetime = UNTIL) -> Signer:
    """A certificate authority: a root, or an intermediate below *above*."""
    return _certified(name, new_key(), above, (since, until), is_authority=True)


def person(
    name: str,
    issuer: Signer,
    *,
    key: rsa.RSAPrivateKey | None = None,
    since: datetime = SINCE,
    until: datetime = UNTIL,
) -> Signer:
    """A signer certified by *issuer*; many may share one *key*, because making keys is slow."""
    return _certified(name, key or new_key(), issuer, (since, until), is_authority=False)


def _certified(
    name: str, key: rsa.RSAPrivateKey, issuer: Signer | None, span: tuple[datetime, datetime], *, is_authority: bool
) -> Signer:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "VN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Mẫu thử nghiệm, không có giá trị"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(span[0])
        .not_valid_after(span[1])
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(_usage(is_authority=is_authority), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    certificate = builder.sign(issuer.key if issuer else key, hashes.SHA256())
    chain = () if issuer is None or is_authority else (issuer.certificate,)
    return Signer(key, certificate, chain)


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=not is_authority,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


@dataclass(frozen=True, slots=True)
class Manner:
    """How a signature is written; the defaults are those of the sample files."""

    canonical: str = EXCLUSIVE
    transforms: tuple[str, ...] = (EXCLUSIVE,)
    signing_time: str = ""
    """Stated in an Object that the signature covers; none when empty."""


def sign_record(value: bytes, signers: Mapping[Role, Signer], manner: Manner | None = None) -> bytes:
    """The document *value* signed by *signers*; placeholders at their places are replaced, other roles' removed."""
    manner = manner or Manner()
    root = etree.fromstring(value)
    for old in list(root.iter(f"{{{DSIG}}}Signature")):
        parent = old.getparent()
        if parent is not None:
            parent.remove(old)
    data, record = _by_id(root, DATA_ID), _by_id(root, RECORD_ID)
    if Role.SUBJECT_TEACHER in signers:
        for holder, names in _teachers(data, record):
            add_signature(root, holder, names, signers[Role.SUBJECT_TEACHER], manner)
    places = {
        Role.HOMEROOM: (data, "DANH_SACH_THONG_TIN_KY/GVCN", RECORD_ID),
        Role.LEADER: (root, "PHAT_HANH_HOC_BA/CBQL", DATA_ID),
        Role.SCHOOL_SEAL: (root, "PHAT_HANH_HOC_BA/KY_PHAT_HANH", DATA_ID),
    }
    for role, (base, path, name) in places.items():
        if role in signers:
            add_signature(root, _place(base, path), [name], signers[role], manner)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def add_signature(
    root: etree._Element, holder: etree._Element, names: Sequence[str], signer: Signer, manner: Manner
) -> etree._Element:
    """Append to *holder* a signature of *signer* over the elements of *root* with the Ids *names*."""
    times = [f"time-{hashlib.sha256(':'.join(names).encode() + signer.der).hexdigest()[:12]}"]
    times = times if manner.signing_time else []
    chain = "".join(f"<X509Certificate>{_b64(der)}</X509Certificate>" for der in (signer.der, *_chain(signer)))
    stated = "".join(
        f'<Object Id="{name}"><SignatureProperties><SignatureProperty Target="#">'
        f"<SigningTime>{manner.signing_time}</SigningTime></SignatureProperty></SignatureProperties></Object>"
        for name in times
    )
    references = "".join(_reference(name, manner.transforms) for name in (*names, *times))
    signature = etree.fromstring(
        f'<Signature xmlns="{DSIG}"><SignedInfo><CanonicalizationMethod Algorithm="{manner.canonical}"/>'
        f'<SignatureMethod Algorithm="{RSA_SHA256}"/>{references}</SignedInfo><SignatureValue/>'
        f"<KeyInfo><X509Data>{chain}</X509Data></KeyInfo>{stated}</Signature>"
    )
    holder.append(signature)
    complete(root, signature, signer)
    return signature


def complete(root: etree._Element, signature: etree._Element, signer: Signer) -> None:
    """Fill in digests and signature value of a signature that stands in its document."""
    info = signature[0]
    for reference in info.findall(f"{{{DSIG}}}Reference"):
        element = _by_id(root, reference.get("URI", "").removeprefix("#"))
        methods = [step.get("Algorithm", "") for step in reference.iter(f"{{{DSIG}}}Transform")]
        digest = hashlib.sha256(_canonical(element, exclusive=EXCLUSIVE in methods)).digest()
        reference.find(f"{{{DSIG}}}DigestValue").text = _b64(digest)  # type: ignore[union-attr]  # we made it
    exclusive = info[0].get("Algorithm") == EXCLUSIVE
    signature[1].text = _b64(signer.key.sign(_canonical(info, exclusive=exclusive), PKCS1v15(), hashes.SHA256()))


def enclosing(signer: Signer, *chain: x509.Certificate) -> Signer:
    """*signer* with other certificates enclosed in its signatures."""
    return replace(signer, chain=chain)


def _chain(signer: Signer) -> list[bytes]:
    return [link.public_bytes(Encoding.DER) for link in signer.chain]


def _reference(name: str, transforms: Sequence[str]) -> str:
    steps = "".join(f'<Transform Algorithm="{step}"/>' for step in transforms)
    steps = f"<Transforms>{steps}</Transforms>" if steps else ""
    return f'<Reference URI="#{name}">{steps}<DigestMethod Algorithm="{SHA256}"/><DigestValue/></Reference>'


def _canonical(element: etree._Element, *, exclusive: bool) -> bytes:
    return etree.tostring(element, method="c14n", exclusive=exclusive, with_comments=False)


def _by_id(root: etree._Element, name: str) -> etree._Element:
    return next(element for element in root.iter() if element.get("Id") == name)


def _place(base: etree._Element, path: str) -> etree._Element:
    for name in path.split("/"):
        found = base.find(name)
        base = etree.SubElement(base, name) if found is None else found
    return base


def _teachers(data: etree._Element, record: etree._Element) -> list[tuple[etree._Element, list[str]]]:
    """Each teacher's place among the signatures, and the rows that name this teacher."""
    rows: dict[str, list[str]] = {}
    for row in record.findall("DIEM_TONG_KET"):
        teacher, name = row.find("GVBM"), row.get("Id", "")
        if teacher is not None and name:
            rows.setdefault(teacher.get("Id") or f"gv-{name}", []).append(name)
    places = _place(data, "DANH_SACH_THONG_TIN_KY/DANH_SACH_GVBM")
    held = {place.get("Id", ""): place for place in places.findall("GVBM")}
    return [
        (held[name] if name in held else etree.SubElement(places, "GVBM", Id=name), names)
        for name, names in rows.items()
    ]


def _b64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
