"""Who is asked about next, and when: the waiting questions of one link, its pace and its breaker.  No clock, no I/O.

- **Deadline first.** Questions of grades 05, 09 and 12 go first, because their records decide on admissions; but every
  fifth question is of the others, so that nobody waits for ever.
- **Fair share.** Within a band the vendors take turns, each oldest first: one vendor's back-load is no other's delay.
- **Pace.** A bucket of what the upstream counts (requests or questions), evenly spaced (gateway/pace.py).
- **Breaker.** After a failure everybody holds; one question at a time probes, later and later up to a cap, for ever.
  A failure costs no question an attempt: an outage holds (design rule 1).
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

FIRST_GRADES: Final = frozenset({"05", "09", "12"})
OTHERS_EVERY: Final = 5
BACKOFF_FIRST_S: Final = 0.2
BACKOFF_CAP_S: Final = 5.0

Item = TypeVar("Item", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose question it is, and whether a deadline presses."""

    vendor: str = ""
    first: bool = False


class Band(Generic[Item]):
    """Vendors in turn, the questions of each oldest first."""

    def __init__(self) -> None:
        self._vendors: OrderedDict[str, OrderedDict[Item, None]] = OrderedDict()
        self._vendor_of: dict[Item, str] = {}

    def __len__(self) -> int:
        return len(self._vendor_of)

    def __contains__(self, item: Item) -> bool:
        return item in self._vendor_of

    def put(self, item: Item, vendor: str) -> None:
        """Behind the vendor's others."""
        self._vendors.setdefault(vendor, OrderedDict())[item] = None
        self._vendor_of[item] = vendor

    def take(self) -> Item:
        """The oldest of the vendor whose turn it is; raises KeyError without any."""
        vendor, waiting = self._vendors.popitem(last=False)
        item, _ = waiting.popitem(last=False)
        del self._vendor_of[item]
        if waiting:
            self._vendors[vendor] = waiting
        return item

    def drop(self, item: Item) -> None:
        """Take *item* out, wherever it stands."""
        vendor = self._vendor_of.pop(item)
        waiting = self._vendors[vendor]
        del waiting[item]
        if not waiting:
            del self._vendors[vendor]


class Waiting(Generic[Item]):
    """The waiting questions of one link; each stands here once."""

    def __init__(self) -> None:
        self._first: Band[Item] = Band()
        self._others: Band[Item] = Band()
        self._taken = 0

    def __len__(self) -> int:
        return len(self._first) + len(self._others)

    def __contains__(self, item: Item) -> bool:
        return item in self._first or item in self._others

    def put(self, item: Item, origin: Origin) -> None:
        """Let *item* wait; if it does so already it can only move up."""
        if item in self._first:
            return
        if item in self._others:
            if not origin.first:
                return
            self._others.drop(item)
        (self._first if origin.first else self._others).put(item, origin.vendor)

    def take(self, most: int) -> list[Item]:
        """The next *most* questions, fewer if there are not so many."""
        return [self._next() for _ in range(min(most, len(self)))]

    def _next(self) -> Item:
        self._taken += 1
        others_turn = self._taken % OTHERS_EVERY == 0
        band = self._others if (others_turn and self._others) or not self._first else self._first
        return band.take()


@dataclass(slots=True)
class Breaker:
    """Closed, or open until a moment at which one question probes; *failures* in a row without an answer between."""

    failures: int = 0
    open_until_s: float = 0.0
    probing: bool = field(default=False)

    @property
    def is_closed(self) -> bool:
        """Whether the last question was answered."""
        return self.failures == 0

    def wait_s(self, now_s: float) -> float:
        """0 if a question may go now, else seconds until it is worth looking again; going while open is the probe."""
        if self.is_closed:
            return 0.0
        if self.probing or now_s < self.open_until_s:
            return max(self.open_until_s - now_s, BACKOFF_FIRST_S)
        self.probing = True
        return 0.0

    def answered(self) -> None:
        """Somebody is there."""
        self.failures, self.probing = 0, False

    def let_go(self) -> None:
        """The probe ended without saying either; another may go."""
        self.probing = False

    def failed(self, now_s: float, dice: float, retry_after_s: float | None) -> None:
        """Nobody is, or not now."""
        self.failures += 1
        self.probing = False
        self.open_until_s = max(self.open_until_s, now_s + backoff_s(self.failures, dice, retry_after_s))


def backoff_s(failures: int, dice: float, retry_after_s: float | None) -> float:
    """Seconds until the next question after *failures* in a row: full jitter below a cap, at least what was asked for.

    >>> backoff_s(3, 1.0, None), backoff_s(50, 0.5, None), backoff_s(1, 0.0, 7.0)
    (0.8, 2.5, 7.0)
    """
    ceiling_s = min(BACKOFF_CAP_S, BACKOFF_FIRST_S * 2.0 ** min(failures - 1, 16))
    return max(dice * ceiling_s, retry_after_s or 0.0)
