"""One pupil refused among many: only that pupil's later records wait, and the corrected version goes by itself."""

from pathlib import Path

import pytest

from gateway.sandbox.embedded import embedded_servers
from tests.e2e.delivery_site import delivery_site
from tests.fakes.delivery_records import national
from tests.fakes.stream import as_made, stream
from tests.servers import FULL

PUPILS = 10_000 if FULL else 400
WITHIN_S = 600.0 if FULL else 120.0

pytestmark = [pytest.mark.servers, pytest.mark.proof, pytest.mark.timeout(900)]


async def test_only_the_refused_pupil_waits_and_its_correction_needs_no_operator(tmp_path: Path) -> None:
    with embedded_servers() as servers:
        async with delivery_site(servers, tmp_path) as site:
            slots = site.config.slots
            bad, behind, corrected = (
                as_made(national(1, version, place, slots=slots, year=year))
                for place, (version, year) in enumerate([(1, "2023-2024"), (1, "2024-2025"), (2, "2023-2024")])
            )
            others = list(stream(PUPILS - 1, 1, slots=slots))
            middle = len(others) // 2
            for target, simulator in site.targets.items():
                simulator.faults(refuse_records=[f"{bad.record_id}@1"])
                site.start(target)
            await site.publish([*others[:middle], bad, behind, *others[middle:]])
            for target in site.targets:
                await site.until_told(target, PUPILS + 1, WITHIN_S)
                states = site.states(target)

                assert {event for event, state in states.items() if state == "parked"} == {
                    bad.event_id,
                    behind.event_id,
                }
                assert {states[one.event_id] for one in others} == {"accepted"}

            await site.publish([corrected])
            for target in site.targets:
                await site.until_settled(target, PUPILS + 2, WITHIN_S)
                states = site.states(target)

                assert [states[one.event_id] for one in (bad, behind, corrected)] == [
                    "superseded",
                    "accepted",
                    "accepted",
                ]
                assert site.verdict(target, [*others, bad, behind, corrected]) == []
            assert site.rows("SELECT count(*) FROM orders") == [(0,)]
