"""A failpoint acts in the sandbox only: elsewhere the same words do nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import asyncio
from gateway.edges.failpoints import failpoint

async def main():
    for _ in range(3):
        await failpoint("stage.point")
    print("alive")

asyncio.run(main())
"""


def passed(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_outside_the_sandbox_nothing_happens() -> None:
    assert passed(HOCBA_FAILPOINTS="stage.point=kill@1").stdout == "alive\n"


def test_the_process_ends_at_the_nth_pass() -> None:
    ended = passed(HOCBA_SANDBOX="1", HOCBA_FAILPOINTS="other=sleep:1;stage.point=kill@3")

    assert ended.returncode == -signal.SIGKILL


def test_fewer_passes_do_not_end_it() -> None:
    assert passed(HOCBA_SANDBOX="1", HOCBA_FAILPOINTS="stage.point=kill@4").stdout == "alive\n"


def test_once_means_once_for_all_incarnations(tmp_path: Path) -> None:
    words = {"HOCBA_SANDBOX": "1", "HOCBA_FAILPOINTS": "stage.point=kill@1", "HOCBA_FAILPOINTS_ONCE": str(tmp_path)}

    assert passed(**words).returncode == -signal.SIGKILL
    assert passed(**words).stdout == "alive\n"
    assert [path.name for path in tmp_path.iterdir()] == ["stage.point"]
