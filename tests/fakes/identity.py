"""A pupil registry and a population database in memory; the contract test of links runs on them as on the real ones."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.edges.identity_link import Duty, RefusedLookup
from gateway.identity.chain import Finding, Known, People
from gateway.identity.verdicts import Claim, Confirmed, compare
from gateway.outcomes import Unavailable


@dataclass(frozen=True, slots=True)
class Person:
    """A person as a registry answers it."""

    citizen_id: str | None
    full_name: str
    birth_date: str
    gender: str


@dataclass(slots=True)
class FakeRegistry:
    """Answers from *people*; unavailable for the first *outages* requests, or while *down*.

    *asked* keeps every request's codes; a request with one of the *disliked* codes is refused.
    """

    people: dict[str, list[Person]] = field(default_factory=dict)
    outages: int = 0
    disliked: set[str] = field(default_factory=set)
    asked: list[list[str]] = field(default_factory=list)
    most: int = 100
    down: bool = False
    reason: str = "fake"
    duty: Duty = field(default_factory=lambda: Duty("HOCBA-MAU", "mau.canbo", "registry"))

    async def ask(
        self, questions: Sequence[Claim], request_id: uuid.UUID
    ) -> Sequence[Finding] | Unavailable | RefusedLookup:
        codes = [question.pupil_code for question in questions]
        self.asked.append(codes)
        if self.outages or self.down:
            self.outages = max(0, self.outages - 1)
            return Unavailable(None, self.reason)
        if self.disliked.intersection(codes):
            return RefusedLookup("fake")
        return [People(tuple(self.people.get(code, []))) for code in codes]

    async def aclose(self) -> None:
        """Nothing to close."""


@dataclass(slots=True)
class FakePopulation:
    """Confirms the people it holds by ID, name and birth date; *asked* keeps the IDs."""

    people: dict[str, Person] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    down: bool = False
    most: int = 1
    duty: Duty = field(default_factory=lambda: Duty("MAU-DVC", "mau.canbo", "population:fake"))

    async def ask(
        self, questions: Sequence[Claim], request_id: uuid.UUID
    ) -> Sequence[Finding] | Unavailable | RefusedLookup:
        question = questions[0]
        if not question.citizen_id:
            return RefusedLookup("incomplete")
        self.asked.append(question.citizen_id)
        if self.down:
            return Unavailable(None, "fake")
        person = self.people.get(question.citizen_id)
        return [Known(person is not None and isinstance(compare(question, [person]), Confirmed))]

    async def aclose(self) -> None:
        """Nothing to close."""
