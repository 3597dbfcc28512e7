"""The bulk pre-check: who will be confirmed, asked months before the peak, at a share of the upstream's pace.

It asks as the stage does (same chain, same cache, same audit), so that what it finds is what the records will meet.
Pupils come in chunks (``precheck_sources``), each with the place behind it: who keeps that place beside the report goes
on from there, however the run ended.  The report counts by school, never by name; a register that is down is waited
for.
"""

import asyncio
from collections.abc import AsyncIterable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from gateway.edges.keys import Keys
from gateway.identity.plan import ClaimKey
from gateway.identity.queue import FIRST_GRADES, Origin
from gateway.identity.verdicts import Claim, Verdict, claim_hash, word_of
from gateway.record import lane_token
from gateway.workers.identity_resolver import Resolver

CHUNK: Final = 1_000
TEMPORARY: Final = "TAM-"
UNUSABLE, HELD_CODE = "unusable", "temporary_code"
VENDOR: Final = "precheck"
MOST_UNUSABLE_NAMED: Final = 1_000


@dataclass(frozen=True, slots=True)
class Line:
    """One pupil; *claim* is None for one who cannot be asked about; *number* is a line or an offset."""

    number: int
    school: str
    grade: str
    claim: Claim | None


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some pupils, and the place (line, or offset by partition) where the next ones begin."""

    lines: Sequence[Line]
    behind: dict[str, int]


class Report(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Pupils by school and verdict, how many the cache knew, unusable lines (the first ones by number), the place."""

    schools: dict[str, dict[str, int]] = {}
    pupils: int = 0
    cached: int = 0
    unusable: int = 0
    unusable_lines: list[int] = []
    place: dict[str, int] = {}

    def count(self, school: str, word: str) -> None:
        """One more pupil of *school*."""
        counts = self.schools.setdefault(school, {})
        counts[word] = counts.get(word, 0) + 1
        self.pupils += 1

    def pass_over(self, line: Line) -> None:
        """One more line that cannot be asked about."""
        self.unusable += 1
        if len(self.unusable_lines) < MOST_UNUSABLE_NAMED:
            self.unusable_lines.append(line.number)
        self.count(line.school, UNUSABLE)


Told = Callable[[Report], None]
"""Called after each chunk, when all its answers are in the cache."""


async def precheck(resolver: Resolver, keys: Keys, chunks: AsyncIterable[Chunk], report: Report, told: Told) -> Report:
    """Ask about everybody in *chunks* and count them into *report*; *resolver* runs beside."""
    async for chunk in chunks:
        await _ask(resolver, keys, chunk.lines, report)
        report.place |= chunk.behind
        told(report)
    return report


async def _ask(resolver: Resolver, keys: Keys, lines: Sequence[Line], report: Report) -> None:
    asked: list[tuple[Line, Claim, ClaimKey]] = []
    for line in lines:
        if line.claim is None:
            report.pass_over(line)
        elif line.claim.pupil_code.upper().startswith(TEMPORARY):
            report.count(line.school, HELD_CODE)
        else:
            lane = lane_token(keys.lane_token, line.claim.pupil_code)
            asked.append((line, line.claim, (lane, claim_hash(line.claim, keys.claim))))
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
