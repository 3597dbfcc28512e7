"""One pupil's records at one target, oldest first: which is next, which a newer version makes superfluous.

- queue[0] is the head; it alone is ever in flight;
- a head with reasons is blocked: it and all behind it are parked until an order or a newer version of it comes;
- a record in doubt (perhaps applied already) is never superseded: it is settled first, under its own key.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gateway.delivery.events import Ordered
from gateway.delivery.values import BEHIND, KILLER, NOTHING_KNOWN, REFUSED, Entry, Known, ParkedRow, Reason


@dataclass(slots=True, eq=False)
class Open:
    """A record that is not settled yet, and what was learnt of it.

    *row*: a parked row of it is committed; *durable*: and says what is so now.  *limit* is the largest batch it may
    stand in (0: the contract's), *proves_at* the time before which asking the target for it proves nothing.  Counts of
    successes: *left* when it was last sent, *mark* when it last failed (or first left), *vouched* the same with those
    of other slots, *suspected* when it was first part of a batch refused as one (-1: never).  *asked* counts the
    answers that did not settle it, *reply* is the one that did.
    """

    entry: Entry
    doubt: bool = False
    row: bool = False
    durable: bool = False
    seq: int = 0
    reasons: tuple[Reason, ...] = ()
    attempts: int = 0
    tries: int = 0
    left: int = 0
    mark: int = 0
    vouched: int = 0
    suspected: int = -1
    limit: int = 0
    not_before: float = 0.0
    proves_at: float = 0.0
    nudged: bool = False
    parking: bool = False
    asked: int = 0
    reply: str = ""

    def block(self, *reasons: Reason) -> None:
        """Hold it and everything behind it."""
        self.reasons = reasons
        self.durable = False

    def unblock(self) -> None:
        """Try it again as if for the first time."""
        self.reasons = ()
        self.attempts = self.tries = self.limit = 0
        self.suspected = -1
        self.not_before = 0.0

    @property
    def is_refused(self) -> bool:
        """Whether the target's last word about it was no."""
        return bool(self.reasons) and self.reasons[0].code == REFUSED

    def is_version(self, record_id: str, version: int) -> bool:
        """Whether it is that version of that record."""
        return self.entry.version == version and self.entry.record_id == record_id


@dataclass(slots=True, eq=False)
class Lane:
    """The open records of one pupil; *writes* counts what of it is on its way into the ledger."""

    token: int
    queue: list[Open] = field(default_factory=list)
    known: dict[str, Known] = field(default_factory=dict)
    busy: bool = False
    loading: bool = False
    writes: int = 0
    orders: list[Ordered] = field(default_factory=list)

    def learn(self, record_id: str, said: Known | None) -> None:
        """Take over what the ledger says of a record; a reading may be older than what is known here."""
        if said is not None:
            before = self.known.get(record_id)
            self.known[record_id] = said if before is None else before.merged(said)

    def knows(self, record_id: str) -> Known:
        """What is known of a record."""
        return self.known.get(record_id, NOTHING_KNOWN)

    def has(self, entry: Entry) -> bool:
        """Whether this very version is settled or open already."""
        if entry.version in self.knows(entry.record_id).finals:
            return True
        return any(open_.is_version(entry.record_id, entry.version) for open_ in self.queue)

    @property
    def is_blocked(self) -> bool:
        """Whether its head waits for an order or a newer version."""
        return bool(self.queue and self.queue[0].reasons)


def supersede(lane: Lane) -> list[Open]:
    """Take the records out of *lane* that a newer version makes superfluous.

    The newer version of a blocked head takes its place, also of one in doubt that the target refuses: its last word
    counts.  Any other blocked head in doubt is tried once more for each newer version, because that may only follow
    when the doubt is settled.  What killed its owners is tried by order only.
    """
    queue = lane.queue
    if not queue or (len(queue) == 1 and queue[0].entry.version > lane.knows(queue[0].entry.record_id).highest):
        return []
    newest = {name: known.highest for name, known in lane.known.items()}
    for open_ in queue:
        entry = open_.entry
        newest[entry.record_id] = max(newest.get(entry.record_id, 0), entry.version)
    head = queue[0]
    gone = [
        open_
        for open_ in queue
        if open_.entry.version < newest[open_.entry.record_id] and (not open_.doubt or open_.is_refused)
    ]
    left = [open_ for open_ in queue if open_ not in gone]
    heir = next((o for o in left if o.is_version(head.entry.record_id, newest[head.entry.record_id])), None)
    if head.reasons and heir is not None and heir is not head:
        left.remove(heir)
        left.insert(0 if head in gone else 1, heir)
        if head not in gone and head.durable and not heir.nudged and not heir.row and not is_killer(head.reasons[0]):
            heir.nudged = True
            head.unblock()
    lane.queue = left
    return gone


def admit(lane: Lane, rows: Iterable[ParkedRow], known: Mapping[str, Known]) -> list[Open]:
    """Put the loaded *rows* into *lane*, before what has arrived since; returns the arrivals that are such rows."""
    lane.loading = False
    for record_id, said in known.items():
        lane.learn(record_id, said)
    flying = lane.queue[:1] if lane.busy else []
    arrivals = lane.queue[len(flying) :]
    loaded: list[Open] = []
    repeated: list[Open] = []
    for row in rows:
        same = next((o for o in lane.queue if o.is_version(row.entry.record_id, row.entry.version)), None)
        if same in flying and same is not None:
            same.row, same.seq = True, max(same.seq, row.seq)
            continue
        if same is not None:
            repeated.append(same)
        if row.entry.version not in lane.knows(row.entry.record_id).finals:
            loaded.append(_opened(row))
    arrivals = [open_ for open_ in arrivals if open_ not in repeated]
    loaded.sort(key=lambda open_: (not (open_.reasons or open_.doubt), open_.entry.offset))
    lane.queue = flying + loaded + arrivals
    return repeated


def is_killer(reason: Reason) -> bool:
    """Whether the record ended its owners: an order tries it once, and no new owner goes on with that by itself."""
    return reason.code == KILLER


def is_released(row: ParkedRow) -> bool:
    """Whether a person let it go and a new owner goes on with that."""
    return row.sent in {"released", "again"} and not is_killer(row.reason)


def _opened(row: ParkedRow) -> Open:
    free = row.reason.code == BEHIND or is_released(row)
    return Open(
        row.entry,
        doubt=row.sent in {"maybe", "again"},
        row=True,
        durable=True,
        seq=row.seq,
        reasons=() if free else (row.reason,),
    )
