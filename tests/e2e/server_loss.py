"""Take an embedded server away with -9 and start it again as it was: same ports, same folder, another process.

The keeper of the servers goes on without it; what was started here ends here.
"""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

UP_S = 60.0


@dataclass
class Lost:
    """A server that is away until `back`."""

    argv: list[str]
    account: tuple[int, int]
    log: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    async def back(self) -> None:
        """Start it again and wait until it takes connections."""
        self._start()
        async with asyncio.timeout(UP_S):
            while not _listens(self.port):
                await asyncio.sleep(0.1)

    def _start(self) -> None:
        uid, gid = self.account
        other = uid != os.getuid()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.argv,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=uid if other else None,
                group=gid if other else None,
                extra_groups=[] if other else None,
            )


@asynccontextmanager
async def lost(pid: int, port: int, log: Path) -> AsyncIterator[Lost]:
    """Kill server *pid*; inside, it is away until `back`, which also happens at the end."""
    folder = Path(f"/proc/{pid}")
    argv = folder.joinpath("cmdline").read_bytes().rstrip(b"\0").decode().split("\0")
    status = dict(line.split(":\t", 1) for line in folder.joinpath("status").read_text().splitlines() if ":\t" in line)
    made = Lost(argv, (int(status["Uid"].split()[0]), int(status["Gid"].split()[0])), log, port)
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(UP_S):
        while _listens(port):
            await asyncio.sleep(0.05)
    try:
        yield made
    finally:
        if made.process is not None:
            with suppress(ProcessLookupError):
                made.process.send_signal(signal.SIGINT)
            made.process.wait(20)


def _listens(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0
