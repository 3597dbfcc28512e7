"""Nobody's name or number stands anywhere but in payloads, after a whole run with every kind of trouble in it.

The run meets each history and mess of the synthetic vendors, faults of all neighbours, and in two stages a record at
which the stage dies four times by an exception whose text is the record itself.  The same search then finds leaks
planted at each kind of place: what finds nothing else would prove nothing.
"""

import asyncio
import base64
import json
import subprocess
import sys
import unicodedata
from pathlib import Path
from random import Random
from urllib.parse import quote, quote_plus

import psycopg
import pytest
from aiokafka import AIOKafkaProducer

from gateway.record import NATIONAL_TOPIC, QUARANTINE_TOPIC
from gateway.sandbox.demo_setup import SLOTS
from gateway.sandbox.histories import Wave
from gateway.sandbox.messes import Plant
from gateway.sandbox.people import Pupil, synthetic_pupil
from gateway.sandbox.vendors import Item, write_script
from tests.e2e.canary import Place, Planted, files, kafka, leaks, ledger
from tests.e2e.installation import Installation, installation
from tests.fakes.identity_pairs import unaccented
from tests.servers import FULL

RECORDS = 3_000 if FULL else 150
SEED = 4
MOST_PLANTED = 400 if FULL else 60
STAGES_THAT_DIE = ("identity", "delivery")
COMMANDS = (
    ("parked", "list", "--json", "--limit", "500"),
    ("rejected", "list", "--json", "--limit", "500"),
    ("identity", "review", "--json"),
    ("tail", "--json", "--limit", "200"),
)


def items() -> list[Item]:
    script = write_script(RECORDS, SEED, SLOTS)
    return [item for wave in (Wave.MAIN, Wave.LATE) for message in script.waves[wave] for item in message.items]


def planted(sent: list[Item]) -> list[Item]:
    """One item of each plant and mess first, then others."""
    kinds = {(item.step.plant, item.mess, item.pupil.level): item for item in sent}
    chosen = {item.pupil.pupil_code: item for item in kinds.values()}
    chosen |= {item.pupil.pupil_code: item for item in sent[: max(0, MOST_PLANTED - len(chosen))]}
    return list(chosen.values())


def person(pupil: Pupil) -> Planted:
    school = pupil.school
    return Planted(
        names=(pupil.full_name, pupil.father_name, pupil.mother_name, school.leader),
        numbers=(pupil.pupil_code, pupil.citizen_id, school.leader_id),
    )


def killers(sent: list[Item]) -> dict[str, str]:
    """A clean record of a pupil with a single event for each stage that dies: stage → the text that kills it."""
    events: dict[str, int] = {}
    for item in sent:
        events[item.pupil.pupil_code] = events.get(item.pupil.pupil_code, 0) + 1
    single = [
        item.pupil.pupil_code
        for item in sent
        if item.step.plant is Plant.CLEAN and events[item.pupil.pupil_code] == 1 and item.pupil.level == "primary"
    ]
    return dict(zip(STAGES_THAT_DIE, single, strict=False))


def hocba(run: Installation, *words: str) -> Place:
    command = [sys.executable, "-c", "from gateway.ops.cli import main; main()", *words]
    done = subprocess.run([*command, "--config", str(run.layout.config)], capture_output=True, check=False)
    assert done.stdout, done.stderr
    return Place(f"command {' '.join(words[:2])}", done.stdout + done.stderr)


async def left_behind(run: Installation) -> list[Place]:
    """All places of the run that are written down."""
    found = [*files(run.layout.folder), *files(run.layout.state, pattern="*.json")]
    return [*found, *await kafka(run.config), *await asyncio.to_thread(ledger, run.config.ledger.url)]


async def told_to_operators(run: Installation) -> list[Place]:
    """What the commands print, all at once and about three events."""
    events = [event.event_id for event in run.publisher.sent[:: max(1, len(run.publisher.sent) // 3)]]
    asked = (*COMMANDS, *(("explain", event, "--json") for event in events))
    return [await asyncio.to_thread(hocba, run, *words) for words in asked]


async def plant(run: Installation, pupil: Pupil) -> set[str]:
    """A leak at each kind of place; where they stand."""
    name, number = pupil.full_name, pupil.citizen_id
    async with AIOKafkaProducer(bootstrap_servers=run.config.kafka.bootstrap_servers) as producer:
        await producer.send_and_wait(QUARANTINE_TOPIC, b"", partition=0, headers=[("dlt-reason", name.encode())])
        await producer.send_and_wait(NATIONAL_TOPIC, b"", key=number.encode(), partition=0)
        await producer.send_and_wait("gateway.drift", unicodedata.normalize("NFD", name).encode(), partition=0)
    with psycopg.connect(run.config.ledger.url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO orders (stage, slot, lane, topic_offset, action, reason, ordered_by) "
            "VALUES ('none', 0, 0, 0, 'discard', %s, 'x')",
            (name.upper(),),
        )
        connection.execute("INSERT INTO aliases VALUES (1, %s, 'k1', 'x', 'x')", (f"plain {number}".encode(),))
    with (run.layout.state / "logs" / "identity-1.log").open("ab") as log:
        log.write(f'{{"event": "no such pupil", "id": {int(number)}}}\n'.encode())
    return {
        f"topic {QUARANTINE_TOPIC}", f"topic {NATIONAL_TOPIC}", "topic gateway.drift",
        "table orders", "table aliases", "file identity-1.log",
    }  # fmt: skip


def test_a_person_is_sought_in_every_form() -> None:
    pupil = synthetic_pupil_of(3)
    name, number = pupil.full_name, pupil.citizen_id
    texts = [
        name, unicodedata.normalize("NFD", name), name.upper(), name.lower(), unaccented(name),
        unaccented(name).upper(),
        repr(name.encode()), name.encode().hex(), ascii(name), json.dumps({"x": name}), quote(name), quote_plus(name),
        base64.b64encode(name.encode()).decode(), number, str(int(number)), f"TAM-{number}", f"({number})=(x)",
    ]  # fmt: skip
    places = [Place(str(number), f"a {text} b".encode()) for number, text in enumerate(texts)]

    assert leaks(places, [person(pupil)]).keys() == {str(number) for number in range(len(texts))}
    beside = Place("beside", f"1{number}2 {pupil.school.name}".encode())
    assert leaks([beside], [person(pupil)]) == {}


def synthetic_pupil_of(number: int) -> Pupil:
    return synthetic_pupil(Random(number), level="primary", number=number)


@pytest.mark.proof
@pytest.mark.timeout(1800 if FULL else 600)
async def test_a_whole_run_leaves_nobodys_name_or_number_outside_of_payloads(tmp_path: Path) -> None:
    sent = items()
    chosen, deadly = planted(sent), killers(sent)
    people = [person(item.pupil) for item in chosen]
    environment = {
        "HOCBA_SANDBOX": "1",
        "HOCBA_FAILPOINTS": ";".join(f"{stage}.record=raiser:{text}" for stage, text in deadly.items()),
    }
    async with installation(tmp_path, records=RECORDS, seed=SEED, environment=environment) as run:
        await run.publish(over_s=2.0)
        await run.watch.rest(lambda _: False, within_s=400)
        deaths = [death.worker for death in run.workers.deaths]
        found = [*await left_behind(run), *await told_to_operators(run)]
        clean = leaks(found, people)
        expected = await plant(run, chosen[0].pupil)
        caught = leaks(await left_behind(run), people)

    print(f"{len(found)} places, {sum(len(place.content) for place in found):,} bytes, {len(people)} people: {clean}")
    print(f"deaths: {sorted((name, deaths.count(name)) for name in set(deaths))}")
    assert clean == {}
    assert caught.keys() == expected
    assert {place.where.partition(" ")[0] for place in found} == {"file", "topic", "table", "command"}
    for worker in ("identity-1", "deliver-sector-1", "deliver-population-1"):
        assert deaths.count(worker) >= 4
