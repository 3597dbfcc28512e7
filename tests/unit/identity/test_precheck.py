"""The bulk pre-check: every pupil once, counted by school, and nothing asked twice."""

import pytest

from gateway.ops.identity_precheck import at_pace
from gateway.workers.identity_precheck import NoSuchColumn, precheck, read_lines
from tests.fakes.identity import FakeRegistry
from tests.unit.identity.test_resolver import CONFIG, MemoryStore, claim, person, running

KEY = b"k" * 32
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


def registry() -> FakeRegistry:
    return FakeRegistry({claim(n).pupil_code: [person(n)] for n in (1, 2, 3)}, most=1)


async def test_every_pupil_is_counted_by_school_and_verdict() -> None:
    told: list[int] = []
    async with running(registry(), MemoryStore()) as resolver:
        report = await precheck(resolver, KEY, read_lines(FILE), told.append)

    assert {school: dict(counts) for school, counts in report.schools.items()} == {
        "01999001": {"confirmed": 1, "confirmed_with_differences": 1},
        "01999002": {"mismatch": 1, "not_found": 1, "temporary_code": 1, "unusable": 1},
    }
    assert (report.cached, report.unusable, told) == (0, [7], [6])


async def test_a_second_run_asks_nobody_again() -> None:
    store, asked, cached = MemoryStore(), registry(), list[int]()
    for _ in range(2):
        async with running(asked, store) as resolver:
            cached.append((await precheck(resolver, KEY, read_lines(FILE), lambda _: None)).cached)

    assert len(asked.asked) == 4
    assert cached == [0, 4]


def test_a_file_without_a_column_is_refused_with_its_name() -> None:
    with pytest.raises(NoSuchColumn, match=r"^gender, grade$"):
        list(read_lines(["pupil_code,citizen_id,full_name,birth_date,school_code"]))


def test_the_pace_is_a_share_of_every_links_rate() -> None:
    slow = at_pace(CONFIG, 0.1)

    assert slow.registry.rate_per_s == CONFIG.registry.rate_per_s * 0.1
    assert slow.identity.links["population"].rate_per_s == CONFIG.identity.links["population"].rate_per_s * 0.1
