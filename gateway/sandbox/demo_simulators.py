"""The three simulated neighbours as processes of a run: started, asked how far they are, their faults changed.

A simulator holds the read end of a pipe as its standard input and ends when it closes: none outlives the run.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from gateway.errors import GatewayError
from gateway.sandbox.simulators.faults import PRESETS, FaultPlan

PACKAGE_ROOT: Final = Path(__file__).resolve().parents[2]
START_S: Final = 30.0
STOP_S: Final = 10.0
ADMIN_S: Final = 15.0
NAMES: Final = ("registry", "sector", "population")


class SimulatorError(GatewayError):
    """A simulator did not start; its log says why."""


class _Ready(msgspec.Struct, frozen=True):
    url: str
    credentials: str


@dataclass(frozen=True, slots=True)
class Simulator:
    """A running simulator."""

    name: str
    url: str
    credentials_file: Path
    book: Path
    plan: FaultPlan
    process: asyncio.subprocess.Process = field(repr=False)
    http: httpx.AsyncClient = field(repr=False)

    async def progress(self) -> dict[str, int]:
        """Effects and sends so far; cheap."""
        answer = await self.http.get(f"{self.url}/book/progress")
        counts: dict[str, int] = answer.raise_for_status().json()
        return counts

    async def change_faults(self, plan: FaultPlan) -> None:
        """Put another fault plan in force."""
        await self._post("/admin/faults", msgspec.json.encode(plan))

    async def add_pupils(self, pupils: Sequence[Mapping[str, Any]], *, replace: bool) -> None:
        """Registry only: entries appear, instead of those of their codes if *replace*."""
        await self._post("/admin/pupils", msgspec.json.encode({"pupils": pupils, "replace": replace}))

    async def _post(self, path: str, body: bytes) -> None:
        answer = await self.http.post(f"{self.url}{path}", content=body)
        answer.raise_for_status()


@dataclass(frozen=True, slots=True)
class Staging:
    """How the simulators of a run are set up; *refused* are ``record id@version`` that both targets refuse."""

    folder: Path
    faults: str
    seed: int
    pupils: Path
    refused: tuple[str, ...]
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def plan(self, name: str) -> FaultPlan:
        """The fault plan a simulator starts with."""
        preset = PRESETS[self.faults]
        return preset if name == "registry" else msgspec.structs.replace(preset, refuse_records=self.refused)


@asynccontextmanager
async def simulators(staging: Staging) -> AsyncIterator[dict[str, Simulator]]:
    """Run all three for the length of a block."""
    running: dict[str, Simulator] = {}
    async with httpx.AsyncClient(timeout=ADMIN_S, trust_env=False) as http:
        try:
            for simulator in await asyncio.gather(*(_start(name, staging, http) for name in NAMES)):
                running[simulator.name] = simulator
            yield running
        finally:
            await asyncio.gather(*(_stop(simulator.process) for simulator in running.values()))


async def _start(name: str, staging: Staging, http: httpx.AsyncClient) -> Simulator:
    plan, book = staging.plan(name), staging.folder / f"{name}.book"
    arguments = ["--book", str(book), "--seed", str(staging.seed), "--until-eof"]
    arguments += ["--faults", msgspec.json.encode(plan).decode()]
    if options := staging.options.get(name):
        arguments += ["--options", msgspec.json.encode(options).decode()]
    if name == "registry":
        arguments += ["--data", str(staging.pupils)]
    with (staging.folder / f"{name}.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gateway.sandbox.simulators",
            name,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log.fileno(),
            env=os.environ | {"PYTHONPATH": str(PACKAGE_ROOT)},
            start_new_session=True,
        )
    ready = await _ready(name, process, log_path=staging.folder / f"{name}.log")
    return Simulator(name, ready.url, Path(ready.credentials), book, plan, process, http)


async def _ready(name: str, process: asyncio.subprocess.Process, *, log_path: Path) -> _Ready:
    line = b""
    if process.stdout is not None:
        with suppress(TimeoutError):
            line = await asyncio.wait_for(process.stdout.readline(), START_S)
    if not line:
        await _stop(process)
        message = f"the {name} simulator did not start; see {log_path}"
        raise SimulatorError(message)
    return msgspec.json.decode(line, type=_Ready)


async def _stop(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()
