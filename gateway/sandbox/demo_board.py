"""The live display of a run: where the records are, stage by stage, about once a second.

Numbers come from outside the workers: the broker's offsets (which count transaction markers too, hence "about"), the
simulators' books and the ledger's tallies.  On a terminal it is one table that stays; elsewhere a line now and then.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gateway.edges.clock import monotonic_s
from gateway.record import State

LINE_S: Final = 5.0
SHOWN: Final = (
    State.ACCEPTED,
    State.SUPERSEDED,
    State.DUPLICATE,
    State.REJECTED,
    State.NOTHING_TO_CANCEL,
    State.DISCARDED,
    State.PARKED,
    State.WAITING,
)


@dataclass(slots=True)
class Figures:
    """What the display shows."""

    phase: str = "starting"
    produced: int = 0
    planned: int = 0
    mapped: int = 0
    unified: int = 0
    effects: dict[str, int] = field(default_factory=dict)
    tallies: Mapping[tuple[str, State], int] = field(default_factory=dict)

    def settled(self, target: str) -> int:
        """Events with a state at *target*."""
        return sum(count for (name, _), count in self.tallies.items() if name == target)


class Board:
    """Shows figures until its block ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self._started_s = monotonic_s()
        self._line_s = self._started_s
        self.figures = Figures()

    def __enter__(self) -> Self:
        """Begin to show."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop showing."""
        if self._live is not None:
            self._live.stop()

    def tell(self, line: str) -> None:
        """A line that stays."""
        self._console.print(f"[dim]{monotonic_s() - self._started_s:6.1f} s[/dim]  {line}", highlight=False)

    def phase(self, name: str) -> None:
        """A new part of the run begins."""
        self.figures.phase = name
        self.tell(f"[bold]{name}[/bold]")

    def show(self) -> None:
        """Show the figures as they are now."""
        if self._live is not None:
            self._live.update(Group(Text(self.figures.phase, style="bold"), stages_table(self.figures)))
        elif monotonic_s() - self._line_s >= LINE_S:
            self._line_s = monotonic_s()
            self.tell(one_line(self.figures))


def one_line(figures: Figures) -> str:
    """The figures for a log."""
    targets = ", ".join(
        f"{name} {effects} effects, {figures.settled(name)} settled or held"
        for name, effects in sorted(figures.effects.items())
    )
    return (
        f"produced {figures.produced} of {figures.planned} · mapped about {figures.mapped} · "
        f"unified about {figures.unified} · {targets}"
    )


def stages_table(figures: Figures) -> Table:
    """The figures for a terminal."""
    table = Table("stage", "records", *SHOWN)
    table.add_row("vendors' events", f"{figures.produced} of {figures.planned}")
    table.add_row("gateway.mapped", f"about {figures.mapped}")
    table.add_row("national.records", f"about {figures.unified}")
    for name, effects in sorted(figures.effects.items()):
        table.add_row(name, f"{effects} effects", *(str(figures.tallies.get((name, state), 0)) for state in SHOWN))
    return table
