"""What is said of one signature: the ``rule`` of its DQ-42 finding, with a fix of its own in the catalogue."""

from enum import StrEnum


class Verdict(StrEnum):
    """In the order of checking: the first that applies is said."""

    GOOD = "good"
    """Digests, signature value, certificate and its chain are in order at the moment of signing."""
    MISSING = "missing"
    """A role that must sign has not."""
    UNSUPPORTED = "unsupported"
    """A method, a structure or a size that is not taken: SHA-1, HMAC, XSLT, short keys, comments, no such layout."""
    WRONG_REFERENCE = "wrong_reference"
    """It signs something else than its role must sign, stands inside what it signs, or an Id is not unique."""
    TAMPERED = "tampered"
    """A digest or the signature value does not fit: something was changed after signing, or never signed."""
    IMPLIED = "implied"
    """Tampered, by a change that the finding about a signature inside has told already: no finding of its own."""
    UNTRUSTED = "untrusted"
    """No chain of certificates leads to the installation's trust store (for that role), or none is enclosed."""
    NOT_YET_VALID = "not_yet_valid"
    """Signed before the certificate began, or the stated signing time lies in the future."""
    EXPIRED = "expired"
    """Signed after the certificate ended."""
    REVOKED = "revoked"
    """The certificate's issuer had withdrawn it."""
    NOT_APPROVED = "not_approved"
    """The certificate is not on the list of those approved at the portal."""
    SAME_CERTIFICATE = "same_certificate"
    """The seal was made with the certificate of a person who signed: the school's own is due."""
