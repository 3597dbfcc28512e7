"""Named points where a sandbox may stop or slow a worker; outside the sandbox they do nothing.

``HOCBA_FAILPOINTS="intake.before_commit=kill@3;intake.producer_start=sleep:0.15"`` acts only together with
``HOCBA_SANDBOX=1``: *kill@n* SIGKILLs the own process at the n-th pass, *sleep:s* waits *s* seconds at each pass.
With ``HOCBA_FAILPOINTS_ONCE=FOLDER`` each kill happens once for all incarnations, and leaves a file of its name there.
"""

import asyncio
import os
import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class _Kill:
    at_pass: int


@dataclass(frozen=True, slots=True)
class _Sleep:
    seconds: float


def _parse(text: str) -> dict[str, _Kill | _Sleep]:
    actions: dict[str, _Kill | _Sleep] = {}
    for part in filter(None, text.split(";")):
        name, _, action = part.partition("=")
        verb, _, argument = action.replace("@", ":").partition(":")
        actions[name] = _Kill(int(argument or 1)) if verb == "kill" else _Sleep(float(argument))
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
        case None:
            pass
