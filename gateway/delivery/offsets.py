"""Which offset may be committed while records finish out of order: the low-water mark.

A record is open from its arrival until it is settled or durably taken over in the ledger.  With nothing open the
consumer's position is committed, never "last offset + 1": control records and gaps would keep it short for ever.
"""

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Offsets:
    """The open offsets of one partition, which arrive in rising order."""

    position: int = -1
    open_bytes: int = 0
    _order: deque[int] = field(default_factory=deque)
    _sizes: dict[int, int] = field(default_factory=dict)

    def open(self, offset: int, size: int) -> None:
        """A record arrived that must be settled."""
        self._order.append(offset)
        self._sizes[offset] = size
        self.open_bytes += size

    def close(self, offset: int) -> None:
        """Its fate is in the ledger; unknown offsets are those of rows loaded from there."""
        self.open_bytes -= self._sizes.pop(offset, 0)
        while self._order and self._order[0] not in self._sizes:
            self._order.popleft()

    def __len__(self) -> int:
        return len(self._sizes)

    @property
    def low_water(self) -> int:
        """Everything below may be forgotten by Kafka's group; -1 before the first fetch."""
        return self._order[0] if self._order else self.position
