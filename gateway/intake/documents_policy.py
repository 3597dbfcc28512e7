"""What a connector's ``signatures`` and ``signers`` mean, and what they ask of the rest of its files."""

from collections.abc import Iterator, Mapping

from gateway.intake.documents import CODE, Policy
from gateway.intake.documents_layout import Role
from gateway.intake.language import Definition, Rule
from gateway.intake.language_profile import Profile

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
    steps = profile.batch.split(".")
    if len(steps) < 2 or not all(steps):
        faults.add(profile.node, "batch: must lead to the signed record, like DU_LIEU_HOC_BA.THONG_TIN_HOC_BA")
    for rule in _rules(definition):
        for path in rule.paths:
            if path.startswith("$.") and path.split(".")[1] != steps[0]:
                faults.add(rule.node, f"{path} stands outside {steps[0]}, so nobody has signed it")


def _rules(definition: Definition) -> Iterator[Rule]:
    for section in definition.sections.values():
        yield from section.values()
    for rows in definition.rows.values():
        yield from rows.rules.values()
