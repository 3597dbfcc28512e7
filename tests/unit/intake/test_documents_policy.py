"""A connector says who must have signed, and what becomes of a record that is not well signed."""

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.errors import Problem
from gateway.intake import Connector, Items, Mapped
from gateway.intake.connector import compile_connector
from gateway.intake.documents import Policy
from gateway.intake.documents_layout import Role
from gateway.intake.documents_policy import check_signatures
from gateway.intake.dry_run import dry_run
from gateway.intake.given import Given
from gateway.intake.language import ConnectorFaults, Rule, read_definition
from gateway.ops.cli import app
from gateway.sandbox.payloads import hocba_xml
from gateway.sandbox.signing import sign_record
from tests.fakes.signers import PATH, RECEIVED, SCHOOL, book, signers, store
from tests.unit.intake.loaded import CONNECTORS, PLACE, PUBLISHED_MS, document, primary, vnedu, xml
from tests.unit.intake.test_language import faults_of, files_with

RUN = CliRunner()
RECEIVED_MS = int(RECEIVED.timestamp() * 1000)


def primary_with(text: str) -> Connector:
    return compile_connector(files_with("hocba_xml_primary", ("connector.yaml", "signatures: ignore", text)))


def record_of(connector: Connector, *problems: Problem) -> Mapped:
    outcome = connector.process(document().encode(), PLACE, PUBLISHED_MS, Given(findings=problems))
    assert isinstance(outcome, Items)
    (item,) = outcome.items
    assert isinstance(item, Mapped)
    return item


def test_where_signatures_are_ignored_nobody_is_asked_for() -> None:
    assert xml().signed_by is None
    assert vnedu().signed_by is None


def test_the_usual_signers_of_primary_are_three() -> None:
    assert primary_with("signatures: require").signed_by == Policy(SCHOOL, PATH)


def test_the_usual_signers_of_secondary_are_the_teachers_too() -> None:
    connector = compile_connector(files_with("hocba_xml_thcs"))

    assert connector.signed_by == Policy(tuple(Role), PATH)


def test_a_connector_may_name_its_signers() -> None:
    connector = primary_with("signatures: warn\nsigners: [school_seal]")

    assert connector.signed_by == Policy((Role.SCHOOL_SEAL,), PATH)


def test_a_record_that_is_not_well_signed_is_held_or_goes_on_with_a_warning() -> None:
    bad = Problem("DQ-42", "signature.leader", "expired")
    held, warned = record_of(primary_with("signatures: require"), bad), record_of(primary_with("signatures: warn"), bad)

    assert (held.holds, held.warnings) == ((bad,), ())
    assert (warned.holds, warned.warnings) == ((), (bad,))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ([("connector.yaml", "signatures: ignore", "signatures: strict")], "must be one of ignore, require, warn"),
        (
            [("connector.yaml", "signatures: ignore", "signatures: warn\nsigners: [lader]")],
            "must be one of homeroom, leader, school_seal, subject_teacher; did you mean leader",
        ),
        (
            [
                ("connector.yaml", "signatures: ignore", "signatures: warn"),
                ("connector.yaml", "batch: DU_LIEU_HOC_BA.THONG_TIN_HOC_BA", "batch: DU_LIEU_HOC_BA"),
            ],
            "batch: must lead to the signed record",
        ),
        (
            [
                ("connector.yaml", "signatures: ignore", "signatures: warn"),
                ("record.yaml", "district_name: TEN_HUYEN", "district_name: $.PHAT_HANH_HOC_BA.TEN_HUYEN"),
            ],
            "$.PHAT_HANH_HOC_BA.TEN_HUYEN stands outside DU_LIEU_HOC_BA, so nobody has signed it",
        ),
    ],
)
def test_faults_of_the_policy_are_named(changes: list[tuple[str, str, str]], says: str) -> None:
    assert any(says in fault for fault in faults_of(*changes, name="hocba_xml_primary"))


OUTSIDE = "$.PHAT_HANH_HOC_BA.X"
REQUIRED = ("connector.yaml", "signatures: warn", "signatures: require")
NAME = "  full_name: HOC_SINH.HO_VA_TEN\n"
READS_UNSIGNED = {
    "another rule of a list": (
        NAME,
        f"  full_name: [{{from: HOC_SINH.A, when: {{present: HOC_SINH.A}}}}, {{from: {OUTSIDE}}}]\n",
    ),
    "a condition": (NAME, f"  full_name: {{from: HOC_SINH.HO_VA_TEN, default: x, when: {{present: {OUTSIDE}}}}}\n"),
    "a condition in a list": (
        NAME,
        f"  full_name: [{{from: HOC_SINH.A, when: {{from: {OUTSIDE}, in: [x]}}}}, {{from: HOC_SINH.HO_VA_TEN}}]\n",
    ),
    "a choice by key": (NAME, "  full_name: $.PHAT_HANH_HOC_BA[LOAI=1].X\n"),
    "the rows": ("  path: DIEM_TONG_KET\n", f"  path: {OUTSIDE}\n"),
    "a condition of rows": ("  path: DIEM_TONG_KET\n", f"  path: DIEM_TONG_KET\n  when: {{present: {OUTSIDE}}}\n"),
    "words in braces": (
        "  path: QUA_TRINH_HOC_TAP.NAM\n  rules:\n    school_year: {from: NAM_HOC,",
        f"  each: [{{where: {OUTSIDE}}}]\n  rules:\n    school_year: {{from: '{{where}}',",
    ),
    "an expectation": ("subjects:\n", f"expect: [{{from: {OUTSIDE}, in: [x], code: DQ-40, field: a}}]\nsubjects:\n"),
    "a list in a list": (
        NAME,
        f"  full_name: [{{from: A, when: {{present: A}}}}, [{{from: B, when: {{present: B}}}}, {{from: {OUTSIDE}}}]]\n",
    ),
}


@pytest.mark.parametrize("place", READS_UNSIGNED)
def test_nothing_unsigned_is_read_from_any_place(place: str) -> None:
    before, after = READS_UNSIGNED[place]
    files = files_with("hocba_xml_thcs", REQUIRED)
    (name,) = [name for name, text in files.items() if before in text]
    files[name] = files[name].replace(before, after, 1)

    assert any("stands outside DU_LIEU_HOC_BA, so nobody has signed it" in fault for fault in all_faults(files))


@pytest.mark.parametrize("section", ["event", "facts", "results"])
def test_every_section_is_looked_at(section: str) -> None:
    definition = read_definition(files_with("hocba_xml_thcs", REQUIRED))
    unsigned = {section: {"x": Rule(definition.profile.node, paths=(OUTSIDE,))}}
    definition = replace(definition, sections={**definition.sections, **unsigned})
    check_signatures(definition)

    assert any("stands outside" in str(fault) for fault in definition.faults.found)


@pytest.mark.parametrize(
    ("signers", "says"),
    [
        ("[subject_teacher]", "subject teachers sign their rows only"),
        ("[homeroom]", "$.DU_LIEU_HOC_BA.X stands outside DU_LIEU_HOC_BA.THONG_TIN_HOC_BA, so nobody has signed it"),
        ("[leader]", ""),
        ("[school_seal, leader]", ""),
    ],
)
def test_who_signs_decides_what_is_signed(signers: str, says: str) -> None:
    require = ("connector.yaml", "signatures: warn", f"signatures: require\nsigners: {signers}")
    name = ("record.yaml", NAME, "  full_name: $.DU_LIEU_HOC_BA.X\n")
    faults = all_faults(files_with("hocba_xml_thcs", require, name))

    assert any(says in fault for fault in faults) if says else faults == []


def test_what_is_signed_may_be_read_by_its_whole_path() -> None:
    rows = ("rows.yaml", "  path: DIEM_TONG_KET\n", "  path: $.DU_LIEU_HOC_BA.THONG_TIN_HOC_BA.DIEM_TONG_KET\n")

    assert all_faults(files_with("hocba_xml_thcs", REQUIRED, rows)) == []


def test_where_teachers_must_sign_only_their_rows_are_subjects() -> None:
    faults = all_faults(
        files_with("hocba_xml_thcs", REQUIRED, ("rows.yaml", "  path: DIEM_TONG_KET\n", "  path: MON\n"))
    )

    assert any("subject teachers sign DIEM_TONG_KET, not MON" in fault for fault in faults)


def all_faults(files: dict[str, str]) -> list[str]:
    try:
        compile_connector(files)
    except ConnectorFaults as faults:
        return [str(fault) for fault in faults.faults]
    return []


def test_only_xml_documents_can_be_verified() -> None:
    faults = faults_of(("connector.yaml", "signatures: ignore", "signatures: require"))

    assert any("signatures: only those of XML documents can be verified, not of json" in fault for fault in faults)


def outcome_of(value: bytes, policy: str = "require") -> tuple[str, list[str]]:
    (result,) = dry_run(primary_with(f"signatures: {policy}"), "a.xml", value, RECEIVED_MS, book())
    return result["outcome"], [f"{p['field']}: {p['rule']} {p['severity']}" for p in result["problems"]]


def test_a_dry_run_with_a_trust_store_shows_the_verdicts() -> None:
    value = hocba_xml(primary(), version=1)
    signed = sign_record(value, {role: signers()[role] for role in SCHOOL})

    assert outcome_of(signed) == ("accepted", [])
    assert outcome_of(signed.replace(b"<CAN_NANG>", b"<CAN_NANG>1")) == (
        "parked",
        ["signature.homeroom: tampered park"],
    )
    assert outcome_of(value, "warn") == (
        "accepted_with_warning",
        [f"signature.{role}: tampered warn" for role in SCHOOL],
    )


def test_a_message_that_is_refused_whole_is_not_asked_for_signatures() -> None:
    (result,) = dry_run(primary_with("signatures: require"), "a.xml", b"<HOC_BA>", RECEIVED_MS, book())

    assert [problem["code"] for problem in result["problems"]] == ["DQ-45"]


def check(tmp_path: Path, *more: str) -> tuple[int, str, str]:
    file = tmp_path / "record.xml"
    file.write_bytes((CONNECTORS / "hocba_xml_thcs/cases/30-signed-without-school-seal.input.xml").read_bytes())
    arguments = ["check", "--connector", "hocba_xml_thcs", "--path", str(CONNECTORS), *more, str(file)]
    result = RUN.invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr


def test_check_says_when_signatures_were_not_checked(tmp_path: Path) -> None:
    code, stdout, stderr = check(tmp_path, "--json")

    assert code == 0
    assert "DQ-42" not in stdout
    assert "signatures were not checked: name the folder of a trust store with --trust" in stderr


def test_check_verifies_against_the_trust_store_it_is_given(tmp_path: Path) -> None:
    own = CONNECTORS / "hocba_xml_thcs/cases/30-signed.trust"
    code, stdout, stderr = check(tmp_path, "--trust", str(own))

    assert (code, stderr) == (0, "")
    assert "DQ-42 warn  signature.school_seal (missing)" in stdout
    assert "signature.leader" not in stdout
    assert "signature.leader (untrusted)" in check(tmp_path, "--trust", str(store(tmp_path / "other")))[1]


def test_check_names_the_faults_of_a_trust_store(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, _, stderr = check(tmp_path, "--trust", str(tmp_path / "empty"))

    assert code == 1
    assert "holds no root certificate" in stderr
