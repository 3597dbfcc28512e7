"""What both embedded servers need to start: the keeper, a command, ports, and one kind of error.

Nothing here outlives its starter. The write end of the keeper's pipe is a plain file descriptor
that is closed on exec and after fork, so no other child of the starter can hold it open.
"""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.sandbox import keeper as keeper_process

Progress = Callable[[str], None]
"""Gets one line per step; may be called from a thread other than the caller's."""

OWN_SERVERS = "use servers of your own: --bootstrap-servers HOST:PORT and --ledger-url postgresql://…"
_PACKAGE_ROOT = Path(__file__).resolve().parents[2]
_PORTS = range(20000, 32000)  # below those that systems give to outgoing connections
_TAIL_LINES = 15
_POLL_S = 0.05


class EmbeddedServerError(Exception):
    """An embedded server cannot run here. The text is complete: print it without a traceback."""


@dataclass(frozen=True, slots=True)
class Account:
    """The numbers of a system account."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Command:
    """A server's command line; *account* is for starters that are root."""

    name: str
    argv: tuple[str, ...]
    log: Path
    stop_signal: signal.Signals
    account: Account | None = None

    def order(self) -> keeper_process.Order:
        """Return the command as the keeper reads it."""
        return {
            "argv": list(self.argv),
            "log": str(self.log),
            "stop_signal": int(self.stop_signal),
            "uid": self.account.uid if self.account else None,
            "gid": self.account.gid if self.account else None,
        }


def free_ports(count: int) -> list[int]:
    """Return *count* different TCP ports that are free on 127.0.0.1 now.

    A server binds its port seconds later, so a port from the range that the system gives to
    outgoing connections would now and then be taken by then.
    """
    held: dict[int, socket.socket] = {}
    while len(held) < count:
        port = secrets.choice(_PORTS)
        trial = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            trial.close()
            continue
        held[port] = trial
    for trial in held.values():
        trial.close()
    return list(held)


def log_tail(log: Path) -> str:
    """Return the last lines of a server's log with its path, for an error text."""
    if not log.exists():
        return f"It wrote no log ({log})."
    lines = log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
    return "\n".join([f"End of {log}:", *(f"  {line}" for line in lines)])


def is_alive(pid: int) -> bool:
    """Whether a process of this id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


_write_ends: set[int] = set()


def _close_in_forked_child() -> None:
    while _write_ends:
        os.close(_write_ends.pop())


os.register_at_fork(after_in_child=_close_in_forked_child)


class Keeper:
    """The starter's side of the keeper: starts servers, and stops them by closing a pipe."""

    def __init__(self, folder: Path, *, remove: bool, lock: int) -> None:
        """Start the keeper for a data *folder*; it takes over the folder's *lock*."""
        read_end, self._write_end = os.pipe()
        answers, answers_write_end = os.pipe()
        _write_ends.add(self._write_end)
        self._one_order_at_a_time = threading.Lock()
        argv = [sys.executable, "-m", "gateway.sandbox.keeper"]
        with (folder / "keeper.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  (a fixed command)
                argv + (["--remove", str(folder)] if remove else []),
                stdin=read_end,
                stdout=answers_write_end,
                stderr=log,
                cwd="/",
                env=os.environ | {"PYTHONPATH": str(_PACKAGE_ROOT)},
                start_new_session=True,
                pass_fds=[lock],
            )
        self._answers = os.fdopen(answers, "rb")
        for handed_over in (read_end, answers_write_end, lock):
            os.close(handed_over)

    def start(self, command: Command) -> int:
        """Start a server and return its process id.

        Raises:
            EmbeddedServerError: if its program cannot be run.
        """
        with self._one_order_at_a_time:
            self._tell({"start": command.order()})
            line = self._answers.readline()
        answer = json.loads(line) if line else {"error": "the keeper process has ended"}
        if "pid" not in answer:
            message = f"{command.name} cannot be started: {answer['error']}"
            raise EmbeddedServerError(message)
        return int(answer["pid"])

    def wait_ready(self, command: Command, pid: int, is_ready: Callable[[], bool], *, timeout_s: float) -> None:
        """Return as soon as *is_ready* says so.

        Raises:
            EmbeddedServerError: with the end of the log, if the server ends or takes too long.
        """
        deadline = time.monotonic() + timeout_s
        while not is_ready():
            if not is_alive(pid):
                message = f"{command.name} ended while starting.\n{log_tail(command.log)}"
                raise EmbeddedServerError(message)
            if time.monotonic() > deadline:
                late = f"{command.name} did not answer in {timeout_s:.0f} s."
                message = f"{late}\n{log_tail(command.log)}"
                raise EmbeddedServerError(message)
            threading.Event().wait(_POLL_S)

    def keep_folder(self) -> None:
        """Leave the data folder in place at the end after all."""
        self._tell({"keep_folder": True})

    def close(self) -> None:
        """Stop all servers and wait until they are gone."""
        if self._write_end in _write_ends:  # in a forked child it is closed already
            _write_ends.remove(self._write_end)
            os.close(self._write_end)
        self._process.wait(timeout=keeper_process.GRACE_S + 20.0)
        self._answers.close()

    def _tell(self, order: dict[str, Any]) -> None:
        try:
            os.write(self._write_end, json.dumps(order).encode() + b"\n")
        except BrokenPipeError:
            message = "The keeper of the embedded servers has ended unexpectedly."
            raise EmbeddedServerError(message) from None


def run_tool(name: str, argv: list[str], log: Path, *, account: Account | None = None) -> None:
    """Run a server's set-up tool to its end, with its output in *log*.

    Raises:
        EmbeddedServerError: with the end of the log, if it fails.
    """
    uid, gid = (None, None) if account is None else (account.uid, account.gid)
    with log.open("ab") as out:
        try:
            done = subprocess.run(  # noqa: S603  (a fixed command)
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd="/",
                user=uid,
                group=gid,
                extra_groups=None if account is None else [],
                check=False,
            )
        except OSError as error:
            message = f"{name} cannot be run: {error}"
            raise EmbeddedServerError(message) from error
    if done.returncode != 0:
        message = f"{name} failed with exit code {done.returncode}.\n{log_tail(log)}"
        raise EmbeddedServerError(message)
