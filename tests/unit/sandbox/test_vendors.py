"""The synthetic vendors: repeatable, in order, and every plant is what it says when the real connectors read it."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.edges.connector_files import load_connectors
from gateway.intake import Connector
from gateway.intake.outcome import Items, Mapped, Rejected, RejectedWhole
from gateway.record import Position, slot_of
from gateway.sandbox.histories import HISTORIES, Wave
from gateway.sandbox.messes import Plant
from gateway.sandbox.spoil import BROKEN_ROWS, BROKEN_XML
from gateway.sandbox.vendors import Item, Message, Script, write_script

RECORDS = 400
SLOTS = 4
NOW_MS = 1_780_000_000_000
SETTLED_BY_LOOKUP = {"DQ-18", "DQ-19"}


@pytest.fixture(scope="module")
def script() -> Script:
    return write_script(RECORDS, seed=7, slots=SLOTS)


@pytest.fixture(scope="module")
def connectors() -> dict[str, Connector]:
    loaded = load_connectors(Path(__file__).parents[3] / "connectors")
    return {connector.vendor: connector for connector in loaded.values()}


def messages(script: Script) -> Iterator[Message]:
    for wave in Wave:
        yield from script.waves[wave]


def items(script: Script) -> Iterator[tuple[Message, Item]]:
    for message in messages(script):
        for item in message.items:
            yield message, item


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(script: Script) -> None:
    again = write_script(RECORDS, seed=7, slots=SLOTS)
    other = write_script(RECORDS, seed=8, slots=SLOTS)

    assert [message.render() for message in messages(script)] == [message.render() for message in messages(again)]
    assert script.registry == again.registry
    assert script.registry != other.registry


def test_at_least_the_asked_number_is_sent_before_the_repair_and_every_history_occurs(script: Script) -> None:
    sent = sum(script.events(wave) for wave in (Wave.MAIN, Wave.LATE, Wave.DOWN))

    assert sent >= RECORDS
    assert {item.history.name for _, item in items(script)} == {history.name for history in HISTORIES}
    assert {item.step.plant for _, item in items(script)} == set(Plant)


def test_a_history_goes_through_one_partition_in_its_order(script: Script) -> None:
    seen: dict[str, list[tuple[int, str]]] = {}
    for message, item in items(script):
        seen.setdefault(item.pupil.pupil_code, []).append((message.partition, str(item.step)))
        assert message.partition == slot_of(message.partition, SLOTS)
    steps = {item.pupil.pupil_code: [str(step) for step in item.history.steps] for _, item in items(script)}

    assert all(len({partition for partition, _ in told}) == 1 for told in seen.values())
    for pupil, told in seen.items():
        by_wave = sorted(steps[pupil], key=lambda step: [step.find(f"<Wave.{w.name}") < 0 for w in Wave])
        assert [step for _, step in told] == by_wave


def test_nobody_real_is_in_it(script: Script) -> None:
    assert all("Mẫu" in entry["full_name"] for entry in (*script.registry, *script.mended))


def test_the_connectors_judge_every_plant_as_it_was_meant(script: Script, connectors: dict[str, Connector]) -> None:
    wrong: Counter[str] = Counter()
    for number, message in enumerate(messages(script)):
        connector = connectors[message.items[0].vendor]
        outcome = connector.process(message.render(), Position(message.topic, message.partition, number), NOW_MS)
        match outcome:
            case RejectedWhole(problems):
                fine = message.items[0].step.plant is Plant.UNREADABLE and problems[0].code == "DQ-45"
                wrong[f"{message.items[0].step}"] += not fine
            case Items(read, _):
                for item, told in zip(message.items, read, strict=True):
                    wrong[f"{item.step} {item.mess} {item.vendor}: {told}"] += not as_meant(item, told)

    assert [what for what, count in wrong.items() if count] == []


def as_meant(item: Item, told: object) -> bool:
    plant = item.step.plant
    match told:
        case Mapped(record_id=record, holds=holds):
            codes = {hold.code for hold in holds}
            held = bool(codes - SETTLED_BY_LOOKUP)
            return record == item.record_id and held == (plant is Plant.HELD) and plant is not Plant.BROKEN
        case Rejected(problems=problems):
            codes = {problem.code for problem in problems}
            meant = "DQ-28" if plant is Plant.FOREIGN_SCHOOL else item.mess
            return plant in {Plant.BROKEN, Plant.FOREIGN_SCHOOL} and meant in codes
        case _:
            return False


def test_every_way_to_break_a_record_occurs() -> None:
    script = write_script(6_000, seed=3, slots=SLOTS)
    used = {(item.pupil.level, item.mess) for _, item in items(script) if item.step.plant is Plant.BROKEN}

    assert used == {("secondary", mess) for mess in BROKEN_ROWS} | {("primary", mess) for mess in BROKEN_XML}
