"""Lane heads that may leave, waiting to fill a batch: cut by count, bytes and age.

Heads are kept apart by the largest batch they may stand in (a batch refused whole is halved until its culprit stands
alone) and, for packets, by purpose (a packet has one).  Beside that `most` bounds every batch: it follows what the
target manages in the time of one request.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.delivery.lanes import Lane
from gateway.record import Op


class Kind(NamedTuple):
    """What may stand in one batch together; *purpose* None: anything."""

    limit: int
    purpose: Op | None


@dataclass(slots=True)
class Ready:
    """The ready lanes, first come first served inside each kind."""

    records: int
    bytes: int
    age_s: float
    _queues: dict[Kind, OrderedDict[int, tuple[float, Lane]]] = field(default_factory=dict)
    _kinds: dict[int, Kind] = field(default_factory=dict)
    most: int = 0

    def __post_init__(self) -> None:
        self.most = self.records

    def shrink(self) -> None:
        """Halve the next batches, down to single records."""
        self.most = max(1, self.most // 2)

    def grow(self, managed: int) -> None:
        """Double the next batches up to the contract's limit, if *managed* records in one batch filled this one."""
        if managed >= self.most:
            self.most = min(self.records, self.most * 2)

    def add(self, lane: Lane, purpose: Op | None, now: float) -> None:
        """The head of *lane* may leave."""
        kind = Kind(min(lane.queue[0].limit or self.records, self.records), purpose)
        self._kinds[lane.token] = kind
        self._queues.setdefault(kind, OrderedDict())[lane.token] = (now, lane)

    def remove(self, lane: Lane) -> None:
        """The head of *lane* may not leave after all."""
        kind = self._kinds.pop(lane.token, None)
        if kind is not None:
            self._drop(kind, lane.token)

    def take(self, now: float) -> list[Lane]:
        """The lanes of the next batch, empty if none is due."""
        due = [
            (self._since(queue), kind)
            for kind, queue in self._queues.items()
            if len(queue) >= min(kind.limit, self.most) or now >= self._since(queue) + self.age_s
        ]
        if not due:
            return []
        _, kind = min(due, key=lambda pair: pair[0])
        lanes: list[Lane] = []
        size = 0
        for _, lane in self._queues[kind].values():
            size += lane.queue[0].entry.size
            if lanes and (size > self.bytes or len(lanes) >= min(kind.limit, self.most)):
                break
            lanes.append(lane)
        for lane in lanes:
            self.remove(lane)
        return lanes

    def next_due(self) -> float | None:
        """When the oldest head has waited long enough."""
        return min((self._since(queue) + self.age_s for queue in self._queues.values()), default=None)

    def __len__(self) -> int:
        return len(self._kinds)

    @staticmethod
    def _since(queue: OrderedDict[int, tuple[float, Lane]]) -> float:
        return next(iter(queue.values()))[0]

    def _drop(self, kind: Kind, token: int) -> None:
        queue = self._queues[kind]
        del queue[token]
        if not queue:
            del self._queues[kind]
