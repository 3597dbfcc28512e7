"""A simulator as a child process, for tests that want the real thing over HTTP."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]


class Simulator:
    """One simulator, started; `kill` is -9, `start` again on the same book."""

    def __init__(
        self, name: str, folder: Path, *, options: Mapping[str, object] | None = None, data: Path | None = None
    ) -> None:
        self.name = name
        self.book = folder / f"{name}.book"
        self.log = folder / f"{name}.log"
        self._options = json.dumps(options or {})
        self._data = data
        self.start()

    def start(self) -> None:
        """Start it on its book, on a new port."""
        command = [sys.executable, "-m", "gateway.sandbox.simulators", self.name, "--book", str(self.book)]
        command += ["--options", self._options, "--until-eof"]
        if self._data is not None:
            command += ["--data", str(self._data)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        assert self._process.stdout is not None
        ready = json.loads(self._process.stdout.readline())
        self.url: str = ready["url"]
        self.credentials_file = Path(ready["credentials"])
        self.credentials: dict[str, str] = json.loads(self.credentials_file.read_text())

    def faults(self, **plan: object) -> None:
        """Put a fault plan in force."""
        httpx.post(self.url + "/admin/faults", json=plan, trust_env=False).raise_for_status()

    def summary(self) -> dict[str, int]:
        """The book's counts, asked over HTTP."""
        counts: dict[str, int] = httpx.get(self.url + "/book/summary", trust_env=False).json()
        return counts

    def kill(self) -> None:
        """Kill it with -9."""
        os.kill(self._process.pid, signal.SIGKILL)
        self._reap()

    def stop(self) -> None:
        """End it; no error if it is gone."""
        self._process.terminate()
        self._reap()

    def _reap(self) -> None:
        self._process.wait(10)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
