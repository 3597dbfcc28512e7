"""Which record kills a worker: what a crash mark says, and how each new owner of the partition narrows it down.

    died over a batch         nobody knows of which record                they are taken again in runs of RUN
    died over a run           each of the run has seen one death          they are taken alone
    died over one, alone      it has seen two                             it is taken first, alone again
    died over it once more    it has seen three                           it goes to quarantine, the stage goes on

Alone twice, because workers are also killed from outside: one alone in hand at such a death is innocent, and to be
there again it would have to come in the moment in which its successor takes it.

A *span* is a stretch of offsets whose records have seen so many deaths under a mark.  A mark with ``trying`` was
written, and acknowledged, before its first span was touched: an owner that finds it knows that the span was in hand
when its predecessor ended.  A mark that is neither clean nor trying says that the predecessor ended over its normal
batches, or before it had begun.  A paused owner that lost its partition looks like a dead one; that costs a slower
first batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

RUN: Final = 50
"""About the root of the largest batch: the fewest marks that find one record of it in two steps."""
ALONE: Final = 1
KILLS: Final = 3


@dataclass(frozen=True, slots=True)
class Span:
    """The records from offset *first* to before *end* have been in hand, under a mark, at so many deaths."""

    first: int
    end: int
    deaths: int

    @property
    def most(self) -> int:
        """How many of its records may be tried at once."""
        return RUN if self.deaths < ALONE else 1

    @property
    def is_guilty(self) -> bool:
        """Whether it is one record that was in hand at three deaths, at the last two of them alone."""
        return self.deaths >= KILLS and self.end - self.first == 1


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """The value in gateway.marks, JSON; the key is ``group/topic/partition``.

    *offset* and *deaths* are those of the first span, for people who read the topic; *spans* decide.  *since* is where
    its owner began: a group that stands before it was sent back.  *buried* are offsets of records in quarantine that
    may come again, because they are not committed yet.
    """

    clean: bool
    offset: int
    deaths: int = 0
    trying: bool = False
    spans: tuple[tuple[int, int, int], ...] = ()
    since: int = 0
    buried: tuple[int, ...] = ()


def clean(offset: int) -> Mark:
    """The owner ended in good order before *offset*."""
    return Mark(clean=True, offset=offset)


def running(offset: int) -> Mark:
    """The owner takes batches from *offset* on; written once for many."""
    return Mark(clean=False, offset=offset)


def suspecting(spans: Sequence[Span], *, trying: bool) -> Mark:
    """The owner goes through *spans*; *trying*: the first one is in its hands now."""
    stored = tuple((span.first, span.end, span.deaths) for span in spans)
    return Mark(clean=False, offset=spans[0].first, deaths=spans[0].deaths, trying=trying, spans=stored)


def suspects(mark: Mark | None, committed: int, end: int, most: int) -> tuple[Span, ...]:
    """What a new owner has to go through, from what its predecessor left: nothing after a clean end.

    *end* is where the log ends now, *most* how many offsets a batch may have had.  What stands between *committed* and
    the mark was acquitted, but is not behind us: delivery may have had it in hand until the end.  The mark of a group
    that was sent back is not about what it takes now.
    """
    if mark is None or mark.clean:
        return ()
    if committed < mark.since:
        mark = running(committed)
    spans = [Span(*stored) for stored in mark.spans] or [Span(committed, max(committed, mark.offset) + most, 0)]
    if mark.trying:
        spans[0] = Span(spans[0].first, spans[0].end, spans[0].deaths + 1)
    before = Span(committed, spans[0].first, 0)
    return passed(_there([before, *spans], end), committed)


def _there(spans: Sequence[Span], end: int) -> list[Span]:
    """*spans* without what the log had not yet at *end*: nobody can have had it in hand."""
    return [Span(span.first, min(span.end, end), span.deaths) for span in spans if span.first < end]


def passed(spans: Sequence[Span], offset: int) -> tuple[Span, ...]:
    """What is left of *spans* when everything before *offset* has gone through."""
    return tuple(Span(max(span.first, offset), span.end, span.deaths) for span in spans if span.end > offset)


def anchored(spans: Sequence[Span], first: int, end: int, most: int) -> tuple[Span, ...]:
    """*spans* when the first record that is there stands at *first*: the batch that died began there.

    In a compacted log it may stand far behind the committed offset, and behind everything that was suspected.  At or
    behind *end*, where the log ended when the new owner came, it is a newer one, and what was suspected is gone.
    """
    if first < spans[-1].end or first >= end or spans[0].deaths:
        return tuple(spans)
    return (Span(first, min(end, first + most), spans[0].deaths),)


def narrowed(spans: Sequence[Span], first: int, last: int) -> tuple[Span, ...]:
    """*spans* with the first one cut to the records from *first* to *last*, which are tried now, and the rest."""
    tried = Span(first, last + 1, spans[0].deaths)
    return (tried, *passed(spans, last + 1))
