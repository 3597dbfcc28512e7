"""A target that is down for the whole run holds its own records only: the other one gets everything meanwhile."""

import asyncio
from pathlib import Path

import pytest

from gateway.edges.clock import monotonic_s
from gateway.record import State
from gateway.sandbox.demo_evidence import look
from gateway.sandbox.simulators.faults import FaultPlan
from tests.e2e.installation import Installation, installation
from tests.servers import FULL

RECORDS = 5000 if FULL else 1000


async def complete_at(run: Installation, target: str, within_s: float) -> float:
    """Seconds until every event sent has a state at *target*."""
    began_s = monotonic_s()
    async with asyncio.timeout(within_s):
        while True:
            seen = await look(run.watch.pool)
            if all((event.event_id, target) in seen.states for event in run.publisher.sent):
                return monotonic_s() - began_s
            await asyncio.sleep(0.5)


@pytest.mark.proof
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("down", "up"), [("sector", "population"), ("population", "sector")])
async def test_the_other_target_completes_meanwhile(tmp_path: Path, down: str, up: str) -> None:
    async with installation(tmp_path, records=RECORDS, faults="off") as run:
        await run.neighbours[down].change_faults(FaultPlan(down=True))
        await run.publish(over_s=0.0)
        seconds = await complete_at(run, up, within_s=240)
        effects = {name: (await run.neighbours[name].progress())["effects"] for name in (up, down)}
        seen = await look(run.watch.pool)
        parked_by_delivery = [
            event.event_id
            for event in run.publisher.sent
            if seen.states.get((event.event_id, down)) is State.PARKED
            and seen.states[(event.event_id, up)] is not State.PARKED
        ]
        rate = effects[up] / seconds
        print(f"{up}: {effects[up]} effects in {seconds:.1f} s ({rate:.0f}/s); {down}, down: {effects[down]}")

        assert effects[down] == 0
        assert effects[up] > 0.8 * len(run.publisher.sent)
        assert parked_by_delivery == []

        await run.neighbours[down].change_faults(run.neighbours[down].plan)
        verdict = await run.verdict(within_s=240)

        assert verdict.findings == []
        assert verdict.lost == 0
