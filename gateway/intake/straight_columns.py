"""What a straight function writes one after the other: constant bytes, fields of their own, and groups of neighbours.

    schema's order    record_status  circular  school_name  school_code  full_name …
    segments          [constant bytes + circular] [school_name school_code] [full_name] …
                       a group: remembered together                          a text of one person

Grouping decides only how much is found with one look; which bytes are written does not depend on it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.intake.compile import Compiled
from gateway.intake.makers import Test
from gateway.intake.straight import Column
from gateway.national.writer import field_bytes, long_bytes

PERSONAL = frozenset({
    "full_name", "register_number", "father_name", "mother_name", "guardian_name", "birthplace_address",
    "hometown_address", "residence_address", "homeroom_teacher_comment", "subject_comment", "qualities_comment",
    "general_competencies_comment", "specific_competencies_comment", "vendor_ref", "reason", "competition_results",
    "special_award_text", "summer_training_result_text",
})  # fmt: skip
"""Texts of one person or event: other ones in every item, so remembering them helps nobody."""
DIRECT = frozenset({"pupil_code", "citizen_id", "transcript_id", "occurred_at"})
WIDTHS = {"pupil_code": 10, "citizen_id": 12}
GAP = "transcript_id"
MOMENT = "occurred_at"
NUMBERS = ("absences_", "promoted", "grade_", "weight_", "height_", "disability_", "periodic_test_")
"""What vendors like to send as numbers, also as one of a group."""
_GROUPS = {
    "school": ("school_year", "department_", "school_c", "school_name", "school_p"),
    "leader": ("school_leader_", "issue_"),
    "place": ("birthplace_", "hometown_", "residence_"),
    "people": ("ethnic_group", "nationality", "policy_", "disability_"),
    "homeroom": ("homeroom_teacher_name", "homeroom_teacher_citizen_id"),
    "class": ("grade_code", "class_name"),
    "promotion": ("promoted", "completion_text", "award_text"),
    "competency": ("competency_",),
    "quality": ("quality_",),
    "study": ("study_result_term", "study_result_year"),
    "conduct": ("conduct_result_term", "conduct_result_year"),
    "marks": ("mark_",),
    "teacher": ("subject_teacher_",),
    "subject": ("achievement_level", "periodic_test_mark", "subject_code", "subject_name"),
    "completed": ("overall_result", "grade_programme_", "primary_programme_"),
    "parents": ("father_occupation", "mother_occupation", "guardian_occupation"),
    "absences": ("absences_",),
}
"""Neighbouring fields whose values come together, so that one look finds them all."""
_MOST_INPUTS = 9


def _group_of(name: str) -> str:
    return next((group for group, starts in _GROUPS.items() if name.startswith(starts)), name)


class CannotBeStraight(Exception):
    """The mapping uses what the straight path does not know; the complete path does it all."""


@dataclass(slots=True)
class Group:
    """Neighbouring fields that are remembered together, with the constant bytes between them."""

    label: str
    pieces: list[bytes | Column]
    inputs: tuple[str, ...]
    test: Test | None = None
    alone: bool = False
    """A mark: few values for all subjects, so that one small memo serves them all and stays near."""

    @property
    def columns(self) -> list[Column]:
        """Its fields."""
        return [piece for piece in self.pieces if isinstance(piece, Column)]


Segment = bytes | Column | Group
"""Constant bytes, a field with code of its own, or a group."""


class Layout:
    """The columns of a mapping in the order of the body's schema."""

    def __init__(self, mapping: Compiled, results_branch: str) -> None:
        self.mapping = mapping
        self.branch = results_branch

    def inputs(self, maker: Any) -> tuple[str, ...]:
        """The paths that *maker* reads."""
        inputs = self.mapping.parts.inputs[maker]
        if any(path.startswith("^.") for path in inputs):
            raise CannotBeStraight
        return inputs

    def columns(self, fields: Sequence[Mapping[str, Any]], made: Mapping[str, Any], due: Sequence[str]) -> list[Any]:
        """Columns, nested fields and constant bytes in the schema's order."""
        found: list[Any] = []
        for one in fields:
            name, kind = one["name"], one["type"]
            if name == "results":
                branch = next(i for i, option in enumerate(kind) if option["name"] == self.branch)
                found.append(long_bytes(branch))
                found += self.columns(kind[branch]["fields"], made, due)
            elif isinstance(kind, dict) and kind["type"] == "array":
                found.append(one)
            elif name in made:
                found.append(Column(name, made[name], self.inputs(made[name]), kind, name in due))
            elif name == GAP:
                found.append(Column(name, lambda item, root, found: None, (), kind, due=False))
            else:
                found.append(field_bytes(kind, None))
        return found

    def grouped(self, run: Sequence[bytes | Column]) -> list[Segment]:
        """Joins neighbours of one label, and constant bytes with the group beside them."""
        segments: list[Segment] = []
        for one in run:
            last = segments[-1] if segments else None
            piece = self._piece(one)
            if isinstance(piece, bytes) and isinstance(last, bytes):
                segments[-1] = last + piece
            elif isinstance(piece, bytes) and isinstance(last, Group) and not last.alone:
                last.pieces.append(piece)
            elif isinstance(piece, Group) and isinstance(last, bytes) and not piece.alone:
                segments[-1] = Group(piece.label, [last, *piece.pieces], piece.inputs)
            elif isinstance(piece, Group) and isinstance(last, Group) and self._together(last, piece):
                last.label = last.label if last.inputs else piece.label
                last.pieces += piece.pieces
                last.inputs = tuple(dict.fromkeys((*last.inputs, *piece.inputs)))
            else:
                segments.append(piece)
        return segments

    def _together(self, one: Group, other: Group) -> bool:
        if one.alone or other.alone:
            return False
        both = {*one.inputs, *other.inputs}
        same = set(other.inputs) <= set(one.inputs) or one.label == other.label
        return not other.inputs or not one.inputs or (same and len(both) <= _MOST_INPUTS)

    def _piece(self, one: bytes | Column) -> Segment:
        if isinstance(one, bytes) or one.name in DIRECT or self.is_personal(one):
            return one
        alone = one.name.startswith("mark_") and one.maker in self.mapping.parts.alike and len(one.inputs) == 1
        return Group(_group_of(one.name), [one], one.inputs, alone=alone)

    def word_of(self, group: Group) -> tuple[str, ...] | None:
        """What the makers of *group* do, where other rows have the like; None where they have not."""
        alike = self.mapping.parts.alike
        if group.test is not None or len(group.columns) < len(group.pieces):
            return None
        words = tuple(alike.get(column.maker, "") for column in group.columns)
        return words if all(words) and all(len(column.inputs) == 1 for column in group.columns) else None

    def is_personal(self, column: Column) -> bool:
        """Whether it is a text of one person, cleaned and nothing else."""
        text = self.mapping.parts.texts.get(column.maker)
        return column.name in PERSONAL and text is not None and text[1] is None and len(column.inputs) == 1
