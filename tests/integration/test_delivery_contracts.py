"""Delivery by contract alone, on real servers: two-step updates killed at every step, fences, and a third target."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.config import load_config
from gateway.edges import topics
from gateway.sandbox.embedded import Servers, embedded_servers
from gateway.sandbox.simulators.book import read_book
from tests.fakes.delivery_records import National, national
from tests.fakes.identity_school import VENDOR
from tests.fakes.simulator import ROOT, Simulator
from tests.integration.test_delivery import DEADLINE_S, SLOTS, Site, at_the_end, write_config
from tests.servers import FULL, new_ledger

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def own_servers() -> Iterator[Servers]:
    """Servers of this file alone: national.records has a fixed name."""
    with embedded_servers() as running:
        yield running


class Sites:
    """Installations of one test each, ended with it."""

    def __init__(self, servers: Servers, folder: Path, prefix: str) -> None:
        self.servers, self.folder, self.prefix = servers, folder, prefix
        self.made: list[Site] = []

    async def make(self, targets: dict[str, Simulator], contracts: dict[str, str]) -> Site:
        """*contracts* are the texts of the targets' files: nothing else tells the gateway of a target."""
        url = new_ledger(self.servers, f"ledger_{self.prefix}")
        write_config(self.folder, self.servers.bootstrap_servers, url, targets, self.prefix)
        path = self.folder / "g.yaml"
        text = path.read_text()
        for target, contract in contracts.items():
            (self.folder / f"{target}.yaml").write_text(contract)
            text = text.replace(f"{ROOT}/targets/{target}.yaml", str(self.folder / f"{target}.yaml"))
        path.write_text(text)
        config = load_config(path, {})
        await topics.apply(config, topics.plan(config, (VENDOR,)))
        site = Site(self.folder, config, targets, await at_the_end(config))
        self.made.append(site)
        return site

    def end(self) -> None:
        for site in self.made:
            for worker in site.workers:
                worker.kill()
                worker.wait()
            for simulator in site.targets.values():
                simulator.stop()


@pytest.fixture
async def sites(own_servers: Servers, tmp_path: Path, prefix: str) -> AsyncIterator[Sites]:
    made = Sites(own_servers, tmp_path, prefix)
    yield made
    made.end()


def contract(name: str, **changes: str) -> str:
    """The repository's contract of *name* with some of its lines changed."""
    text = (ROOT / f"targets/{name}.yaml").read_text()
    for old, new in (pair.split("=>") for pair in changes.values()):
        assert old in text, old
        text = text.replace(old, new)
    return text


async def through_kills(site: Site, target: str, points: list[str], records: list[National]) -> int:
    """Run a worker that dies at each of *points*, start it again each time, until all are accepted; how often it died.

    Between the two steps of an update a record stands in a row of its own, so parked is no end here.
    """
    deaths = 0
    async with asyncio.timeout(DEADLINE_S):
        site.start(target, points[0])
        while Counter(site.states(target).values())["accepted"] < len(records):
            await asyncio.sleep(0.05)
            if (code := site.workers[-1].poll()) is not None:
                assert code == -signal.SIGKILL, site.log()
                deaths += 1
                site.start(target, points[deaths] if deaths < len(points) else "")
    site.workers[-1].kill()
    site.workers[-1].wait()
    site.start(target)
    return deaths


STEPS = ["packet.after_row_before_post", "packet.after_post_before_row", "packet.after_verdict_before_row"]


@pytest.mark.proof
async def test_a_two_step_update_killed_at_every_step_doubles_nothing_and_leaves_nobody_without_a_record(
    sites: Sites, tmp_path: Path
) -> None:
    portal = Simulator(
        "sector",
        tmp_path,
        options={"result_delay_s": 0.2, "index_delay_s": 0.5, "updates": "revoke_then_register"},
    )
    text = contract("sector", update="update: replace=>update: revoke_then_register")
    site = await sites.make({"sector": portal}, {"sector": text})
    records = [
        national(number, version, version * 100 + number, slots=SLOTS) for version in (1, 2) for number in range(6)
    ]
    await site.publish(records[:6])
    site.start("sector")
    await site.all_states("sector", records[:6])
    site.workers[-1].terminate()
    site.workers[-1].wait()
    await site.publish(records[6:])
    points = [f"{step}=kill@{at}" for at in ((1, 2) if FULL else (1,)) for step in STEPS]
    deaths = await through_kills(site, "sector", points, records)

    assert deaths >= len(STEPS)
    done = Counter((effect.version, effect.op) for effect in read_book(portal.book))
    assert done == {(1, "NEW"): 6, (1, "CANCEL"): 6, (2, "NEW"): 6}
    counts = portal.summary()
    assert (counts["duplicate_effects"], counts["backwards"], counts["in_force"], counts["without_valid_record"]) == (
        0,
        0,
        6,
        0,
    )
    revoked = "SELECT count(*) FROM deliveries WHERE target = 'sector' AND revoked_for = 2 AND version = 1"
    assert site.rows(revoked) == [(6,)]

    # a pupil who is left revoked: alarm here, counted there, and mended by the next version
    portal.faults(refuse_records=[f"{records[0].record_id}@3"], refuse_codes=["MAU-L02"])
    third = national(0, 3, 900, slots=SLOTS)
    await site.publish([third])
    parked = "SELECT code, target_code, owner FROM parked WHERE state = 'parked'"
    async with asyncio.timeout(DEADLINE_S):
        while site.rows(parked) != [("TG-06", "MAU-L02", "operator")] or '"code": "TG-06"' not in site.log():
            await asyncio.sleep(0.1)
    assert portal.summary()["without_valid_record"] == 1
    fourth = national(0, 4, 901, slots=SLOTS)
    await site.publish([fourth])
    async with asyncio.timeout(DEADLINE_S):
        while site.states("sector").get(fourth.event_id) != "accepted":
            await asyncio.sleep(0.1)
    assert portal.summary()["without_valid_record"] == 0


async def test_a_third_target_of_either_protocol_is_a_file_and_nothing_else(sites: Sites, tmp_path: Path) -> None:
    """Their words on the wire are those of the simulators; the names, limits and tables are the files' own."""
    batches, packets = tmp_path / "a", tmp_path / "b"
    batches.mkdir()
    packets.mkdir()
    targets = {
        "archive": Simulator("population", batches),
        "province": Simulator("sector", packets, options={"result_delay_s": 0.2, "index_delay_s": 0.1}),
    }
    texts = {
        "archive": contract("population", a="name: population=>name: archive", b="records: 500=>records: 7"),
        "province": contract("sector", a="name: sector=>name: province", b="records: 200=>records: 5"),
    }
    site = await sites.make(targets, texts)
    records = [national(number, 1, number, slots=SLOTS) for number in range(20)]
    await site.publish(records)
    for target in targets:
        site.start(target)
        assert set((await site.all_states(target, records)).values()) == {"accepted"}

    for target, simulator in targets.items():
        assert {effect.record_id for effect in read_book(simulator.book)} == {one.record_id for one in records}
        assert site.rows("SELECT count(DISTINCT target) FROM deliveries WHERE target = %s", target) == [(1,)]
    told = {target for _, target in await site.receipts()}
    assert told == {"archive", "province"}


async def test_whatever_a_target_recognises_a_repeated_send_by_nothing_takes_effect_twice(
    sites: Sites, tmp_path: Path
) -> None:
    """One target knows keys only, one versions only, and one neither: that one is asked before a record goes again."""
    kinds = {"bykey": "key", "byversion": "version", "byneither": "none"}
    words = {"bykey": "[key]", "byversion": "[version]", "byneither": "[]"}
    targets: dict[str, Simulator] = {}
    texts: dict[str, str] = {}
    for name, dedupe in kinds.items():
        (tmp_path / name).mkdir()
        targets[name] = Simulator("population", tmp_path / name, options={"dedupe": dedupe})
        targets[name].faults(p_drop_after=0.2, p_missing=0.1, latency_ms=[5, 30])
        text = contract("population", a=f"name: population=>name: {name}", b="records: 500=>records: 10")
        text = text.replace("idempotency: [key, version]", f"idempotency: {words[name]}")
        texts[name] = text + "query: {path: '/api/v1/records:query', ids: ids, settle_s: 0.2}\n"
    site = await sites.make(targets, texts)
    versions = [(number, version) for version in (1, 2) for number in range(30)]
    records = [national(number, version, version * 100 + number, slots=SLOTS) for number, version in versions]
    await site.publish(records)
    for name in targets:
        site.start(name, "delivery.after_post_before_row=kill@3")
        await site.died()
        site.start(name)
        states = await site.all_states(name, records)
        assert set(states.values()) <= {"accepted", "superseded"}

    for name, simulator in targets.items():
        counts = simulator.summary()
        assert (counts["duplicate_effects"], counts["backwards"], counts["in_force"]) == (0, 0, 30), name
