"""One XML signature (XMLDSig, RSA): read strictly, then checked against the bytes it names.

Only what the record's signers need is taken: RSA with SHA-2, canonical forms without comments, references by Id.
Every referenced element is made canonical once a method, whatever the number of signatures over it; all canonical
bytes of a document are bounded, so that a small file cannot ask for much work.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from lxml import etree

from gateway.intake.documents_layout import DSIG, Document, Placed, Role
from gateway.intake.documents_trust import Kind, TrustBook
from gateway.intake.documents_verdict import Verdict

MAX_REFERENCES = 32
MAX_CERTIFICATES = 6
MAX_CERTIFICATE_TEXT = 16_384
MAX_PREFIXES = 8
MAX_OWN_ELEMENTS = 500
FUTURE = timedelta(minutes=10)
"""How far a signer's clock may be ahead of the broker's."""
HANOI = timezone(timedelta(hours=7))

EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
_CANONICAL = {EXCLUSIVE: True, INCLUSIVE: False, "http://www.w3.org/2006/12/xml-c14n11": False}
_ENVELOPED = f"{DSIG}enveloped-signature"
_DIGESTS: Mapping[str, str] = {
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
}
_METHODS: Mapping[str, hashes.HashAlgorithm] = {
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256": hashes.SHA256(),
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384": hashes.SHA384(),
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512": hashes.SHA512(),
}


class _Refused(Exception):
    """Why a signature is not good; never leaves this file."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict)
        self.verdict = verdict


@dataclass(frozen=True, slots=True)
class _Form:
    """A canonical form: exclusive or inclusive, and the prefixes treated inclusively all the same."""

    exclusive: bool
    prefixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Reference:
    name: str
    form: _Form
    digest: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature as read."""

    placed: Placed
    info: etree._Element
    form: _Form
    algorithm: hashes.HashAlgorithm
    references: tuple[_Reference, ...]
    value: bytes
    certificates: tuple[str, ...]

    @property
    def names(self) -> frozenset[str]:
        """The Ids it names."""
        return frozenset(reference.name for reference in self.references)


def read_signature(placed: Placed) -> Signature | Verdict:
    """The signature at *placed*, or why it is not taken."""
    try:
        return _read(placed)
    except _Refused as refused:
        return refused.verdict


def _read(placed: Placed) -> Signature:
    parts = _children(placed.element)
    info = _one(parts, "SignedInfo")
    inside = _children(info)
    algorithm = _METHODS.get(_algorithm(_one(inside, "SignatureMethod")))
    references = inside.get(_REFERENCE, ())
    if algorithm is None or not 0 < len(references) <= MAX_REFERENCES:
        raise _Refused(Verdict.UNSUPPORTED)
    return Signature(
        placed,
        info,
        _form(_one(inside, "CanonicalizationMethod")),
        algorithm,
        tuple(_reference(element) for element in references),
        _base64(_one(parts, "SignatureValue")),
        _certificates(parts),
    )


class Checker:
    """Checks the signatures of one document."""

    def __init__(self, document: Document, trust: TrustBook, received: datetime) -> None:
        self._document = document
        self._trust = trust
        self._received = received
        self._told: list[etree._Element] = []
        self._digests: dict[tuple[etree._Element, _Form, str], bytes] = {}
        self._budget = 65_536 + 6 * document.size
        self._xml_attributes: bool | None = None

    def verdict(self, signature: Signature) -> Verdict:
        """What is to be said of one signature."""
        try:
            return self._check(signature)
        except _Refused as refused:
            return refused.verdict

    def certificate(self, signature: Signature) -> str | None:
        """The fingerprint of the certificate that *signature* states as its own."""
        signer = self._trust.signer(signature.certificates) if signature.certificates else None
        return None if signer is None else signer.fingerprint

    def _check(self, signature: Signature) -> Verdict:
        parts = self._compared(signature)
        if not signature.certificates:
            raise _Refused(Verdict.UNTRUSTED)
        signer = self._trust.signer(signature.certificates)
        if signer is None:
            raise _Refused(Verdict.UNSUPPORTED)
        canonical = self._canonical(signature.info, signature.form)
        try:
            signer.key.verify(signature.value, canonical, _PADDING, signature.algorithm)
        except (InvalidSignature, ValueError):
            raise _Refused(Verdict.TAMPERED) from None
        kind = Kind.SEAL if signature.placed.role is Role.SCHOOL_SEAL else Kind.PERSONS
        return self._trust.verdict(signer, self._moment(parts), kind)

    def _compared(self, signature: Signature) -> list[etree._Element]:
        """The parts of the signature itself that it names, after every digest was found to fit.

        Whatever else is named must be what the role signs, at its place.
        """
        placed = signature.placed
        named = [(reference, self._named(placed, reference.name)) for reference in signature.references]
        own = [element for _, element in named if _inside(element, placed.element)]
        if len(own) == len(named):
            raise _Refused(Verdict.WRONG_REFERENCE)
        for reference, element in named:
            if self._digest(element, reference) != reference.value:
                raise _Refused(self._changed(reference, element))
        return own

    def _changed(self, reference: _Reference, element: etree._Element) -> Verdict:
        """What is said of *element* whose digest does not fit; once for a change that breaks several signatures.

        A stated digest of another length (a placeholder) never fitted, so nothing follows from it or for it.
        """
        if len(reference.value) != hashlib.new(reference.digest).digest_size:
            return Verdict.TAMPERED
        known = any(part is not element and _inside(part, element) for part in self._told)
        self._told.append(element)
        return Verdict.IMPLIED if known else Verdict.TAMPERED

    def _named(self, placed: Placed, name: str) -> etree._Element:
        element = self._document.signable(placed.role, name)
        if element is None:
            return self._own_part(placed.element, name)
        if _inside(placed.element, element):
            raise _Refused(Verdict.WRONG_REFERENCE)
        self._same_teacher(placed, name)
        return element

    def _same_teacher(self, placed: Placed, name: str) -> None:
        """A subject row that names its teacher is signed in that teacher's place only."""
        if placed.role is not Role.SUBJECT_TEACHER:
            return
        named = self._document.row(name).teacher
        if named is not None and named != placed.holder.get("Id"):
            raise _Refused(Verdict.WRONG_REFERENCE)

    def _own_part(self, signature: etree._Element, name: str) -> etree._Element:
        """The Object of *signature*, or what stands in it, with the Id *name*: where signing times are stated."""
        if self._document.times[name] != 1:
            raise _Refused(Verdict.WRONG_REFERENCE)
        for item in (*signature.findall(_ds("Object")), *signature.findall(_ds("KeyInfo"))):
            for number, element in enumerate(item.iter()):
                if element.get("Id") == name:
                    return element
                if number > MAX_OWN_ELEMENTS:
                    raise _Refused(Verdict.UNSUPPORTED)
        raise _Refused(Verdict.WRONG_REFERENCE)

    def _moment(self, parts: list[etree._Element]) -> datetime:
        """The signing time, where one is stated and signed; else when the gateway got the document."""
        stated = [_time(element) for part in parts for element in part.iter("{*}SigningTime")]
        if not stated:
            return self._received
        moment = max(stated)
        if moment > self._received + FUTURE:
            raise _Refused(Verdict.NOT_YET_VALID)
        return moment

    def _digest(self, element: etree._Element, reference: _Reference) -> bytes:
        key = (element, reference.form, reference.digest)
        if key not in self._digests:
            canonical = self._canonical(element, reference.form)
            self._digests[key] = hashlib.new(reference.digest, canonical).digest()
        return self._digests[key]

    def _canonical(self, element: etree._Element, form: _Form) -> bytes:
        if self._budget < 0:
            raise _Refused(Verdict.UNSUPPORTED)
        if not form.exclusive and self._inherits():
            raise _Refused(Verdict.UNSUPPORTED)  # a part would inherit xml:lang and its kind, which lxml leaves out
        prefixes = list(form.prefixes) or None
        try:
            text = etree.tostring(
                element, method="c14n", exclusive=form.exclusive, with_comments=False, inclusive_ns_prefixes=prefixes
            )
        except (etree.LxmlError, ValueError):  # relative namespace names have no canonical form
            raise _Refused(Verdict.UNSUPPORTED) from None
        self._budget -= len(text)
        return text

    def _inherits(self) -> bool:
        if self._xml_attributes is None:
            self._xml_attributes = self._document.has_xml_attributes()
        return self._xml_attributes


def _ds(name: str) -> str:
    return f"{{{DSIG}}}{name}"


_REFERENCE = _ds("Reference")
_X509_DATA = _ds("X509Data")
_X509_CERTIFICATE = _ds("X509Certificate")
_PADDING = PKCS1v15()


def _children(element: etree._Element) -> dict[str, list[etree._Element]]:
    """The children of *element* by their names."""
    found: dict[str, list[etree._Element]] = {}
    for child in element:
        found.setdefault(child.tag, []).append(child)
    return found


def _one(found: Mapping[str, list[etree._Element]], name: str) -> etree._Element:
    elements = found.get(_ds(name), ())
    if len(elements) != 1:
        raise _Refused(Verdict.UNSUPPORTED)
    return elements[0]


def _algorithm(element: etree._Element) -> str:
    return element.get("Algorithm", "")


def _form(element: etree._Element) -> _Form:
    exclusive = _CANONICAL.get(_algorithm(element))
    if exclusive is None or len(element) > 1:
        raise _Refused(Verdict.UNSUPPORTED)
    if not len(element):
        return _Form(exclusive)
    listed = element[0]
    prefixes = tuple(listed.get("PrefixList", "").split())
    if listed.tag != f"{{{EXCLUSIVE}}}InclusiveNamespaces" or not exclusive or len(prefixes) > MAX_PREFIXES:
        raise _Refused(Verdict.UNSUPPORTED)
    return _Form(exclusive, prefixes)


def _reference(element: etree._Element) -> _Reference:
    uri = element.get("URI", "")
    if not uri.startswith("#") or len(uri) < 2:
        raise _Refused(Verdict.WRONG_REFERENCE)
    inside = _children(element)
    digest = _DIGESTS.get(_algorithm(_one(inside, "DigestMethod")))
    if digest is None:
        raise _Refused(Verdict.UNSUPPORTED)
    steps = [step for transforms in inside.get(_ds("Transforms"), ()) for step in transforms]
    return _Reference(uri[1:], _transformed(steps), digest, _base64(_one(inside, "DigestValue")))


def _transformed(steps: list[etree._Element]) -> _Form:
    """The canonical form that transforms ask for; without one it is inclusive (XMLDSig section 4.4.3.2).

    The enveloped-signature transform takes the signature out of what is signed: as no signature stands inside what
    it signs, it changes nothing.  Every other transform (XSLT, XPath, base64) is refused.
    """
    forms = [step for step in steps if _algorithm(step) != _ENVELOPED]
    if len(forms) > 1 or len(steps) > 2 or (forms and steps[-1] is not forms[0]):
        raise _Refused(Verdict.UNSUPPORTED)
    return _form(forms[0]) if forms else _Form(exclusive=False)


def _base64(element: etree._Element) -> bytes:
    """The bytes of *element*; none for what is no base64, which then fits nothing."""
    text = "".join((element.text or "").split())
    try:
        return b"" if len(element) else base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _certificates(parts: Mapping[str, list[etree._Element]]) -> tuple[str, ...]:
    """The certificates enclosed, as written."""
    holders = [holder for key_info in parts.get(_ds("KeyInfo"), ()) for holder in key_info]
    found = [
        element.text or ""
        for holder in holders
        if holder.tag == _X509_DATA
        for element in holder
        if element.tag == _X509_CERTIFICATE
    ]
    if len(found) > MAX_CERTIFICATES or any(len(text) > MAX_CERTIFICATE_TEXT for text in found):
        raise _Refused(Verdict.UNSUPPORTED)
    return tuple(found)


def _inside(element: etree._Element, container: etree._Element) -> bool:
    return element is container or any(above is container for above in element.iterancestors())


def _time(element: etree._Element) -> datetime:
    try:
        moment = datetime.fromisoformat((element.text or "").strip())
    except ValueError:
        raise _Refused(Verdict.UNSUPPORTED) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=HANOI)
