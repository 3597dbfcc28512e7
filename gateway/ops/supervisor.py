"""The supervisor: one child process a worker, restarted after any death, drained on TERM.

    waiting (back-off) ──► running ──► dead ──► waiting …          stop(): TERM to all, wait, KILL what is left

An unexpected exception ends a worker (design rule 11), so dying is ordinary here and says nothing about the others.
The back-off doubles from 0.2 s to 10 s and starts afresh after half a minute alive.  A child holds the read end of a
pipe as its standard input and drains when it closes: no worker outlives its supervisor, ``kill -9`` included.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from gateway.edges.bell import rings
from gateway.edges.clock import monotonic_s

PACKAGE_ROOT: Final = Path(__file__).resolve().parents[2]
WORKER_COMMAND: Final = (sys.executable, "-m", "gateway.ops.worker")
STATE_FILE: Final = "workers.json"
NEEDS_A_PERSON: Final = 2
"""A worker's exit code when somebody has to mend configuration, topics or migrations (ops/worker.py)."""
HELPLESS: Final = 3


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a worker stays dead: doubling from *base_s* to *cap_s*, afresh after *reset_s* alive."""

    base_s: float = 0.2
    cap_s: float = 10.0
    reset_s: float = 30.0

    def after(self, earlier_s: float, *, alive_s: float) -> float:
        """Seconds to wait after a death, when the wait before it was *earlier_s* (0: none yet)."""
        if earlier_s <= 0 or alive_s >= self.reset_s:
            return self.base_s
        return min(self.cap_s, earlier_s * 2)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a supervisor runs."""

    config: Path
    state_dir: Path
    workers: Mapping[str, int]
    """Number of workers of each stage."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Set on top of the supervisor's own environment."""
    log_stderr: bool = False
    grace_s: float = 10.0
    backoff: Backoff = Backoff()
    command: tuple[str, ...] = WORKER_COMMAND


@dataclass(frozen=True, slots=True)
class Death:
    """How a worker ended while it should have run; a negative *code* is the signal that killed it."""

    worker: str
    code: int
    alive_s: float


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """``workers.json``: who runs now."""

    supervisor: int
    workers: dict[str, int]


def worker_name(stage: str, number: int) -> str:
    """The name of worker *number* (from 1) of *stage*, fit for a file name."""
    return f"{stage.replace(':', '-')}-{number}"


def read_running(state_dir: Path) -> Running:
    """Who runs now under the supervisor of *state_dir*; raises FileNotFoundError."""
    return msgspec.json.decode((state_dir / STATE_FILE).read_bytes(), type=Running)


class Supervisor:
    """Runs a plan's workers from ``start`` to ``stop``; *tell* hears a line about each death."""

    def __init__(self, plan: Plan, tell: Callable[[str], None] | None = None) -> None:
        self._plan = plan
        self._tell = tell or (lambda _line: None)
        self._stopping = asyncio.Event()
        self._children: dict[str, asyncio.subprocess.Process] = {}
        self._guards: list[asyncio.Task[None]] = []
        self.deaths: list[Death] = []

    def __repr__(self) -> str:
        """The workers that live now."""
        return f"Supervisor({self.pids()})"

    def pids(self) -> dict[str, int]:
        """The process id of each worker that lives now."""
        return {name: child.pid for name, child in self._children.items() if child.returncode is None}

    def helpless(self) -> list[str]:
        """Workers that ended three times in a row with the exit code that asks for a person."""
        codes: dict[str, list[int]] = {}
        for death in self.deaths:
            codes.setdefault(death.worker, []).append(death.code)
        return sorted(name for name, ends in codes.items() if ends[-HELPLESS:] == [NEEDS_A_PERSON] * HELPLESS)

    async def start(self) -> None:
        """Start every worker; returns once each was started once."""
        (self._plan.state_dir / "logs").mkdir(parents=True, exist_ok=True)
        for stage, count in self._plan.workers.items():
            for number in range(1, count + 1):
                name = worker_name(stage, number)
                self._children[name] = await self._spawn(name, stage)
                self._guards.append(asyncio.create_task(self._guard(name, stage)))
        self._write_state()

    async def stop(self) -> None:
        """TERM to all, wait for them to drain, KILL what is left after the grace."""
        self._stopping.set()
        self._signal_all(signal.SIGTERM)
        if self._guards:
            _, late = await asyncio.wait(self._guards, timeout=self._plan.grace_s)
            if late:
                self._tell(f"not drained after {self._plan.grace_s:.0f} s, killed: {', '.join(sorted(self.pids()))}")
                self._signal_all(signal.SIGKILL)
            await asyncio.gather(*self._guards)
        self._guards.clear()
        self._write_state()

    async def run(self, stop: asyncio.Event) -> None:
        """Start, stay until *stop*, and stop."""
        await self.start()
        try:
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait(
                [stopping, *self._guards], return_when=asyncio.FIRST_COMPLETED
            )  # a guard ends by a bug only
            stopping.cancel()
        finally:
            await self.stop()

    def _signal_all(self, number: signal.Signals) -> None:
        for child in self._children.values():
            if child.returncode is None:
                with suppress(ProcessLookupError):
                    child.send_signal(number)

    async def _guard(self, name: str, stage: str) -> None:
        """Keep one worker running until the supervisor stops."""
        wait_s = 0.0
        while True:
            child, started_s = self._children[name], monotonic_s()
            code = await child.wait()
            if self._stopping.is_set():
                return
            alive_s = monotonic_s() - started_s
            wait_s = self._plan.backoff.after(wait_s, alive_s=alive_s)
            self.deaths.append(Death(name, code, alive_s))
            self._tell(f"{name} ended ({_how(code)}) after {alive_s:.1f} s, starts again in {wait_s:.1f} s")
            if await rings(self._stopping, wait_s) or self._stopping.is_set():
                return
            self._children[name] = await self._spawn(name, stage)
            self._write_state()
            if self._stopping.is_set():  # stop() came while the child was being started and has not seen it
                self._children[name].terminate()

    async def _spawn(self, name: str, stage: str) -> asyncio.subprocess.Process:
        environment = os.environ | {"PYTHONPATH": str(PACKAGE_ROOT)} | dict(self._plan.environment)
        arguments = (*self._plan.command, stage, "--config", str(self._plan.config), "--until-eof")
        if self._plan.log_stderr:
            return await self._process(arguments, environment, None)
        with (self._plan.state_dir / "logs" / f"{name}.log").open("ab") as log:
            return await self._process(arguments, environment, log.fileno())

    async def _process(
        self, arguments: tuple[str, ...], environment: Mapping[str, str], stderr: int | None
    ) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=stderr,
            stderr=stderr,
            env=environment,
            start_new_session=True,  # a Ctrl-C of the terminal reaches the supervisor only, which drains in order
        )

    def _write_state(self) -> None:
        state = Running(supervisor=os.getpid(), workers=self.pids())
        fresh = self._plan.state_dir / f".{STATE_FILE}.new"
        fresh.write_bytes(msgspec.json.encode(state))
        fresh.replace(self._plan.state_dir / STATE_FILE)


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
