"""The bulk pre-check: every pupil once, counted by school, and nothing asked twice."""

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import msgspec
import pytest
import typer

from gateway.config import Connectors
from gateway.edges.keys import Keys, load_keys, new_keys
from gateway.errors import GatewayError
from gateway.identity.verdicts import Claim
from gateway.ops.identity_precheck import at_pace, read_state, write_state
from gateway.record import MAPPED_TOPIC, vendor_topic
from gateway.sandbox.payloads import vnedu_message, vnedu_row
from gateway.sandbox.people import synthetic_pupil
from gateway.workers.identity_precheck import Chunk, Report, precheck
from gateway.workers.precheck_sources import NoSuchColumn, file_chunks, read_lines, reader_of
from tests.fakes.identity import FakeRegistry
from tests.fakes.identity_school import make, pupil
from tests.unit.identity.test_records import Consumed
from tests.unit.identity.test_resolver import CONFIG, MemoryStore, claim, person, running

ROOT = Path(__file__).resolve().parents[3]
HEADER = "pupil_code,citizen_id,full_name,birth_date,gender,school_code,grade,lớp"


def row(number: int, name: str = "Nguyễn Mẫu Ân", school: str = "01999001") -> str:
    return f"{claim(number).pupil_code},,{name},2012-05-03,1,{school},09,9A1"


FILE = [
    HEADER,
    row(1),
    row(2, "NGUYỄN MẪU ÂN"),
    row(3, "Lê Mẫu Khác", "01999002"),
    row(4, school="01999002"),
    "TAM-1,,Nguyễn Mẫu Ân,2012-05-03,1,01999002,09,",
    ",,Nguyễn Mẫu Ân,2012-05-03,1,01999002,09,",
]


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    new_keys(tmp_path / "keys.json")
    return load_keys(tmp_path / "keys.json")


def registry() -> FakeRegistry:
    return FakeRegistry({claim(n).pupil_code: [person(n)] for n in (1, 2, 3)}, most=1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pupils.csv"
    path.write_text("\n".join(FILE), "utf-8")
    return path


async def test_every_pupil_is_counted_by_school_and_verdict(keys: Keys, file: Path) -> None:
    told: list[int] = []
    async with running(registry(), MemoryStore()) as resolver:
        report = await precheck(resolver, keys, file_chunks(file, {}), Report(), lambda one: told.append(one.pupils))

    assert report.schools == {
        "01999001": {"confirmed": 1, "confirmed_with_differences": 1},
        "01999002": {"mismatch": 1, "not_found": 1, "temporary_code": 1, "unusable": 1},
    }
    assert (report.cached, report.unusable, report.unusable_lines, told) == (0, 1, [7], [6])
    assert report.place == {"line": 7}


async def test_a_second_run_asks_nobody_again(keys: Keys, file: Path) -> None:
    store, asked, cached = MemoryStore(), registry(), list[int]()
    for _ in range(2):
        async with running(asked, store) as resolver:
            chunks = file_chunks(file, {})
            cached.append((await precheck(resolver, keys, chunks, Report(), lambda _: None)).cached)

    assert len(asked.asked) == 4
    assert cached == [0, 4]


async def test_a_run_that_was_cut_off_goes_on_from_the_place_it_kept(keys: Keys, file: Path, tmp_path: Path) -> None:
    whole, path, source = Report(), tmp_path / "state.json", str(file)
    async with running(registry(), MemoryStore()) as resolver:
        await precheck(resolver, keys, file_chunks(file, {}), whole, lambda _: None)
    begun = read_state(path, source, afresh=False)
    async with running(registry(), MemoryStore()) as resolver:
        await precheck(resolver, keys, first_lines(file, 3), begun.report, lambda _: write_state(path, begun))

    again = read_state(path, source, afresh=False)
    asked = registry()
    async with running(asked, MemoryStore()) as resolver:
        await precheck(resolver, keys, file_chunks(file, again.report.place), again.report, lambda _: None)

    assert again.report == whole
    assert [code for codes in asked.asked for code in codes] == [claim(4).pupil_code]
    assert claim(1).pupil_code not in path.read_text()
    assert read_state(path, source, afresh=True).report == Report()
    file.write_text(file.read_text("utf-8") + "\n" + row(5), "utf-8")
    with pytest.raises(typer.Exit):  # another file than the one the place was kept for
        read_state(path, source, afresh=False)


async def first_lines(file: Path, count: int) -> AsyncIterator[Chunk]:
    """The first chunk, as it would be if chunks were so small."""
    async for chunk in file_chunks(file, {}):
        yield Chunk(chunk.lines[:count], {"line": chunk.lines[count - 1].number})


def test_a_file_without_a_column_is_refused_with_its_name() -> None:
    with pytest.raises(NoSuchColumn, match=r"^gender, grade$"):
        list(read_lines(["pupil_code,citizen_id,full_name,birth_date,school_code"]))


def test_a_topics_pupils_are_those_that_intake_would_pass_on(keys: Keys) -> None:
    config = msgspec.structs.replace(CONFIG, connectors=Connectors(path=str(ROOT / "connectors")))
    topic = vendor_topic("vnedu", "records")
    pupils = [synthetic_pupil(Random(number), level="secondary", number=number) for number in (1, 2)]
    rows = [vnedu_row(pupil, version=1) for pupil in pupils]
    broken = rows[1] | {"ma_hoc_sinh": ""}
    message = Consumed(vnedu_message([rows[0], rows[1], broken]), topic=topic, partition=0)
    sent = make(pupil(1, "known"), 5, 3, slots=4)
    cancel = make(pupil(2, "known"), 6, 3, slots=4, op="CANCEL")

    theirs = reader_of(config, keys, topic).lines([message])
    mapped = reader_of(config, keys, MAPPED_TOPIC).lines([Consumed(sent.value), Consumed(cancel.value)])

    assert [line.claim.pupil_code for line in theirs if line.claim] == [one.pupil_code for one in pupils]
    assert {line.school for line in theirs} == {one.school_code for one in pupils}
    assert [(line.school, line.grade) for line in mapped] == [("01999001", "05")]
    assert mapped[0].claim == Claim(
        sent.pupil.code, sent.pupil.citizen_id, sent.pupil.name, sent.pupil.birth, sent.pupil.gender
    )
    with pytest.raises(GatewayError, match=r"neither a file nor a topic.*gateway\.mapped"):
        reader_of(config, keys, "vendor.nobody.records")


def test_the_pace_is_a_share_of_every_links_rate() -> None:
    slow = at_pace(CONFIG, 0.1)

    assert slow.registry.rate_per_s == CONFIG.registry.rate_per_s * 0.1
    assert slow.identity.links["population"].rate_per_s == CONFIG.identity.links["population"].rate_per_s * 0.1
