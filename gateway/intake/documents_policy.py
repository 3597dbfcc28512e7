"""What a connector's ``signatures`` and ``signers`` mean, and what they ask of the rest of its files."""

from collections.abc import Iterator, Mapping

from gateway.intake.check_paths import Read, reads
from gateway.intake.documents import CODE, Policy
from gateway.intake.documents_layout import ROW, Role
from gateway.intake.language import Definition
from gateway.intake.language_profile import Profile
from gateway.intake.makers import path_steps

USUAL_SIGNERS: Mapping[str, tuple[Role, ...]] = {
    "primary": (Role.HOMEROOM, Role.LEADER, Role.SCHOOL_SEAL),
    "secondary": (Role.SUBJECT_TEACHER, Role.HOMEROOM, Role.LEADER, Role.SCHOOL_SEAL),
}
"""Facts section 7: 3 signatures in primary, about 15 in secondary."""


def policy_of(profile: Profile) -> Policy | None:
    """Who must have signed; None where signatures are not looked at."""
    if profile.signatures == "ignore":
        return None
    signers = tuple(Role(name) for name in profile.signers) or USUAL_SIGNERS[profile.level]
    return Policy(signers, tuple(profile.batch.split(".")))


def severities_of(profile: Profile) -> dict[str, str]:
    """How DQ-42 weighs: as the catalogue says (park) where signatures are required."""
    return {CODE: "warn"} if profile.signatures == "warn" else {}


def check_signatures(definition: Definition) -> None:
    """Faults of what cannot be verified: no XML, no place of the record, values read from outside what is signed."""
    profile, faults = definition.profile, definition.faults
    if profile.signatures == "ignore":
        return
    if profile.format != "xml":
        faults.add(profile.node, f"signatures: only those of XML documents can be verified, not of {profile.format}")
        return
    steps, signers = tuple(profile.batch.split(".")), {*profile.signers} or {*USUAL_SIGNERS[profile.level]}
    if len(steps) < 2 or not all(steps):
        faults.add(profile.node, "batch: must lead to the signed record, like DU_LIEU_HOC_BA.THONG_TIN_HOC_BA")
    if signers == {Role.SUBJECT_TEACHER}:
        faults.add(profile.node, "signers: subject teachers sign their rows only, so nobody has signed the rest")
    _check_reads(definition, steps[:1] if {Role.LEADER, Role.SCHOOL_SEAL} & signers else steps)
    subjects = definition.rows.get("subjects")
    places = (ROW, f"$.{profile.batch}.{ROW}")
    if Role.SUBJECT_TEACHER in signers and subjects is not None and subjects.path not in places:
        faults.add(subjects.node, f"subject teachers sign {ROW}, not {subjects.path or 'what each names'}")


def _check_reads(definition: Definition, signed: tuple[str, ...]) -> None:
    for read in reads(definition):
        for path in _filled(read):
            if path.startswith("$.") and tuple(step.name for step in path_steps(path))[: len(signed)] != signed:
                definition.faults.add(read.node, f"{path} stands outside {'.'.join(signed)}, so nobody has signed it")


def _filled(read: Read) -> Iterator[str]:
    """The path of *read*, once for every line that fills its braces."""
    for words in (read.rows.each if read.rows is not None else ()) or ({},):
        path = read.path
        for name, word in words.items():
            path = path.replace(f"{{{name}}}", word)
        yield path
