"""Whether a record is well signed: every verdict, and every known way to make a signature say what it does not."""

import base64
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureConstructionMethod, SignatureMethod
from signxml.signer import XMLSigner
from signxml.verifier import SignatureConfiguration, XMLVerifier

from gateway.errors import Problem, describe
from gateway.intake.decode_xml import decode_xml
from gateway.intake.documents import Policy, findings
from gateway.intake.documents_layout import DSIG, Document, Role, open_document
from gateway.intake.documents_signature import EXCLUSIVE, INCLUSIVE
from gateway.intake.documents_trust import ALWAYS, Allowed, Kind, TrustBook, TrustStore, withdrawals
from gateway.intake.documents_verdict import Verdict
from gateway.sandbox.signing import Manner, Signer, add_signature, authority, complete, enclosing, person, sign_record
from tests.fakes.signers import ALL, PATH, RECEIVED, SCHOOL, book, document, intermediate, key, root, signers

SIGNATURE = f"{{{DSIG}}}Signature"
LEADER_ONLY = Policy((Role.LEADER,), PATH)


def judged(value: bytes, policy: Policy = ALL, trust: TrustBook | None = None) -> dict[str, str]:
    """Field → verdict."""
    return {p.field: p.rule for p in findings(value, policy, trust or book(), RECEIVED)}


def signed(changes: Callable[[etree._Element], None] | None = None, *, rows: int = 3, **manner: object) -> bytes:
    """A well signed document, then changed."""
    value = sign_record(document(rows), signers(), Manner(**manner))  # type: ignore[arg-type]  # a Manner's own names
    return value if changes is None else changed(value, changes)


def changed(value: bytes, changes: Callable[[etree._Element], None]) -> bytes:
    tree = etree.fromstring(value)
    changes(tree)
    return etree.tostring(tree, xml_declaration=True, encoding="UTF-8")


def by_leader(signer: Signer, manner: Manner | None = None) -> bytes:
    return sign_record(document(), {Role.LEADER: signer}, manner)


def the(tree: etree._Element, path: str) -> etree._Element:
    found = tree.find(path)
    assert found is not None, path
    return found


def leader_signature(tree: etree._Element) -> etree._Element:
    return the(tree, f"PHAT_HANH_HOC_BA/CBQL/{SIGNATURE}")


def leaders(tree: etree._Element, name: str) -> etree._Element:
    return next(leader_signature(tree).iter(f"{{{DSIG}}}{name}"))


# good


@pytest.mark.parametrize("canonical", [EXCLUSIVE, INCLUSIVE, "http://www.w3.org/2006/12/xml-c14n11"])
@pytest.mark.parametrize(
    "transforms",
    [(), (EXCLUSIVE,), (INCLUSIVE,), (f"{DSIG}enveloped-signature",), (f"{DSIG}enveloped-signature", EXCLUSIVE)],
)
def test_a_document_signed_by_all_roles_has_no_findings(canonical: str, transforms: tuple[str, ...]) -> None:
    assert judged(signed(canonical=canonical, transforms=transforms)) == {}


def test_one_teacher_may_sign_several_rows() -> None:
    value = sign_record(document().replace(b'"gv1"', b'"gv0"'), signers())

    assert value.count(b"<SignatureValue") == 5
    assert judged(value) == {}


def test_a_role_that_is_not_due_is_not_looked_at() -> None:
    assert judged(by_leader(signers()[Role.LEADER]), LEADER_ONLY) == {}


def test_namespaces_above_the_signed_element_count_in_both_canonical_forms() -> None:
    spread = document().replace(b"<HOC_BA>", b'<HOC_BA xmlns:a="urn:mau:a" xmlns:b="urn:mau:b">')
    for form in (EXCLUSIVE, INCLUSIVE):
        value = sign_record(spread, signers(), Manner(canonical=form, transforms=(form,)))

        assert judged(value) == {}
        assert judged(value.replace(b"urn:mau:b", b"urn:mau:c")) == (
            {} if form == EXCLUSIVE else dict.fromkeys(every_field()[:3], Verdict.TAMPERED)
        )


def every_field() -> list[str]:
    return [f"signature.subject_teacher[#{n}]" for n in range(3)] + [f"signature.{role}" for role in SCHOOL]


def test_inclusive_form_of_a_part_is_what_the_recommendation_says() -> None:
    """An independent text, because the tests' signer uses the same library as the verifier."""
    canonical = (
        b'<DU_LIEU_HOC_BA xmlns:a="urn:mau:a" Id="data"><THONG_TIN_HOC_BA Id="thongtinhocba"><A b="1" c="2"></A>'
        b"</THONG_TIN_HOC_BA></DU_LIEU_HOC_BA>"
    )
    tree = etree.fromstring(
        b'<HOC_BA xmlns:a="urn:mau:a"><DU_LIEU_HOC_BA Id="data"><THONG_TIN_HOC_BA Id="thongtinhocba"><A c="2" b="1"/>'
        b"</THONG_TIN_HOC_BA></DU_LIEU_HOC_BA><PHAT_HANH_HOC_BA><CBQL/></PHAT_HANH_HOC_BA></HOC_BA>"
    )
    holder = the(tree, "PHAT_HANH_HOC_BA/CBQL")
    add_signature(tree, holder, ["data"], signers()[Role.LEADER], Manner(transforms=(INCLUSIVE,)))
    digest = hashes.Hash(hashes.SHA256())
    digest.update(canonical)

    assert leaders(tree, "DigestValue").text == base64.b64encode(digest.finalize()).decode()
    assert judged(etree.tostring(tree), LEADER_ONLY) == {}


# signxml is the oracle


def oracle(value: bytes, of_persons: x509.Certificate, of_school: x509.Certificate) -> bool:
    """Whether signxml finds every signature of *value* good."""
    tree = etree.fromstring(value)
    for element in tree.iter(SIGNATURE):
        references = len(element.findall(f"{{{DSIG}}}SignedInfo/{{{DSIG}}}Reference"))
        parent = element.getparent()
        assert parent is not None
        certificate = of_school if parent.tag == "KY_PHAT_HANH" else of_persons
        pem = certificate.public_bytes(Encoding.PEM)
        path = tree.getroottree().getelementpath(parent)
        try:
            XMLVerifier().verify(
                value,
                x509_cert=pem.decode(),
                id_attribute="Id",
                expect_config=SignatureConfiguration(
                    location=f"./{path}/", expect_references=references, ignore_ambiguous_key_info=True
                ),
            )
        except Exception:  # noqa: BLE001  signxml's verdict is yes or any of many exceptions
            return False
    return True


def test_signxml_accepts_what_the_sandbox_signs_and_we_accept() -> None:
    value, known = by_one_person_and_the_school(), certificates_of_both()

    assert oracle(value, *known)
    assert judged(value) == {}
    assert not oracle(value.replace(b"8.5", b"9.5", 1), *known)


@pytest.mark.parametrize(
    "form", [CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0, CanonicalizationMethod.CANONICAL_XML_1_0]
)
@pytest.mark.parametrize("digest", [DigestAlgorithm.SHA256, DigestAlgorithm.SHA512])
def test_we_accept_what_signxml_signs(form: CanonicalizationMethod, digest: DigestAlgorithm) -> None:
    signer = signers()[Role.LEADER]
    tool = XMLSigner(
        method=SignatureConstructionMethod.detached,
        signature_algorithm=SignatureMethod.RSA_SHA256,
        digest_algorithm=digest,
        c14n_algorithm=form,
    )
    tree = etree.fromstring(document().replace(b"</HOC_BA>", b"<PHAT_HANH_HOC_BA><CBQL/></PHAT_HANH_HOC_BA></HOC_BA>"))
    chain = [signer.certificate, *signer.chain]
    made = tool.sign(tree, key=signer.key, cert=chain, reference_uri="#data")
    the(tree, "PHAT_HANH_HOC_BA/CBQL").append(made)

    assert judged(etree.tostring(tree), LEADER_ONLY) == {}


@settings(max_examples=60, deadline=None)
@given(at=st.integers(min_value=60), byte=st.integers(0, 255))
def test_no_changed_byte_is_good_to_us_and_bad_to_signxml(at: int, byte: int) -> None:
    value = bytearray(by_one_person_and_the_school())
    value[60 + at % (len(value) - 60)] = byte

    if judged(bytes(value)) == {}:
        assert oracle(bytes(value), *certificates_of_both())


def by_one_person_and_the_school() -> bytes:
    leader, seal = signers()[Role.LEADER], signers()[Role.SCHOOL_SEAL]
    return sign_record(document(), dict.fromkeys(Role, leader) | {Role.SCHOOL_SEAL: seal})


def certificates_of_both() -> tuple[x509.Certificate, x509.Certificate]:
    return signers()[Role.LEADER].certificate, signers()[Role.SCHOOL_SEAL].certificate


# tampered


def test_a_changed_mark_is_said_once_of_the_innermost_signature_over_it() -> None:
    value = signed().replace(b"8.5", b"9.5", 1)

    assert judged(value) == {"signature.subject_teacher[#0]": "tampered"}
    assert judged(value, Policy(SCHOOL, PATH)) == {"signature.homeroom": "tampered"}
    assert judged(value, Policy((Role.SCHOOL_SEAL, Role.LEADER), PATH)) == {
        "signature.leader": "tampered",
        "signature.school_seal": "tampered",
    }


def test_a_changed_head_leaves_the_teachers_signatures_good() -> None:
    assert judged(signed().replace("Vàng A".encode(), "Vàng B".encode())) == {"signature.homeroom": "tampered"}


def test_a_signature_that_is_wrong_itself_is_said_beside_one_inside() -> None:
    """Only what follows from a changed part is left out: a digest that could never fit follows from nothing."""

    def empty(tree: etree._Element) -> None:
        leaders(tree, "DigestValue").text = ""
        leader_signature(tree).find(f"{{{DSIG}}}SignatureValue").text = ""  # type: ignore[union-attr]

    value = signed(empty).replace(b"8.5", b"9.5", 1)
    stated = sign_record(document(), signers()).replace(b"8.5", b"9.5", 1)
    unfit = re.sub(b"(<DigestValue>)[^<]*", rb"\1AAAA", stated)

    assert judged(value) == {"signature.subject_teacher[#0]": "tampered", "signature.leader": "tampered"}
    assert judged(unfit) == dict.fromkeys(every_field(), "tampered")


def test_a_placeholder_is_no_signature() -> None:
    def empty(tree: etree._Element) -> None:
        leaders(tree, "DigestValue").text = "PLACEHOLDER"

    assert judged(signed(empty), LEADER_ONLY) == {"signature.leader": "tampered"}


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", "é"])
def test_a_wrong_signature_value_is_tampered(text: str) -> None:
    def break_it(tree: etree._Element) -> None:
        leaders(tree, "SignatureValue").text = text

    assert judged(signed(break_it), LEADER_ONLY) == {"signature.leader": "tampered"}


def test_a_signature_by_another_key_than_the_certificates_is_tampered() -> None:
    other = Signer(rsa.generate_private_key(65_537, 2_048), signers()[Role.LEADER].certificate)

    assert judged(by_leader(other), LEADER_ONLY) == {"signature.leader": "tampered"}


def test_reformatting_the_xml_is_tampering() -> None:
    tree = etree.fromstring(signed())
    etree.indent(tree)

    assert set(judged(etree.tostring(tree)).values()) == {"tampered"}


# missing


@pytest.mark.parametrize("role", SCHOOL)
def test_a_missing_signer_is_named(role: Role) -> None:
    value = sign_record(document(), {r: s for r, s in signers().items() if r is not role})

    assert judged(value) == {f"signature.{role}": "missing"}


def test_a_row_nobody_signed_is_named_by_its_place() -> None:
    def take_out(tree: etree._Element) -> None:
        teachers = the(tree, "DU_LIEU_HOC_BA/DANH_SACH_THONG_TIN_KY/DANH_SACH_GVBM")
        teachers.remove(teachers[1])

    assert judged(signed(take_out))["signature.subject_teacher[#1]"] == "missing"


def test_a_row_without_an_id_cannot_be_signed() -> None:
    value = document().replace(b' Id="diem1"', b"").replace(b'<GVBM Id="gv1"/>', b"")

    assert judged(sign_record(value, signers())) == {"signature.subject_teacher[#1]": "missing"}


def test_a_document_without_any_signature_lacks_all() -> None:
    assert judged(document()) == dict.fromkeys(every_field(), "missing")


# whose certificate


def test_one_certificate_is_not_a_persons_and_the_schools() -> None:
    value = sign_record(document(), dict.fromkeys(Role, signers()[Role.LEADER]))

    assert judged(value) == {"signature.school_seal": "same_certificate"}


@pytest.mark.parametrize("policy", [ALL, Policy((Role.SCHOOL_SEAL,), PATH)])
def test_the_leaders_signature_copied_is_no_seal(policy: Policy) -> None:
    def copy(tree: etree._Element) -> None:
        place = the(tree, "PHAT_HANH_HOC_BA/KY_PHAT_HANH")
        place[0] = deepcopy(leader_signature(tree))

    assert judged(signed(copy), policy) == {"signature.school_seal": "same_certificate"}


def test_one_person_may_sign_in_several_roles() -> None:
    assert judged(by_one_person_and_the_school()) == {}


def by(seal: Signer, person: Signer | None = None) -> bytes:
    given = signers() | {Role.SCHOOL_SEAL: seal}
    return sign_record(document(), given if person is None else given | {Role.LEADER: person})


def test_a_seal_must_come_from_the_authorities_of_seals() -> None:
    seals = authority("Mẫu Cấp Con Dấu", root())
    own = enclosing(person("Mẫu Trường", seals, key=key()), seals.certificate)
    strict = book(kinds={Kind.SEAL: Allowed(issuers=(seals.certificate,))})

    assert judged(by(own), trust=strict) == {}
    assert judged(by(signers()[Role.SCHOOL_SEAL]), trust=strict) == {"signature.school_seal": "untrusted"}
    assert judged(by(own, own), trust=strict) == {"signature.school_seal": "same_certificate"}


def test_a_person_must_come_from_the_authorities_of_persons() -> None:
    persons = authority("Mẫu Cấp Cá Nhân", root())
    own = enclosing(person("Mẫu Người", persons, key=key()), persons.certificate)
    strict = book(kinds={Kind.PERSONS: Allowed(issuers=(persons.certificate,))})
    by_own = sign_record(document(), dict.fromkeys(Role, own) | {Role.SCHOOL_SEAL: signers()[Role.SCHOOL_SEAL]})

    assert judged(by_own, trust=strict) == {}
    assert set(judged(signed(), trust=strict)) == set(every_field()) - {"signature.school_seal"}
    assert set(judged(signed(), trust=strict).values()) == {"untrusted"}


def test_a_root_may_be_named_for_a_role_and_a_renewed_authority_stays_the_same() -> None:
    renewed = replace(intermediate(), certificate=renewal_of(intermediate()))

    for issuer in (root(), intermediate(), renewed):
        assert judged(signed(), trust=book(kinds={Kind.SEAL: Allowed(issuers=(issuer.certificate,))})) == {}


def renewal_of(signer: Signer) -> x509.Certificate:
    """Another certificate of the same authority and key."""
    return (
        x509.CertificateBuilder()
        .subject_name(signer.certificate.subject)
        .issuer_name(signer.certificate.issuer)
        .public_key(signer.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(EARLIER)
        .not_valid_after(LATER)
        .sign(root().key, hashes.SHA256())
    )


def test_seals_may_be_approved_one_by_one() -> None:
    seal, leader = (
        signers()[role].certificate.fingerprint(hashes.SHA256()).hex() for role in (Role.SCHOOL_SEAL, Role.LEADER)
    )

    assert judged(signed(), trust=book(kinds={Kind.SEAL: Allowed(approved=frozenset({seal}))})) == {}
    assert judged(signed(), trust=book(kinds={Kind.SEAL: Allowed(approved=frozenset({leader}))})) == {
        "signature.school_seal": "not_approved"
    }


# namespaces


def test_a_row_in_no_namespace_is_a_row_in_a_document_that_has_one() -> None:
    """The mapping reads it, so a teacher must have signed it."""
    head, row = b"<HOC_BA>", b'<DIEM_TONG_KET xmlns="" Id="diem9"><MA_MON>9</MA_MON></DIEM_TONG_KET>'
    value = document().replace(b"</THONG_TIN_HOC_BA>", row + b"</THONG_TIN_HOC_BA>")
    value = sign_record(
        value.replace(head, b'<x:HOC_BA xmlns:x="urn:mau">').replace(b"</HOC_BA>", b"</x:HOC_BA>"), signers()
    )
    read = decode_xml(value)

    assert isinstance(read, dict)
    assert len(read["DU_LIEU_HOC_BA"]["THONG_TIN_HOC_BA"]["DIEM_TONG_KET"]) == 4
    assert judged(value) == {"signature.subject_teacher[#3]": "missing"}


@pytest.mark.parametrize("own", [b'xmlns="" ', b'xmlns="urn:mau" ', b'xmlns="urn:khac" '])
def test_the_mapping_and_the_signatures_see_the_same_rows(own: bytes) -> None:
    row = b"<DIEM_TONG_KET " + own + b'Id="diem9"><MA_MON>9</MA_MON></DIEM_TONG_KET>'
    value = document().replace(b"<HOC_BA>", b'<HOC_BA xmlns="urn:mau">')
    value = value.replace(b"</THONG_TIN_HOC_BA>", row + b"</THONG_TIN_HOC_BA>")
    read, placed = decode_xml(value), open_document(value, PATH)

    assert isinstance(read, dict)
    assert isinstance(placed, Document)
    assert len(read["DU_LIEU_HOC_BA"]["THONG_TIN_HOC_BA"]["DIEM_TONG_KET"]) == len(placed.rows)


def test_a_second_record_in_no_namespace_is_refused() -> None:
    value = document().replace(b"<HOC_BA>", b'<HOC_BA xmlns="urn:mau">')
    value = value.replace(b"</DU_LIEU_HOC_BA>", b'<THONG_TIN_HOC_BA xmlns=""/></DU_LIEU_HOC_BA>')

    assert open_document(value, PATH) is Verdict.UNSUPPORTED


# time and trust


def lived(since: datetime, until: datetime) -> Signer:
    return person("Mẫu Hạn", intermediate(), key=key(), since=since, until=until)


EARLIER, LATER = RECEIVED - timedelta(days=30), RECEIVED + timedelta(days=30)


def test_a_certificate_that_ended_before_receipt_is_expired() -> None:
    value = by_leader(lived(EARLIER, RECEIVED - timedelta(days=1)))

    assert judged(value, LEADER_ONLY) == {"signature.leader": "expired"}


def test_a_certificate_that_begins_later_is_not_yet_valid() -> None:
    assert judged(by_leader(lived(RECEIVED + timedelta(days=1), LATER)), LEADER_ONLY) == {
        "signature.leader": "not_yet_valid"
    }


@pytest.mark.parametrize(
    ("stated", "verdict"),
    [
        ("2026-05-10T08:00:00+07:00", None),
        ("2026-05-10T08:00:00", None),
        ("2026-05-25T08:00:00+07:00", "expired"),
        ("2026-04-01T08:00:00+07:00", "not_yet_valid"),
        ("2026-06-09T08:00:00+07:00", "not_yet_valid"),
        ("hôm qua", "unsupported"),
    ],
)
def test_a_stated_and_signed_time_counts_before_the_time_of_receipt(stated: str, verdict: str | None) -> None:
    value = by_leader(lived(EARLIER, RECEIVED - timedelta(days=10)), Manner(signing_time=stated))

    assert judged(value, LEADER_ONLY) == ({} if verdict is None else {"signature.leader": verdict})


def test_a_stated_time_that_is_not_signed_does_not_count() -> None:
    def state(tree: etree._Element) -> None:
        stated = etree.SubElement(leader_signature(tree), f"{{{DSIG}}}Object")
        etree.SubElement(stated, f"{{{DSIG}}}SigningTime").text = "2026-05-10T08:00:00"

    value = changed(by_leader(lived(EARLIER, RECEIVED - timedelta(days=10))), state)

    assert judged(value, LEADER_ONLY) == {"signature.leader": "expired"}


def test_a_changed_signing_time_is_tampered() -> None:
    value = by_leader(signers()[Role.LEADER], Manner(signing_time="2026-05-10T08:00:00"))

    assert judged(value.replace(b"2026-05-10", b"2026-05-11"), LEADER_ONLY) == {"signature.leader": "tampered"}


def test_a_chain_to_another_root_is_untrusted() -> None:
    stranger = person("Mẫu Lạ", authority("Mẫu Gốc"), key=key())

    assert judged(by_leader(stranger), LEADER_ONLY) == {"signature.leader": "untrusted"}


def test_a_self_signed_certificate_is_untrusted() -> None:
    assert judged(by_leader(authority("Mẫu Tự Ký")), LEADER_ONLY) == {"signature.leader": "untrusted"}


def test_a_person_is_no_authority() -> None:
    issued = person("Mẫu Cháu", signers()[Role.HOMEROOM], key=key())
    value = by_leader(enclosing(issued, signers()[Role.HOMEROOM].certificate, intermediate().certificate))

    assert judged(value, LEADER_ONLY) == {"signature.leader": "untrusted"}


def test_an_intermediate_may_stand_in_the_store_or_in_the_signature() -> None:
    bare = enclosing(signers()[Role.LEADER])

    assert judged(by_leader(bare), LEADER_ONLY) == {"signature.leader": "untrusted"}
    assert judged(by_leader(bare), LEADER_ONLY, book(intermediates=(intermediate().certificate,))) == {}


def test_the_order_of_enclosed_certificates_does_not_matter() -> None:
    def turn(tree: etree._Element) -> None:
        data = leaders(tree, "X509Data")
        data.append(data[0])

    assert judged(signed(turn), LEADER_ONLY) == {}


def test_an_installation_without_roots_trusts_nobody() -> None:
    assert judged(signed(), trust=TrustBook(TrustStore(()))) == dict.fromkeys(every_field(), "untrusted")


def test_a_signature_without_certificate_is_untrusted() -> None:
    def take_out(tree: etree._Element) -> None:
        leader_signature(tree).remove(leaders(tree, "KeyInfo"))

    assert judged(signed(take_out), LEADER_ONLY) == {"signature.leader": "untrusted"}


def test_only_approved_certificates_count_where_a_list_stands() -> None:
    approved = frozenset({signers()[Role.LEADER].certificate.fingerprint(hashes.SHA256()).hex()})

    assert judged(signed(), LEADER_ONLY, book(approved=approved)) == {}
    assert judged(signed(), Policy(SCHOOL, PATH), book(approved=approved)) == {
        "signature.homeroom": "not_approved",
        "signature.school_seal": "not_approved",
    }


def crl(on: datetime, reason: x509.ReasonFlags) -> x509.CertificateRevocationList:
    serial = signers()[Role.LEADER].certificate.serial_number
    entry = (
        x509.RevokedCertificateBuilder()
        .serial_number(serial)
        .revocation_date(on)
        .add_extension(x509.CRLReason(reason), critical=False)
        .build()
    )
    builder = x509.CertificateRevocationListBuilder().issuer_name(intermediate().certificate.subject)
    return (builder.last_update(on).next_update(on + timedelta(days=90)).add_revoked_certificate(entry)).sign(
        intermediate().key, hashes.SHA256()
    )


@pytest.mark.parametrize(
    ("on", "reason", "verdict"),
    [
        (EARLIER, x509.ReasonFlags.superseded, "revoked"),
        (LATER, x509.ReasonFlags.superseded, None),
        (LATER, x509.ReasonFlags.key_compromise, "revoked"),
    ],
)
def test_what_was_signed_before_a_withdrawal_stays_good_unless_the_key_was_stolen(
    on: datetime, reason: x509.ReasonFlags, verdict: str | None
) -> None:
    withdrawn = withdrawals([crl(on, reason)])

    assert (ALWAYS in withdrawn.values()) == (reason is x509.ReasonFlags.key_compromise)
    assert judged(signed(), LEADER_ONLY, book(withdrawn=withdrawn)) == (
        {} if verdict is None else {"signature.leader": verdict}
    )


def test_a_chain_is_judged_anew_at_another_time() -> None:
    short = authority("Mẫu Ngắn", root(), until=RECEIVED - timedelta(days=20))
    signer = enclosing(person("Mẫu Dài", short, key=key()), short.certificate)
    trust = book()

    early = by_leader(signer, Manner(signing_time="2026-05-10T08:00:00"))
    assert judged(early, LEADER_ONLY, trust) == {}
    assert judged(by_leader(signer), LEADER_ONLY, trust) == {"signature.leader": "untrusted"}


# wrong reference and signature wrapping


@pytest.mark.parametrize(
    ("role", "names"),
    [
        (Role.LEADER, ["thongtinhocba"]),
        (Role.LEADER, ["diem0"]),
        (Role.LEADER, ["data", "thongtinhocba"]),
        (Role.SCHOOL_SEAL, ["thongtinhocba"]),
        (Role.HOMEROOM, ["diem0"]),
    ],
)
def test_a_role_signs_its_own_part_and_nothing_else(role: Role, names: list[str]) -> None:
    def sign_other(tree: etree._Element) -> None:
        places = {Role.HOMEROOM: "DU_LIEU_HOC_BA/DANH_SACH_THONG_TIN_KY/GVCN"}
        holder = the(tree, places.get(role, f"PHAT_HANH_HOC_BA/{'CBQL' if role is Role.LEADER else 'KY_PHAT_HANH'}"))
        holder.remove(holder[0])
        add_signature(tree, holder, names, signers()[role], Manner())

    assert judged(signed(sign_other), Policy((role,), PATH)) == {f"signature.{role}": "wrong_reference"}


def test_a_homeroom_teacher_who_signs_the_whole_signs_around_the_signature_itself() -> None:
    tree = etree.fromstring(document())
    data = the(tree, "DU_LIEU_HOC_BA")
    holder = etree.SubElement(etree.SubElement(data, "DANH_SACH_THONG_TIN_KY"), "GVCN")
    add_signature(tree, holder, ["data"], signers()[Role.HOMEROOM], Manner(transforms=(f"{DSIG}enveloped-signature",)))

    assert judged(etree.tostring(tree), Policy((Role.HOMEROOM,), PATH)) == {"signature.homeroom": "wrong_reference"}


def test_a_teacher_signs_only_rows_that_name_this_teacher() -> None:
    def swap(tree: etree._Element) -> None:
        teachers = the(tree, "DU_LIEU_HOC_BA/DANH_SACH_THONG_TIN_KY/DANH_SACH_GVBM")
        teachers[0].append(teachers[1][0])
        teachers.remove(teachers[1])

    assert judged(signed(swap))["signature.subject_teacher[#1]"] == "wrong_reference"


def test_a_teacher_who_signs_the_record_instead_of_a_row_is_told_so() -> None:
    def sign_other(tree: etree._Element) -> None:
        holder = the(tree, "DU_LIEU_HOC_BA/DANH_SACH_THONG_TIN_KY/DANH_SACH_GVBM")[0]
        holder.remove(holder[0])
        add_signature(tree, holder, ["thongtinhocba"], signers()[Role.SUBJECT_TEACHER], Manner())

    found = judged(signed(sign_other))
    assert found["signature.subject_teacher"] == "wrong_reference"
    assert found["signature.subject_teacher[#0]"] == "missing"


def test_a_signature_inside_what_it_signs_is_refused() -> None:
    tree = etree.fromstring(document())
    record = the(tree, "DU_LIEU_HOC_BA/THONG_TIN_HOC_BA")
    add_signature(tree, record, ["thongtinhocba"], signers()[Role.HOMEROOM], Manner())

    assert judged(etree.tostring(tree), Policy((Role.HOMEROOM,), PATH)) == {
        "signature": "wrong_reference",
        "signature.homeroom": "missing",
    }


@pytest.mark.parametrize("uri", ["", "#", "thongtinhocba", "http://localhost/data", "#xpointer(/)", "#nowhere"])
def test_references_other_than_by_a_known_id_are_refused(uri: str) -> None:
    def refer(tree: etree._Element) -> None:
        leaders(tree, "Reference").set("URI", uri)

    assert judged(signed(refer), LEADER_ONLY) == {"signature.leader": "wrong_reference"}


FORGED = '<THONG_TIN_HOC_BA Id="{id}"><HO_VA_TEN>Kẻ Mẫu Gian</HO_VA_TEN></THONG_TIN_HOC_BA>'


def wrapped(tree: etree._Element, forged_id: str, hide: str) -> None:
    """The signed record goes to a place where it still has its Id; a forged one takes its place."""
    data = the(tree, "DU_LIEU_HOC_BA")
    original = the(data, "THONG_TIN_HOC_BA")
    forged = etree.fromstring(FORGED.format(id=forged_id))
    data.replace(original, forged)
    if hide == "in the forged one":
        forged.append(original)
    elif hide == "beside the data":
        etree.SubElement(tree, "KHAC").append(original)
    elif hide == "in an object":
        etree.SubElement(leader_signature(tree), f"{{{DSIG}}}Object").append(original)
    else:
        data.append(original)


@pytest.mark.parametrize("hide", ["in the forged one", "beside the data", "in an object", "in the data"])
@pytest.mark.parametrize("forged_id", ["thongtinhocba", "khac", "ThongTinHocBa"])
def test_a_moved_record_does_not_vouch_for_a_forged_one(forged_id: str, hide: str) -> None:
    value = signed(lambda tree: wrapped(tree, forged_id, hide))

    found = judged(value, Policy((Role.HOMEROOM,), PATH))
    assert found
    assert set(found.values()) <= {"wrong_reference", "unsupported", "tampered"}


@pytest.mark.parametrize("name", ["Id", "ID", "id", "{http://www.w3.org/XML/1998/namespace}id"])
def test_an_id_that_stands_twice_is_refused_in_every_spelling(name: str) -> None:
    def twice(tree: etree._Element) -> None:
        etree.SubElement(tree, "KHAC").set(name, "data")

    assert judged(signed(twice), LEADER_ONLY) == {"signature.leader": "wrong_reference"}


def test_the_whole_data_hidden_elsewhere_does_not_vouch_for_forged_data() -> None:
    def wrap(tree: etree._Element) -> None:
        original = the(tree, "DU_LIEU_HOC_BA")
        forged = etree.fromstring(f"<DU_LIEU_HOC_BA>{FORGED.format(id='x')}</DU_LIEU_HOC_BA>")
        tree.replace(original, forged)
        etree.SubElement(tree, "KHAC").append(original)

    found = judged(signed(wrap), LEADER_ONLY)
    assert found["signature.leader"] == "wrong_reference"


@pytest.mark.parametrize("name", ["DU_LIEU_HOC_BA", "DU_LIEU_HOC_BA/THONG_TIN_HOC_BA"])
def test_two_records_in_one_document_are_refused(name: str) -> None:
    def double(tree: etree._Element) -> None:
        element = the(tree, name)
        parent = element.getparent()
        assert parent is not None
        parent.append(etree.fromstring(f"<{element.tag}/>"))

    assert judged(signed(double)) == {"signature": "unsupported"}


def test_a_signature_at_no_roles_place_is_refused() -> None:
    def add(tree: etree._Element) -> None:
        etree.SubElement(etree.SubElement(tree, "KHAC"), SIGNATURE)

    assert judged(signed(add)) == {"signature": "wrong_reference"}


def test_a_second_bad_signature_beside_a_good_one_is_told() -> None:
    def add(tree: etree._Element) -> None:
        etree.SubElement(the(tree, "PHAT_HANH_HOC_BA/CBQL"), SIGNATURE)

    assert judged(signed(add), LEADER_ONLY) == {"signature.leader": "unsupported"}


# unsupported and weak


def attribute(name: str, value: str) -> Callable[[etree._Element], None]:
    return lambda tree: leaders(tree, name).set("Algorithm", value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SignatureMethod", f"{DSIG}rsa-sha1"),
        ("SignatureMethod", f"{DSIG}hmac-sha1"),
        ("SignatureMethod", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"),
        ("SignatureMethod", f"{DSIG}dsa-sha1"),
        ("SignatureMethod", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"),
        ("SignatureMethod", ""),
        ("DigestMethod", f"{DSIG}sha1"),
        ("DigestMethod", "http://www.w3.org/2001/04/xmldsig-more#md5"),
        ("CanonicalizationMethod", f"{EXCLUSIVE}WithComments"),
        ("CanonicalizationMethod", "http://www.w3.org/TR/1999/REC-xslt-19991116"),
        ("Transform", "http://www.w3.org/TR/1999/REC-xslt-19991116"),
        ("Transform", "http://www.w3.org/TR/1999/REC-xpath-19991116"),
        ("Transform", "http://www.w3.org/2002/06/xmldsig-filter2"),
        ("Transform", f"{DSIG}base64"),
    ],
)
def test_weak_and_dangerous_methods_are_refused(name: str, value: str) -> None:
    assert judged(signed(attribute(name, value)), LEADER_ONLY) == {"signature.leader": "unsupported"}


def test_a_signature_keyed_by_the_public_key_as_a_secret_is_refused() -> None:
    """The classic confusion: HMAC whose key is the certificate everyone has."""

    def confuse(tree: etree._Element) -> None:
        attribute("SignatureMethod", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256")(tree)
        complete(tree, leader_signature(tree), signers()[Role.LEADER])

    assert judged(signed(confuse), LEADER_ONLY) == {"signature.leader": "unsupported"}


def test_short_keys_are_refused() -> None:
    weak = person("Mẫu Yếu", intermediate(), key=rsa.generate_private_key(65_537, 1_024))  # noqa: S505  it is refused

    assert judged(by_leader(weak), LEADER_ONLY) == {"signature.leader": "unsupported"}


def test_a_certificate_of_another_kind_of_key_is_refused() -> None:
    signer = signers()[Role.LEADER]
    curve = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(signer.certificate.subject)
        .issuer_name(signer.certificate.issuer)
        .public_key(curve.public_key())
        .serial_number(1)
        .not_valid_before(EARLIER)
        .not_valid_after(LATER)
        .sign(intermediate().key, hashes.SHA256())
    )

    value = by_leader(Signer(signer.key, certificate))
    assert judged(value, LEADER_ONLY) == {"signature.leader": "unsupported"}


@pytest.mark.parametrize("text", ["", "AAAA", "no base64", "MIIB"])
def test_a_certificate_that_cannot_be_read_is_refused(text: str) -> None:
    def break_it(tree: etree._Element) -> None:
        for element in leader_signature(tree).iter(f"{{{DSIG}}}X509Certificate"):
            element.text = text

    assert judged(signed(break_it), LEADER_ONLY) == {"signature.leader": "unsupported"}


def test_comments_and_instructions_are_refused_because_readers_differ_on_them() -> None:
    for planted in (b"8<!-- -->.5", b"8<?x y?>.5"):
        assert judged(signed().replace(b"8.5", planted, 1)) == {"signature": "unsupported"}


def test_instructions_before_the_root_are_harmless() -> None:
    assert judged(signed().replace(b"<HOC_BA>", b"<?xml-stylesheet href='x'?><HOC_BA>")) == {}


@pytest.mark.parametrize(
    "head",
    [
        b"<!DOCTYPE HOC_BA>",
        b'<!DOCTYPE HOC_BA [<!ENTITY a "8.5">]>',
        b'<!DOCTYPE HOC_BA SYSTEM "file:///etc/hostname">',
        b'<!DOCTYPE HOC_BA [<!ATTLIST KHAC Id CDATA "data">]>',
    ],
)
def test_documents_with_a_dtd_are_refused(head: bytes) -> None:
    assert judged(signed().replace(b"<HOC_BA>", head + b"<HOC_BA>")) == {"signature": "unsupported"}


@pytest.mark.parametrize("value", [b"", b"\x00", b"<HOC_BA>", b"<HOC_BA/>", b"{}", "<a>Mẫu</a>".encode("utf-16")])
def test_what_is_no_such_document_is_refused(value: bytes) -> None:
    assert judged(value) == {"signature": "unsupported"}


def test_character_references_and_cdata_say_the_same_and_stay_good() -> None:
    assert judged(signed().replace(b"8.5", b"<![CDATA[8]]>&#46;5", 1)) == {}


def test_a_changed_encoding_of_the_same_text_stays_good() -> None:
    text = signed().decode().replace("encoding='UTF-8'", "encoding='UTF-16'")

    assert judged(text.encode("utf-16")) == {}


# bounds


def test_many_signatures_are_refused_before_any_is_checked() -> None:
    def many(tree: etree._Element) -> None:
        holder = the(tree, "PHAT_HANH_HOC_BA/CBQL")
        for _ in range(100):
            etree.SubElement(holder, SIGNATURE)

    assert judged(signed(many)) == {"signature": "unsupported"}


def test_many_rows_are_refused() -> None:
    assert judged(document(61)) == {"signature": "unsupported"}


def repeat(name: str, times: int) -> Callable[[etree._Element], None]:
    def change(tree: etree._Element) -> None:
        element = leaders(tree, name)
        parent = element.getparent()
        assert parent is not None
        for _ in range(times):
            parent.append(etree.fromstring(etree.tostring(element)))

    return change


@pytest.mark.parametrize(("name", "times"), [("Reference", 40), ("X509Certificate", 10), ("Transform", 3)])
def test_many_references_certificates_or_transforms_are_refused(name: str, times: int) -> None:
    assert judged(signed(repeat(name, times)), LEADER_ONLY) == {"signature.leader": "unsupported"}


def test_a_huge_certificate_is_refused() -> None:
    def swell(tree: etree._Element) -> None:
        leaders(tree, "X509Certificate").text = "A" * 20_000

    assert judged(signed(swell), LEADER_ONLY) == {"signature.leader": "unsupported"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_many_namespaces_are_refused_before_their_canonical_form_takes_minutes(encoding: str) -> None:
    spaces = " ".join(f'xmlns:n{n}="urn:{n}"' for n in range(20_000))
    text = signed(transforms=()).decode().replace("encoding='UTF-8'", f"encoding='{encoding}'")

    assert judged(text.replace("<HOC_BA>", f"<HOC_BA {spaces}>").encode(encoding)) == {"signature": "unsupported"}


def test_many_attributes_are_refused_before_they_are_sorted() -> None:
    many = " ".join(f'a{n}="1"' for n in range(20_000))
    value = signed().replace(b"<HO_VA_TEN>", f"<HO_VA_TEN {many}>".encode())

    assert judged(value) == {"signature": "unsupported"}


def test_an_encoding_that_hides_what_is_counted_is_refused() -> None:
    text = signed().decode().replace("encoding='UTF-8'", "encoding='UTF-32'")

    assert judged(text.encode("utf-32")) == {"signature": "unsupported"}


def test_canonical_forms_that_swell_are_refused() -> None:
    """Each of many rows would inherit each of many namespaces in its inclusive form."""
    spaces = "".join(f' xmlns:n{n}="urn:mau:{n}:{"x" * 60}"' for n in range(200))
    value = document(60).replace(b"<HOC_BA>", f"<HOC_BA{spaces}>".encode())
    same = dict.fromkeys((Role.SUBJECT_TEACHER,), signers()[Role.SUBJECT_TEACHER])
    swollen = sign_record(value.replace(b"<GVBM Id", b"<GVBM Ma"), {})
    names = [f"diem{n}" for n in range(32)]
    tree = etree.fromstring(swollen)
    holder = etree.SubElement(
        etree.SubElement(etree.SubElement(the(tree, "DU_LIEU_HOC_BA"), "DANH_SACH_THONG_TIN_KY"), "DANH_SACH_GVBM"),
        "GVBM",
    )
    add_signature(tree, holder, names, same[Role.SUBJECT_TEACHER], Manner(transforms=(INCLUSIVE,)))

    found = judged(etree.tostring(tree), Policy((Role.SUBJECT_TEACHER,), PATH))
    assert found["signature.subject_teacher[#0]"] == "unsupported"


def test_inherited_xml_attributes_are_refused_in_inclusive_forms_only() -> None:
    value = document().replace(b"<HOC_BA>", b'<HOC_BA xml:lang="vi">')

    assert judged(sign_record(value, signers())) == {}
    inclusive = sign_record(value, signers(), Manner(transforms=(INCLUSIVE,)))
    assert set(judged(inclusive).values()) == {"unsupported"}


def test_inclusive_prefixes_are_honoured_and_bounded() -> None:
    tree = etree.fromstring(signed().replace(b"<HOC_BA>", b'<HOC_BA xmlns:a="urn:mau:a">'))
    transform = leaders(tree, "Transform")
    listed = etree.SubElement(transform, f"{{{EXCLUSIVE}}}InclusiveNamespaces")
    listed.set("PrefixList", "a")
    data = the(tree, "DU_LIEU_HOC_BA")
    form = etree.tostring(data, method="c14n", exclusive=True, inclusive_ns_prefixes=["a"])
    digest = hashes.Hash(hashes.SHA256())
    digest.update(form)
    leaders(tree, "DigestValue").text = base64.b64encode(digest.finalize()).decode()
    info = leaders(tree, "SignedInfo")
    value = signers()[Role.LEADER].key.sign(
        etree.tostring(info, method="c14n", exclusive=True), PKCS1v15(), hashes.SHA256()
    )
    leaders(tree, "SignatureValue").text = base64.b64encode(value).decode()

    assert b'xmlns:a="urn:mau:a"' in form
    assert judged(etree.tostring(tree), LEADER_ONLY) == {}
    listed.set("PrefixList", " ".join(f"p{n}" for n in range(20)))
    assert judged(etree.tostring(tree), LEADER_ONLY) == {"signature.leader": "unsupported"}


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_give_findings_and_never_an_exception(value: bytes) -> None:
    assert judged(value) == {"signature": "unsupported"}


@settings(max_examples=150, deadline=None)
@given(start=st.integers(min_value=0), length=st.integers(0, 60), planted=st.binary(max_size=30))
def test_any_damage_gives_findings_of_known_verdicts(start: int, length: int, planted: bytes) -> None:
    value = by_one_person_and_the_school()
    at = start % len(value)

    found = judged(value[:at] + planted + value[at + length :])
    assert set(found.values()) <= {str(verdict) for verdict in Verdict}


@settings(max_examples=150, deadline=None)
@given(places=st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_certificate_never_raises(places: list[tuple[int, int]]) -> None:
    der = bytearray(signers()[Role.LEADER].der)
    for at, byte in places:
        der[at % len(der)] = byte
    whole = base64.b64encode(signers()[Role.LEADER].der)
    value = by_one_person_and_the_school().replace(whole, base64.b64encode(bytes(der)))

    assert set(judged(value).values()) <= {"tampered", "unsupported", "untrusted", "expired", "not_yet_valid"}


def test_namespaces_without_a_canonical_form_are_refused() -> None:
    value = signed().replace(b"<HO_VA_TEN>", b'<HO_VA_TEN xmlns:a="relative">', 1)

    assert judged(value, LEADER_ONLY) == {"signature.leader": "unsupported"}


def test_a_signature_over_its_own_parts_alone_signs_nothing() -> None:
    def own_only(tree: etree._Element) -> None:
        references = leaders(tree, "SignedInfo").findall(f"{{{DSIG}}}Reference")
        leaders(tree, "SignedInfo").remove(references[0])

    value = changed(by_leader(signers()[Role.LEADER], Manner(signing_time="2026-05-10T08:00:00")), own_only)
    assert judged(value, LEADER_ONLY) == {"signature.leader": "wrong_reference"}


def test_own_parts_of_many_elements_are_not_searched() -> None:
    def swell(tree: etree._Element) -> None:
        stated = leaders(tree, "Object")
        name = stated.attrib.pop("Id")
        for _ in range(600):
            etree.SubElement(stated, "x")
        etree.SubElement(stated, "x").set("Id", name)

    value = changed(by_leader(signers()[Role.LEADER], Manner(signing_time="2026-05-10T08:00:00")), swell)
    assert judged(value, LEADER_ONLY) == {"signature.leader": "unsupported"}


def test_an_id_of_another_part_of_the_document_is_not_a_signatures_own() -> None:
    def refer(tree: etree._Element) -> None:
        etree.SubElement(tree, "KHAC").set("Id", "khac")
        leaders(tree, "Reference").set("URI", "#khac")

    assert judged(signed(refer), LEADER_ONLY) == {"signature.leader": "wrong_reference"}


def test_however_a_connector_places_the_record_a_signature_inside_what_it_signs_is_refused() -> None:
    tree = etree.fromstring(document())
    outer = etree.SubElement(tree, "PHAT_HANH_HOC_BA", Id="data2")
    outer.append(the(tree, "DU_LIEU_HOC_BA/THONG_TIN_HOC_BA"))
    del the(tree, "DU_LIEU_HOC_BA").attrib["Id"]
    outer.set("Id", "data")
    add_signature(tree, etree.SubElement(outer, "CBQL"), ["data"], signers()[Role.LEADER], Manner())
    policy = Policy((Role.LEADER,), ("PHAT_HANH_HOC_BA", "THONG_TIN_HOC_BA"))

    assert judged(etree.tostring(tree), policy) == {"signature.leader": "wrong_reference"}


def certified(subject: Signer, issuer: Signer, usage: str, *, ca: bool) -> Signer:
    """*subject* certified anew with one *usage* only."""
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject.certificate.subject)
        .issuer_name(issuer.certificate.subject)
        .public_key(subject.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(EARLIER)
        .not_valid_after(LATER)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**{name: name == usage for name in names}), critical=True)
        .sign(issuer.key, hashes.SHA256())
    )
    return Signer(subject.key, certificate)


@pytest.mark.parametrize(
    ("usage", "verdict"), [("digital_signature", None), ("content_commitment", None), ("key_encipherment", "untrusted")]
)
def test_a_certificate_for_something_else_than_signing_is_untrusted(usage: str, verdict: str | None) -> None:
    signer = enclosing(certified(signers()[Role.LEADER], intermediate(), usage, ca=False), intermediate().certificate)

    assert judged(by_leader(signer), LEADER_ONLY) == ({} if verdict is None else {"signature.leader": verdict})


@pytest.mark.parametrize(("usage", "verdict"), [("key_cert_sign", None), ("crl_sign", "untrusted")])
def test_an_authority_must_be_allowed_to_issue_certificates(usage: str, verdict: str | None) -> None:
    above = certified(intermediate(), root(), usage, ca=True)
    signer = enclosing(signers()[Role.LEADER], above.certificate)

    assert judged(by_leader(signer), LEADER_ONLY) == ({} if verdict is None else {"signature.leader": verdict})


def test_what_is_remembered_of_certificates_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.intake.documents_trust._REMEMBERED", 2)
    trust = book()

    assert judged(signed(), trust=trust) == {}
    assert judged(signed(), trust=trust) == {}


# what people read


def test_every_verdict_has_a_fix_of_its_own_in_both_languages() -> None:
    usual = describe(Problem("DQ-42", "signature.leader"))
    bad = [verdict for verdict in Verdict if verdict not in {Verdict.GOOD, Verdict.IMPLIED}]
    texts = [describe(Problem("DQ-42", "signature.leader", verdict)) for verdict in bad]

    assert len({text.fix_vi for text in texts} | {usual.fix_vi}) == len(bad) + 1
    assert len({text.fix_en for text in texts} | {usual.fix_en}) == len(bad) + 1


def test_findings_name_roles_and_never_a_value_of_the_document() -> None:
    value = signed().replace(b"8.5", b"9.5").replace("Vàng A Mẫu".encode(), b"Kim")

    for problem in findings(value, ALL, book(), RECEIVED):
        assert re.fullmatch(r"signature(\.(homeroom|leader|school_seal|subject_teacher(\[#\d+\])?))?", problem.field)


def test_the_moment_of_the_golden_cases_is_inside_the_synthetic_certificates() -> None:
    assert signers()[Role.LEADER].certificate.not_valid_after_utc > datetime(2040, 1, 1, tzinfo=UTC)
