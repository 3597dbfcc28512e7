"""The rest of the way of an item of which nothing is to be said: plainly mapped, authorised, in time, by every rule.

    straight path ─► usual? ── yes ─► Mapped, with the bytes as they are
                        └───── no, or not sure ─► the complete judgement (`Connector._plain`), from the same item

It asks the complete path's own functions once for each combination of the few values they depend on (school and day,
grade and year, marks of a subject) and remembers which say nothing.  It may send anything to the complete judgement,
and must never keep back what that would find: a property test compares both.  Hot path: dicts and tuples on purpose.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from gateway.intake import rules, rules_identity, rules_primary, rules_secondary
from gateway.intake.language_profile import Profile
from gateway.intake.outcome import Claim, Mapped
from gateway.intake.reference import Reference, day_of, is_settled, school_on
from gateway.intake.rules_options import Options
from gateway.intake.straight import Made
from gateway.national.schema import Level
from gateway.record import Op, SourceOrder, record_id

Body = dict[str, Any]
REMEMBERED: Final = 8_192
_SILENT: Mapping[str, Callable[[Body, Body, Body, Options], bool]] = {
    "27": rules_primary.is_silent,
    "22": rules_secondary.is_silent,
}


@dataclass(frozen=True, slots=True)
class Frame:
    """What grade, level, circular and school year of a record decide: who judges it, and its year's time."""

    silent: Callable[[Body, Body, Body, Options], bool]
    first_year: int
    start_ms: int
    end_ms: int


class Quick:
    """One connector's memory of what is usual."""

    def __init__(self, profile: Profile, level: Level, options: Options, tables: Reference) -> None:
        self._epoch = profile.version_epoch
        self._temporary = profile.temporary_code
        self._programme = profile.programme
        self._schools = profile.schools
        self._level = level
        self._options = options
        self._tables = tables
        self._frames: dict[tuple[Any, ...], Frame | None] = {}
        self._authorised: dict[tuple[str, int], bool] = {}
        self._well_formed: set[str | None] = {None}

    def mapped(self, index: int, op: Op, made: Made, timestamp_ms: int) -> Mapped | None:
        """The outcome of a plainly mapped item; None where the complete judgement has to look, *made* as before."""
        event, body, facts = made.event, made.body, made.facts
        get = body.get
        year, school, code, grade = get("school_year"), get("school_code"), get("pupil_code"), get("grade_code")
        key = year, grade, get("education_level"), get("circular")
        frame = self._frames.get(key) or self._frame(key)
        order, moment = event.get("version"), event.get("occurred_at")
        order = moment if order is None else order
        if frame is None or order is None or year is None or not code or not school:
            return None
        occurred = timestamp_ms if moment is None else moment
        today = (occurred + rules.VIETNAM_MS) // rules.DAY_MS
        allowed = self._authorised.get((school, today))
        if not (self._authority(school, today) if allowed is None else allowed):
            return None
        if not _is_in_time(frame, moment, get("issue_date"), timestamp_ms):
            return None
        claim = self._claim(body, frame, code)
        if claim is None or not self._is_usual(body) or not self._is_silent(frame, body, facts):
            return None
        identifier = record_id(code, year, self._programme)
        if get("transcript_id") is None:
            body["transcript_id"] = identifier  # facts section 5: where a vendor has none
        return Mapped(
            index, identifier, code, school, year, self._programme, grade, op, SourceOrder(self._epoch, order),
            occurred, event.get("vendor_ref"), claim, body, (), (), None, event.get("reason"), made.body_bytes(),
        )  # fmt: skip

    def _claim(self, body: Body, frame: Frame, code: str) -> Claim | None:
        """The claim of a pupil with a usable ID that fits sex and birth, and a full birth date; else None."""
        claimed, born, gender = body["citizen_id"], body.get("birth_date"), body["gender"]
        if claimed is None or len(claimed) != 12 or not claimed.isdigit() or not claimed.isascii():
            return None
        if born is None or born.year > frame.first_year or claimed in rules_identity.DUMMIES:
            return None
        if self._temporary and code.startswith(self._temporary):
            return None
        birth = born.isoformat()
        if rules_identity.contradictions(claimed[:6], gender, birth[:4]):
            return None
        return Claim(code, False, claimed, None, body["full_name"], birth, gender, body["nationality"])

    def _is_silent(self, frame: Frame, body: Body, facts: Body) -> bool:
        """Whether the rules of the circular find nothing."""
        results = body["results"]
        if facts and not rules_secondary.counts_are_usual(results, facts):
            return False
        return frame.silent(body, results, facts, self._options)

    def _is_usual(self, body: Body) -> bool:
        """Whether places, names, staff and class give no cause for a word."""
        get = body.get
        if not is_settled(body, self._tables) or rules.names(body) or rules.districts(body):
            return False
        staff = [row.get("subject_teacher_citizen_id") for row in body["results"]["subjects"]]
        staff += get("school_leader_citizen_id"), get("homeroom_teacher_citizen_id")
        return self._well_formed.issuperset(staff) or self._are_well_formed(staff)

    def _are_well_formed(self, staff: list[str | None]) -> bool:
        if any(map(rules_identity.is_malformed, staff)):
            return False
        if len(self._well_formed) > REMEMBERED:
            self._well_formed = {None}
        self._well_formed.update(staff)
        return True

    def _frame(self, key: tuple[Any, ...]) -> Frame | None:
        """What holds for *key*, which is new or known for nothing; None where its parts do not fit each other."""
        if key in self._frames:
            return None
        year, grade, level, circular = key
        found = None
        if all(key):
            body = {"school_year": year, "grade_code": grade, "education_level": level, "circular": circular}
            force = rules.frame_of(body, self._level)
            if force is not None:
                start, end = rules.year_ms(year)
                found = Frame(_SILENT[force.circular], int(year[:4]), start, end)
        if len(self._frames) >= REMEMBERED:
            self._frames.clear()
        self._frames[key] = found
        return found

    def _authority(self, school: str, today: int) -> bool:
        day = day_of(today * rules.DAY_MS)
        held = school_on(self._tables, school, day) == school
        found = held and any(one.since <= day <= one.until for one in self._schools.get(school, ()))
        if len(self._authorised) >= REMEMBERED:
            self._authorised.clear()
        self._authorised[school, today] = found
        return found


def _is_in_time(frame: Frame, moment: int | None, issued: date | None, published_ms: int) -> bool:
    """Whether the business time and the day of issue are of the school year and not after publication (DQ-51)."""
    if moment is not None and not frame.start_ms <= moment < frame.end_ms:
        return False
    if moment is not None and moment > published_ms + rules.CLOCK_DRIFT_MS:
        return False
    return issued is None or frame.start_ms <= rules.first_ms(issued) <= published_ms
