"""The bulk pre-check: who will be confirmed, asked months before the peak, at a share of the upstream's pace.

It asks as the stage does (same chain, same cache, same audit), so that what it finds is what the records will meet, and
what it has found is not asked again: stopped anywhere, it goes on from there.  The report counts by school, never by
name; a register that is down is waited for.
"""

import asyncio
import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from gateway.identity.plan import ClaimKey
from gateway.identity.queue import FIRST_GRADES, Origin
from gateway.identity.verdicts import Claim, Verdict, claim_hash, word_of
from gateway.record import lane_token
from gateway.workers.identity_resolver import Resolver

CHUNK: Final = 1_000
COLUMNS: Final = ("pupil_code", "citizen_id", "full_name", "birth_date", "gender", "school_code", "grade")
TEMPORARY: Final = "TAM-"
UNUSABLE, HELD_CODE = "unusable", "temporary_code"
VENDOR: Final = "precheck"

Told = Callable[[int], None]
"""Called with the number of pupils done so far."""


@dataclass(frozen=True, slots=True)
class Line:
    """One pupil of the file; *claim* is None for a line that cannot be asked about."""

    number: int
    school: str
    grade: str
    claim: Claim | None


@dataclass(slots=True)
class Report:
    """Pupils by school and verdict, how many of them the cache knew, and the numbers of unusable lines."""

    schools: dict[str, Counter[str]] = field(default_factory=dict)
    cached: int = 0
    unusable: list[int] = field(default_factory=list)

    def count(self, school: str, word: str) -> None:
        """One more pupil of *school*."""
        self.schools.setdefault(school, Counter())[word] += 1


class NoSuchColumn(ValueError):
    """The file's header lacks these columns."""


def read_lines(text: Iterable[str]) -> Iterator[Line]:
    """The pupils of a CSV file with a header; raises NoSuchColumn.  Other columns are ignored."""
    rows = csv.DictReader(text)
    missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise NoSuchColumn(", ".join(missing))
    for number, row in enumerate(rows, 2):
        cells = {name: (row[name] or "").strip() for name in COLUMNS}
        yield Line(number, cells["school_code"], cells["grade"], _claim(cells))


def _claim(cells: Mapping[str, str]) -> Claim | None:
    if not cells["pupil_code"] or not cells["full_name"] or not cells["birth_date"]:
        return None
    return Claim(
        pupil_code=cells["pupil_code"],
        citizen_id=cells["citizen_id"] or None,
        full_name=cells["full_name"],
        birth=cells["birth_date"],
        gender=cells["gender"] or "0",
    )


async def precheck(resolver: Resolver, lane_key: bytes, lines: Iterable[Line], told: Told) -> Report:
    """Ask about every line, a chunk at a time; *resolver* runs beside."""
    report, left, done = Report(), iter(lines), 0
    while chunk := list(islice(left, CHUNK)):
        await _chunk(resolver, lane_key, chunk, report)
        done += len(chunk)
        told(done)
    return report


async def _chunk(resolver: Resolver, lane_key: bytes, chunk: Sequence[Line], report: Report) -> None:
    asked: list[tuple[Line, Claim, ClaimKey]] = []
    for line in chunk:
        if line.claim is None:
            report.unusable.append(line.number)
            report.count(line.school, UNUSABLE)
        elif line.claim.pupil_code.upper().startswith(TEMPORARY):
            report.count(line.school, HELD_CODE)
        else:
            lane = lane_token(lane_key, line.claim.pupil_code)
            asked.append((line, line.claim, (lane, claim_hash(line.claim))))
    known = await resolver.known(key for _, _, key in asked)
    report.cached += sum(key in known for _, _, key in asked)
    words = [_known(known[key]) if key in known else _asked(resolver, line, claim, key) for line, claim, key in asked]
    for (line, _, _), word in zip(asked, await asyncio.gather(*words), strict=True):
        report.count(line.school, word)


async def _known(verdict: Verdict) -> str:
    return word_of(verdict)


async def _asked(resolver: Resolver, line: Line, claim: Claim, key: ClaimKey) -> str:
    """The verdict's word at the moment it comes: a short-lived one may end before its chunk does."""
    await resolver.ask(key, claim, None, Origin(VENDOR, line.grade in FIRST_GRADES)).wait()
    verdict = resolver.remembered([key]).get(key)
    return UNUSABLE if verdict is None else word_of(verdict)
