"""The process that stops the embedded servers when their starter is gone, however it went.

    starter ── stdin: one JSON order a line ──► keeper ──► Kafka, PostgreSQL (its children)
            ◄── stdout: one JSON answer a line ──

Only the starter holds the write end of stdin, so end of file means that it has ended: by itself,
by SIGTERM or by SIGKILL. Then, and when the keeper itself is told to end, every server gets its
stop signal, SIGKILL after `GRACE_S`, and the data folder is removed if that was asked. The keeper
starts the servers itself: as their parent it never signals a process id that was given away anew.
Only the standard library is imported, because this has to be there before anything else.

Orders: {"start": Order} is answered by {"pid": 1} or {"error": "…"}; {"keep_folder": true} is not
answered.
"""

import argparse
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

GRACE_S = 8.0
"""How long a server may take to stop before it is killed."""
_POLL_S = 0.2
_STDIN = 0


class Order(TypedDict):
    """One server to start: command, log file, the signal that stops it, and whom to run it as."""

    argv: list[str]
    log: str
    stop_signal: int
    uid: int | None
    gid: int | None


Child = tuple[subprocess.Popen[bytes], int]
"""A running server and the signal that stops it."""


def start(order: Order) -> Child:
    """Start one server in its own session, so that Ctrl-C at the terminal does not reach it."""
    with Path(order["log"]).open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  (what the starter orders)
            order["argv"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
            user=order["uid"],
            group=order["gid"],
            extra_groups=None if order["uid"] is None else [],
        )
    return process, order["stop_signal"]


def stop(children: list[Child], *, grace_s: float = GRACE_S) -> None:
    """Ask all servers to end at once, then kill what is left after *grace_s*."""
    for process, stop_signal in children:
        process.send_signal(stop_signal)  # does nothing for one that has ended
    deadline = time.monotonic() + grace_s
    for process, _ in children:
        try:
            process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def orders(children: list[Child]) -> Iterator[dict[str, Any]]:
    """Yield the starter's orders until it is gone; reap servers that end by themselves."""
    pending = b""
    while True:
        readable, _, _ = select.select([_STDIN], [], [], _POLL_S)
        for process, _ in children:
            process.poll()
        if not readable:
            continue
        chunk = os.read(_STDIN, 65536)
        if not chunk:
            return
        *lines, pending = (pending + chunk).split(b"\n")
        yield from (json.loads(line) for line in lines)


def answer(message: dict[str, Any]) -> None:
    """Write one answer; a starter that no longer listens is noticed at end of file."""
    try:
        os.write(1, json.dumps(message).encode() + b"\n")
    except BrokenPipeError:
        return


def keep(folder: Path | None) -> None:
    """Serve orders until end of file or a signal, then stop everything and remove *folder*."""
    children: list[Child] = []
    try:
        for order in orders(children):
            if "keep_folder" in order:
                folder = None
                continue
            try:
                children.append(start(order["start"]))
            except OSError as error:
                answer({"error": str(error)})
            else:
                answer({"pid": children[-1][0].pid})
    finally:
        for ending in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(ending, signal.SIG_IGN)  # the clean-up is under way and short
        stop(children)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Run as `python -m gateway.sandbox.keeper [--remove FOLDER]`."""
    for ending in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(ending, lambda *_: sys.exit(0))
    parser = argparse.ArgumentParser()
    parser.add_argument("--remove", type=Path)
    keep(parser.parse_args().remove)


if __name__ == "__main__":
    main()
