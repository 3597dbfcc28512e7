"""Named points where a sandbox may stop or slow a worker; outside the sandbox they do nothing.

``HOCBA_FAILPOINTS="intake.before_commit=kill@3;intake.producer_start=sleep:0.15"`` acts only together with
``HOCBA_SANDBOX=1``: *kill@n* SIGKILLs the own process at the n-th pass, *sleep:s* waits *s* seconds at each pass.
``intake.record=killer:TEXT`` makes every record killing whose bytes contain TEXT, *raiser:TEXT* one that raises
an exception whose text repeats the record, as those of libraries may.
With ``HOCBA_FAILPOINTS_ONCE=FOLDER`` each kill happens once for all incarnations, and leaves a file of its name there.
"""

import asyncio
import os
import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

KILLED: Final = 139
"""The exit code of a process whose record killed it: that of a segmentation fault."""


@dataclass(frozen=True, slots=True)
class _Kill:
    at_pass: int


@dataclass(frozen=True, slots=True)
class _Sleep:
    seconds: float


@dataclass(frozen=True, slots=True)
class _Killer:
    text: bytes
    raises: bool


_Action = _Kill | _Sleep | _Killer


def _parse(text: str) -> dict[str, _Action]:
    actions: dict[str, _Action] = {}
    for part in filter(None, text.split(";")):
        name, _, action = part.partition("=")
        verb, _, argument = action.replace("@", ":").partition(":")
        match verb:
            case "kill":
                actions[name] = _Kill(int(argument or 1))
            case "killer" | "raiser":
                actions[name] = _Killer(argument.encode(), raises=verb == "raiser")
            case _:
                actions[name] = _Sleep(float(argument))
    return actions


_ACTIONS = _parse(os.environ.get("HOCBA_FAILPOINTS", "")) if os.environ.get("HOCBA_SANDBOX") == "1" else {}
_ONCE = os.environ.get("HOCBA_FAILPOINTS_ONCE", "")
_passes: Counter[str] = Counter()


def _first_time(name: str) -> bool:
    if not _ONCE:
        return True
    try:
        (Path(_ONCE) / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


async def failpoint(name: str) -> None:
    """Pass the point *name*: nothing, a wait, or the end of this process."""
    if not _ACTIONS:
        return
    match _ACTIONS.get(name):
        case _Kill(at_pass):
            _passes[name] += 1
            if _passes[name] >= at_pass and _first_time(name):
                os.kill(os.getpid(), signal.SIGKILL)
        case _Sleep(seconds):
            await asyncio.sleep(seconds)
        case _:
            pass


def record_failpoint(name: str, value: bytes | None) -> None:
    """A record passes the point *name*; the text of a *killer* in it ends this process like a fault in C would."""
    if not _ACTIONS:
        return
    action = _ACTIONS.get(name)
    if isinstance(action, _Killer) and action.text in (value or b""):
        if action.raises:
            raise RuntimeError((value or b"").decode("utf-8", "replace"))
        os._exit(KILLED)
