"""A pupil registry in memory, for the resolver's and the worker's tests."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.edges.pupil_registry import RefusedLookup
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
    """Answers from *people*; unavailable for the first *outages* requests.  *asked* keeps every request's codes.

    A request with one of the *disliked* codes is refused.
    """

    people: dict[str, list[Person]] = field(default_factory=dict)
    outages: int = 0
    disliked: set[str] = field(default_factory=set)
    asked: list[list[str]] = field(default_factory=list)

    async def lookup(
        self, codes: Sequence[str], request_id: uuid.UUID
    ) -> Mapping[str, Sequence[Person]] | Unavailable | RefusedLookup:
        self.asked.append(list(codes))
        if self.outages:
            self.outages -= 1
            return Unavailable(None, "fake")
        if self.disliked.intersection(codes):
            return RefusedLookup("fake")
        return {code: self.people.get(code, []) for code in codes}
