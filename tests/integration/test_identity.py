"""Identity on real Kafka and PostgreSQL, killed with -9 in mid-stream: each version once, rising, and nothing lost.

The registry is the simulator; what is compared with what stands in ``tests/fakes/identity_site.py``.
"""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.record import record_id
from gateway.sandbox.embedded import Servers, embedded_servers
from tests.fakes.identity_school import YEARS, Pupil, School, Sent, make, pupil, school
from tests.fakes.identity_site import (
    DEADLINE_S,
    SIGNED,
    SLOTS,
    Account,
    Site,
    account,
    admin,
    check,
    fill_registry,
    hocba,
    installed,
    published_count,
    settled,
    until,
)
from tests.fakes.simulator import Simulator

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def own_servers() -> Iterator[Servers]:
    """Servers of this file alone: gateway.mapped and national.records have fixed names."""
    with embedded_servers() as running:
        yield running


@pytest.fixture
async def site(own_servers: Servers, tmp_path: Path, prefix: str) -> AsyncIterator[Site]:
    async with installed(own_servers, tmp_path, prefix) as made:
        yield made


def check_standing(made: School, found: Account) -> None:
    """Pupils the registry does not confirm never reach the unified stream; the others' IDs are the registry's."""
    by_record = {one.record_id: one.pupil for one in made.sent}
    for one in found.published:
        child = by_record[one["head"]["record_id"]]
        if one["head"]["event_type"] != "CANCEL":
            assert child.standing == "known"
            assert one["head"]["citizen_id"] == child.citizen_id
    codes = Counter(code for _, code in found.parked.values())
    assert {"ID-02", "ID-03", "ID-05", "CF-01", "CF-02", "DQ-48", "DQ-42", "GW-03", "GW-04"} <= codes.keys()


async def test_two_kills_in_mid_stream_lose_and_double_nothing(site: Site) -> None:
    made = school(7, 400, slots=SLOTS)
    fill_registry(site, made)
    third = len(made.sent) // 3
    worker = site.start()
    for wave in (made.sent[:third], made.sent[third : 2 * third]):
        before = await published_count(site)
        await site.publish(wave)
        async with asyncio.timeout(DEADLINE_S):
            while await published_count(site) < before + third // 4:
                assert worker.poll() is None, site.log()
                await asyncio.sleep(0.02)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker = site.start()
    await site.publish(made.sent[2 * third :])

    found = await settled(site, made.sent)

    check(made, found, site)
    check_standing(made, found)


@pytest.mark.parametrize(
    "failpoints",
    [
        "identity.after_pg_commit=kill@3",
        "identity.before_commit=kill@4",
        "identity.after_commit=kill@4",
    ],
)
async def test_a_kill_around_each_commit_loses_and_doubles_nothing(site: Site, failpoints: str) -> None:
    made = school(11, 150, slots=SLOTS)
    fill_registry(site, made)
    await site.publish(made.sent)
    for _ in range(3):
        worker = site.start(failpoints)
        await asyncio.to_thread(worker.wait, DEADLINE_S)
        assert worker.returncode == -signal.SIGKILL, site.log()
    site.start()

    found = await settled(site, made.sent)

    check(made, found, site)


async def test_an_outage_of_the_registry_holds_only_unknown_pupils_and_ends_by_itself(site: Site) -> None:
    known, unknown = pupil(1, "known"), pupil(2, "known")
    fill_registry(site, School([known, unknown]))
    site.start()
    first = make(known, 0, 1, slots=SLOTS)
    await site.publish([first])
    await settled(site, [first])
    site.registry.faults(down=True)
    during = [make(unknown, 1, 1, slots=SLOTS), make(known, 2, 2, slots=SLOTS)]
    await site.publish(during)

    async with asyncio.timeout(DEADLINE_S):
        while await published_count(site) < 2 or len(site.open_rows()) < 1:
            await asyncio.sleep(0.1)
    assert site.open_rows() == {during[0].event_id: ("waiting", "ID-01")}
    site.registry.faults()
    found = await settled(site, [first, *during])
    site.workers[-1].terminate()

    assert found.parked == {}
    assert len(found.published) == 3
    assert await asyncio.to_thread(site.workers[-1].wait, 20) == 0, site.log()
    assert "Mẫu" not in site.log()


async def test_above_the_high_water_mark_the_stream_holds_instead_of_parking_more(site: Site) -> None:
    pupils = [pupil(number, "known") for number in range(200, 350)]
    fill_registry(site, School(pupils))
    settings = site.path.read_text().replace("batch_records: 100", "batch_records: 5")
    site.path.write_text(settings.replace("high_water: 4000", "high_water: 40"))
    site.registry.faults(down=True)
    sent = [make(child, number, 1, slots=SLOTS) for number, child in enumerate(pupils)]
    site.start()
    await site.publish(sent)
    async with asyncio.timeout(DEADLINE_S):
        while len(site.open_rows()) < 40:
            await asyncio.sleep(0.1)

    await asyncio.sleep(2)  # long enough for ten more turns of every slot
    held = len(site.open_rows())
    site.registry.faults()
    found = await settled(site, sent)

    assert held <= 40 + SLOTS * 5
    assert len(found.published) == len(sent)


async def test_orders_release_after_a_fresh_look_up_and_discard_frees_the_lane(site: Site) -> None:
    child = pupil(3, "unknown")
    fill_registry(site, School([child]))
    site.start()
    sent = [
        make(child, 0, 1, slots=SLOTS, year="2022-2023"),
        make(child, 1, 1, slots=SLOTS, year="2023-2024", holds=("DQ-42",)),
        make(child, 2, 1, slots=SLOTS, year="2024-2025"),
    ]
    await site.publish(sent)
    found = await settled(site, sent)
    assert [found.parked[one.event_id][1] for one in sent] == ["ID-02", "GW-03", "GW-03"]

    admin(site, "/admin/pupils", {"pupils": [pupil(3, "known").entry()]})
    site.order(sent[0].event_id, "release")
    await until(site, lambda rows: rows == {sent[1].event_id: "DQ-42", sent[2].event_id: "GW-03"})
    site.order(sent[1].event_id, "discard")
    await until(site, lambda rows: rows == {})
    found = await account(site)

    check(School(sent=sent), found, site)
    assert [one["head"]["event_id"] for one in found.published] == [sent[0].event_id, sent[2].event_id]
    assert found.receipts[sent[1].event_id]["state"] == "discarded"
    assert {row[0] for row in site.rows("SELECT state FROM orders")} == {"done"}
    assert site.rows("SELECT count(*), count(DISTINCT request_id) FROM lookups WHERE purpose <> ''") == [(2, 2)]


async def test_both_links_confirm_a_pupil_and_every_look_up_is_in_the_audit(site: Site) -> None:
    """Known to both, to the registry alone, to the population database alone; and an outage of the latter holds."""
    both, registered, claimed, late = (pupil(number, "known") for number in range(10, 14))
    fill_registry(site, School([both, registered, late]))
    people = site.folder / "citizens.jsonl"
    people.write_text("\n".join(json.dumps(child.entry()) for child in (both, claimed, late)))
    database = Simulator("c06", site.folder, data=people)
    links = f"""links: {{population: {{url: "{database.url}/soap", credentials_file: "{database.credentials_file}",
  procedure_code: MAU-DVC, officer_code: mau.canbo, rate_per_s: 200}}}}, """
    site.path.write_text(site.path.read_text().replace("identity: {", "identity: {" + links))
    site.start()
    first = [make(child, number, 1, slots=SLOTS) for number, child in enumerate((both, registered, claimed))]
    await site.publish(first)
    found = await settled(site, first)
    database.faults(down=True)
    held = make(late, 3, 1, slots=SLOTS)
    await site.publish([held])
    await until(site, lambda rows: rows.get(held.event_id) == "ID-01")
    during = [*first, make(both, 4, 2, slots=SLOTS)]
    await site.publish(during[-1:])
    async with asyncio.timeout(DEADLINE_S):
        while await published_count(site) < 3:  # a known pupil is not behind the outage
            await asyncio.sleep(0.1)
    database.faults()
    after = await settled(site, [*during, held])
    database.stop()

    assert found.parked == {first[1].event_id: ("parked", "DQ-25")}
    assert {one["head"]["citizen_id"] for one in found.published} == {both.citizen_id, claimed.citizen_id}
    assert len(after.published) == 4
    audit = set(site.rows("SELECT endpoint, officer, purpose, verdict FROM lookups"))
    assert {
        ("registry", "GATEWAY", "HOCBA-GATEWAY", "confirmed"),
        ("registry", "GATEWAY", "HOCBA-GATEWAY", "not_found"),
        ("population:ndxp", "mau.canbo", "MAU-DVC", "confirmed"),
        ("population:ndxp", "mau.canbo", "MAU-DVC", "unconfirmed"),
    } <= audit
    assert {verdict for *_, verdict in audit} <= {"confirmed", "not_found", "unconfirmed", "unanswered"}
    rows = repr(site.rows("SELECT lookups::text FROM lookups")) + site.log() + database.log.read_text()
    assert not [word for child in (both, claimed, late) for word in (child.name, child.citizen_id) if word in rows]


async def test_known_pupils_flow_while_unknown_ones_drain_at_the_registrys_pace(site: Site) -> None:
    known, unknown = ([pupil(number, "known") for number in range(start, start + 60)] for start in (400, 500))
    fill_registry(site, School([*known, *unknown]))
    settings = site.path.read_text().replace(
        "registry: {", "registry: {rate_per_s: 20, counts: codes, batch_codes: 5, "
    )
    site.path.write_text(settings)
    site.start()
    first = [make(child, number, 1, slots=SLOTS) for number, child in enumerate(known)]
    await site.publish(first)
    await settled(site, first)
    second = [make(child, 1000 + number, 1, slots=SLOTS) for number, child in enumerate(unknown)]
    second += [make(child, 2000 + number, 2, slots=SLOTS) for number, child in enumerate(known)]
    await site.publish(second)
    found = await settled(site, [*first, *second])

    before = sum(len(unknown_before(child, unknown, found)) for child in known) / len(known)
    assert before < len(unknown) / SLOTS / 4  # of some 15 unknown ones a slot, though all were published earlier
    check(School(sent=[*first, *second]), found, site)
    assert len(found.published) == len(first) + len(second)
    asked = site.rows("SELECT count(*), count(DISTINCT lane) FROM lookups")
    assert asked == [(len(known) + len(unknown),) * 2]  # one look-up a pupil


async def test_records_under_a_temporary_code_wait_for_the_official_one_and_go_on_as_the_same_events(
    site: Site,
) -> None:
    official, lost = pupil(20, "known"), pupil(21, "unknown")
    fill_registry(site, School([official]))
    temporary, adrift = (replace(child, code=f"TAM-{child.citizen_id}") for child in (official, lost))
    site.start()
    sent = [
        make_temporary(temporary, 0, 1, YEARS[0]),
        make_temporary(temporary, 1, 1, YEARS[1]),
        make_temporary(adrift, 2, 1, YEARS[0]),
    ]
    await site.publish(sent)
    found = await settled(site, sent)
    assert [found.parked[one.event_id][1] for one in sent] == ["DQ-24", "GW-03", "DQ-24"]

    assert alias(site, (temporary.code, official.code), (adrift.code, lost.code)) == (0, (2, 0, [], 3))
    await until(site, lambda rows: rows == {sent[2].event_id: "ID-02"})
    later = make_temporary(temporary, 3, 2, YEARS[0])  # its software still has the old code
    await site.publish([later])
    async with asyncio.timeout(DEADLINE_S):
        while await published_count(site) < 3:
            await asyncio.sleep(0.1)
    found = await account(site)

    check(School(sent=[*sent, later]), found, site)
    records = [record_id(official.code, year, "GDPT") for year in YEARS]
    heads = {one["head"]["event_id"]: one["head"] for one in found.published}
    assert {event: (head["record_id"], head["version"]) for event, head in heads.items()} == {
        sent[0].event_id: (records[0], 1),
        sent[1].event_id: (records[1], 1),
        later.event_id: (records[0], 2),
    }
    assert {one["body"]["pupil_code"] for one in found.published} == {official.code}
    assert found.receipts[sent[2].event_id]["seq"] > 1  # the new reason is told after the old one
    assert alias(site, (temporary.code, official.code), (adrift.code, official.code)) == (1, (0, 1, [2], 0))
    ledger = repr(site.rows("SELECT aliases::text FROM aliases")) + site.log()
    assert not [code for code in (official.code, temporary.code, official.citizen_id) if code in ledger]


def make_temporary(child: Pupil, number: int, order: int, year: str) -> Sent:
    """A record as intake maps it under a temporary pupil code."""
    return make(child, number, order, slots=SLOTS, year=year, holds=("DQ-24",))


def alias(site: Site, *pairs: tuple[str, str]) -> tuple[int, tuple[int, int, list[int], int]]:
    """``hocba identity alias`` on *pairs*: its exit code and (new, known, conflicts, released)."""
    code, told = hocba(site, "alias", "-", *SIGNED, given="\n".join(",".join(pair) for pair in pairs))
    return code, (told["new"], told["known"], told["conflicts"], told["released"])


async def test_a_person_settles_a_difference_and_a_recheck_finds_who_was_not_there(site: Site) -> None:
    differing, missing = pupil(30, "differs"), pupil(31, "unknown")
    fill_registry(site, School([differing]))
    site.start()
    sent = [
        make(differing, 0, 1, slots=SLOTS, year=YEARS[0]),
        make(differing, 1, 1, slots=SLOTS, year=YEARS[1]),
        make(missing, 2, 1, slots=SLOTS),
    ]
    await site.publish(sent)
    found = await settled(site, sent)
    assert [found.parked[one.event_id][1] for one in sent] == ["ID-03", "GW-03", "ID-02"]

    _, listed = hocba(site, "review")
    assert [(one["code"], one["verdict"], one["differences"]) for one in listed] == [
        ("ID-03", "mismatch", "full_name:different")
    ]
    row = listed[0]["id"]
    code, shown = hocba(site, "show", row, "--by", "tester")
    ((candidate,), verdict) = shown["candidates"], shown["verdict"]
    assert (code, verdict) == (0, "mismatch")
    assert [(one["field"], one["how"], one["claimed"], one["registered"]) for one in candidate] == [
        ("full_name", ["different"], "N… M… T… 3…", "L… M… K…"),
        ("birth_date", [], "2010-…", "2010-…"),
        ("gender", [], "…", "…"),
        ("citizen_id", [], f"…{differing.citizen_id[-4:]}", f"…{differing.citizen_id[-4:]}"),
    ]
    assert hocba(site, "show", "identity:0:999", "--by", "tester")[0] == 1
    by_tester = site.rows("SELECT verdict FROM lookups WHERE endpoint = 'registry' AND officer = 'tester'")
    assert by_tester == [("mismatch",)]
    assert hocba(site, "confirm", row, "-", *SIGNED, given="12345")[0] == 1
    assert hocba(site, "confirm", "identity:0:999", "-", *SIGNED, given=differing.citizen_id)[0] == 1
    assert hocba(site, "confirm", row, "-", *SIGNED, given=differing.citizen_id) == (0, {"released": 1})
    await until(site, lambda rows: rows == {sent[2].event_id: "ID-02"})
    admin(site, "/admin/pupils", {"pupils": [pupil(31, "known").entry()]})
    assert hocba(site, "recheck", *SIGNED) == (0, {"ordered": 1})
    await until(site, lambda rows: rows == {})
    asked = site.rows("SELECT count(*) FROM lookups WHERE endpoint = 'registry'")
    later = make(differing, 3, 2, slots=SLOTS, year=YEARS[0])
    await site.publish([later])
    found = await settled(site, [*sent, later])

    check(School(sent=[*sent, later]), found, site)
    assert {one["head"]["citizen_id"] for one in found.published} == {differing.citizen_id, missing.citizen_id}
    assert site.rows("SELECT count(*) FROM lookups WHERE endpoint = 'registry'") == asked  # the decision holds
    assert site.rows("SELECT officer, purpose, verdict FROM lookups WHERE endpoint = 'person'") == [
        ("tester", "REVIEW", "confirmed")
    ]
    assert site.rows("SELECT decided_by, reason FROM verdicts WHERE decided_by <> ''") == [(SIGNED[3], SIGNED[1])]
    assert hocba(site, "review") == (0, [])

    gone = hocba(site, "erase", "-", *SIGNED, given=f"{differing.code}\n{missing.code}\n")
    assert gone == (0, {"pupils": 2, "verdicts": 2, "aliases": 0, "bodies": 3, "open_rows": 0})
    assert site.rows("SELECT count(*) FROM verdicts") == [(0,)]
    assert site.rows("SELECT count(*) FROM parked WHERE body IS NOT NULL OR claim_hash IS NOT NULL") == [(0,)]
    assert site.rows("SELECT ordered_by, count(*) FROM erasures GROUP BY 1") == [("tester", 2)]
    asked = site.rows("SELECT count(*) FROM lookups WHERE endpoint = 'registry'")[0][0]
    anew = make(missing, 4, 2, slots=SLOTS)
    await site.publish([anew])  # the running worker has forgotten, too
    await settled(site, [*sent, later, anew])
    assert site.rows("SELECT count(*) FROM lookups WHERE endpoint = 'registry'")[0][0] == asked + 1


async def test_what_the_pre_check_found_needs_no_look_up_when_the_records_come(site: Site) -> None:
    known, differing = pupil(40, "known"), pupil(41, "differs")
    fill_registry(site, School([known, differing]))
    path = site.folder / "pupils.csv"
    rows = [
        f"{one.code},{one.citizen_id},{one.name},{one.birth},{one.gender},01999001,05" for one in (known, differing)
    ]
    path.write_text("\n".join(["pupil_code,citizen_id,full_name,birth_date,gender,school_code,grade", *rows]))

    first, again = (hocba(site, "precheck", "--from", str(path)) for _ in range(2))
    site.start()
    sent = [make(child, number, 1, slots=SLOTS) for number, child in enumerate((known, differing))]
    await site.publish(sent)
    found = await settled(site, sent)

    assert (first[0], again[0], first[1]["cached"], again[1]["cached"]) == (0, 0, 0, 2)
    assert first[1]["schools"] == again[1]["schools"]
    counts = first[1]["schools"][0]
    assert (counts["school"], counts["pupils"], counts["confirmed"], counts["mismatch"]) == ("01999001", 2, 1, 1)
    assert [one["head"]["event_id"] for one in found.published] == [sent[0].event_id]
    assert found.parked == {sent[1].event_id: ("parked", "ID-03")}
    assert site.rows("SELECT count(*) FROM lookups") == [(2,)]


def unknown_before(child: Pupil, unknown: list[Pupil], found: Account) -> list[str]:
    """The unknown pupils who stand before the second version of *child* in the log of its slot."""
    ids = {other.citizen_id for other in unknown if other.lane % SLOTS == child.lane % SLOTS}
    heads = [one["head"] for one in found.published]
    place = next(n for n, head in enumerate(heads) if (head["citizen_id"], head["version"]) == (child.citizen_id, 2))
    return [head["citizen_id"] for head in heads[:place] if head["citizen_id"] in ids]
