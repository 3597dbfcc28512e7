"""kill -9 of every worker, again and again, with work in flight; and at the named points.  It still reconciles."""

import asyncio
import os
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.ops.supervisor import worker_name
from gateway.ops.worker import stage_names
from gateway.sandbox.checker import Verdict
from tests.e2e.installation import Installation, installation
from tests.servers import FULL

KILLS = 10 if FULL else 2
BETWEEN = 500
RECORDS = BETWEEN * (2 * KILLS + 1)
RATE = 250
POINTS = (
    {
        "intake.before_commit": 5,
        "identity.after_pg_commit": 3,
        "identity.before_commit": 5,
        "delivery.after_post_before_row": 5,
        "packet.after_row_before_post": 3,
    },
    {
        "intake.after_commit": 5,
        "identity.after_commit": 5,
        "delivery.after_ledger_before_offset": 5,
        "packet.after_post_before_row": 3,
    },
)
"""In two halves: each stage is killed once or twice."""


def summary(verdict: Verdict) -> str:
    sums = {
        target: {str(state): count for state, count in states.items()} for target, states in verdict.targets.items()
    }
    return f"produced {verdict.produced}, lost {verdict.lost}, doubled {verdict.duplicate_effects}, {sums}"


def assert_adds_up(verdict: Verdict, run: Installation) -> None:
    found = Counter((finding.what, finding.target) for finding in verdict.findings)
    assert found == {}, f"logs in {run.layout.state}"


async def kill_again_and_again(run: Installation, stage: str) -> int:
    """Kill *stage*'s worker *KILLS* times, each *BETWEEN* records further on; how many were left at the last kill."""
    name = worker_name(stage, 1)
    done = await run.handled(stage)
    for _ in range(KILLS):
        while (now := await run.handled(stage)) < done + BETWEEN or name not in run.workers.pids():
            await asyncio.sleep(0.05)
        done = now
        with suppress(ProcessLookupError):
            os.kill(run.workers.pids()[name], signal.SIGKILL)
    return run.watch.board.figures.planned - done


@pytest.mark.proof
@pytest.mark.timeout(RECORDS / 10 + 300)
async def test_kills_of_every_worker_lose_and_double_nothing(tmp_path: Path) -> None:
    async with installation(tmp_path, records=RECORDS) as run:
        async with asyncio.timeout(RECORDS / 10 + 200), asyncio.TaskGroup() as group:
            killings = [group.create_task(kill_again_and_again(run, stage)) for stage in stage_names(run.config)]
            await run.publish(over_s=RECORDS / RATE)
        verdict = await run.verdict(within_s=RECORDS / 20 + 90)
        killed = [death.worker for death in run.workers.deaths if death.code == -signal.SIGKILL]
        print(f"kills: {sorted((name, killed.count(name)) for name in set(killed))}; {summary(verdict)}")

        assert_adds_up(verdict, run)
        assert all(killing.result() > 0 for killing in killings), "a kill came when its stage had nothing left to do"
        assert all(killed.count(worker_name(stage, 1)) == KILLS for stage in stage_names(run.config))


@pytest.mark.proof
@pytest.mark.timeout(300)
@pytest.mark.parametrize("points", POINTS)
async def test_a_kill_at_each_named_point_loses_and_doubles_nothing(points: dict[str, int], tmp_path: Path) -> None:
    marks = tmp_path / "points"
    marks.mkdir()
    environment = {
        "HOCBA_SANDBOX": "1",
        "HOCBA_FAILPOINTS": ";".join(f"{point}=kill@{passes}" for point, passes in points.items()),
        "HOCBA_FAILPOINTS_ONCE": str(marks),
    }
    async with installation(tmp_path, records=750, environment=environment) as run:
        await run.publish(over_s=5.0)
        verdict = await run.verdict(within_s=150)
        print(f"killed at: {sorted(path.name for path in marks.iterdir())}; {summary(verdict)}")

        assert_adds_up(verdict, run)
        assert {path.name for path in marks.iterdir()} == set(points)
