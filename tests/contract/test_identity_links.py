"""What every link of the resolver's chain promises, on the fakes, and on the edges against their simulators."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.config import PopulationLink
from gateway.edges.identity_link import NOT_SENT, Duty, Link, RefusedLookup
from gateway.edges.population_registry import open_population
from gateway.edges.pupil_registry import PupilRegistry
from gateway.errors import GatewayError
from gateway.identity.chain import Finding, Known, People
from gateway.identity.verdicts import Claim
from gateway.outcomes import Unavailable
from gateway.sandbox.simulators.c06 import GRANT_PATH, PATH
from tests.fakes.identity import FakePopulation, FakeRegistry, Person
from tests.fakes.simulator import Simulator

AN = Claim("4899990201", "048209999921", "Nguyễn Mẫu Ân", "2009-08-19", "1")
NOBODY = Claim("4899990299", "048209999999", "Lê Mẫu Lạ", "2010-01-02", "2")
PERSON = Person("048209999921", "Nguyễn Mẫu Ân", "2009-08-19", "1")
KINDS = ("registry:fake", "registry:simulator", "confirm:fake", "confirm:simulator", "look_up:simulator")


@dataclass
class Site:
    """A link under test, and how to break what is behind it."""

    kind: str
    link: Link
    break_down: Callable[[], None]

    @property
    def confirms(self) -> bool:
        return self.kind.startswith("confirm")


def population_link(simulator: Simulator, **more: Any) -> PopulationLink:
    settings: dict[str, Any] = {
        "url": simulator.url + PATH,
        "credentials_file": str(simulator.credentials_file),
        "procedure_code": "MAU-DVC",
        "officer_code": "mau.canbo",
        "timeout_s": 5.0,
        "headers": {"X-Road-Client": "VN/MAU/GATEWAY"},
    }
    return PopulationLink(**(settings | more))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "pupils.jsonl"
    row = {"pupil_code": AN.pupil_code, "citizen_id": PERSON.citizen_id, "full_name": PERSON.full_name}
    path.write_bytes(msgspec.json.encode(row | {"birth_date": PERSON.birth_date, "gender": PERSON.gender}) + b"\n")
    return path


@pytest.fixture
def start(tmp_path: Path, data: Path) -> Iterator[Callable[..., Simulator]]:
    started: list[Simulator] = []

    def run(name: str, **options: object) -> Simulator:
        started.append(Simulator(name, tmp_path, options=options, data=data))
        return started[-1]

    yield run
    for simulator in started:
        simulator.stop()


@pytest.fixture(params=KINDS)
async def site(request: pytest.FixtureRequest, start: Callable[..., Simulator]) -> AsyncIterator[Site]:
    made = _site(request.param, start)
    yield made
    await made.link.aclose()


def _site(kind: str, start: Callable[..., Simulator]) -> Site:
    what = kind.partition(":")[0]
    if kind == "registry:fake":
        registry = FakeRegistry({AN.pupil_code: [PERSON]}, reason="outage")
        return Site(kind, registry, lambda: setattr(registry, "down", True))
    if kind == "confirm:fake":
        population = FakePopulation({AN.citizen_id or "": PERSON})
        return Site(kind, population, lambda: setattr(population, "down", True))
    simulator = start("registry" if what == "registry" else "c06")
    if what == "registry":
        duty = Duty("HOCBA-MAU", "mau.canbo", "registry")
        edge: Link = PupilRegistry(simulator.url, simulator.credentials["token"], duty)
    else:
        code = {"confirm": "confirm", "look_up": "look_up"}[what]
        edge = open_population(population_link(simulator, operation=code))
    return Site(kind, edge, lambda: simulator.faults(down=True))


async def ask(site: Site, question: Claim) -> Finding:
    found = await site.link.ask([question], uuid.uuid4())
    assert not isinstance(found, Unavailable | RefusedLookup), found
    assert len(found) == 1
    return found[0]


async def test_a_known_person_is_found_or_confirmed(site: Site) -> None:
    found = await ask(site, AN)

    if site.confirms:
        assert found == Known(True)
    else:
        assert isinstance(found, People)
        assert [(one.citizen_id, one.full_name, one.birth_date, one.gender) for one in found.candidates] == [
            (PERSON.citizen_id, PERSON.full_name, PERSON.birth_date, PERSON.gender)
        ]


async def test_an_unknown_person_is_an_answer_and_no_error(site: Site) -> None:
    assert await ask(site, NOBODY) in (Known(False), People(()))


async def test_a_request_takes_as_many_questions_as_it_says_and_answers_in_their_order(site: Site) -> None:
    questions = [NOBODY, AN, NOBODY][: min(3, site.link.most)]
    found = await site.link.ask(questions, uuid.uuid4())

    assert not isinstance(found, Unavailable | RefusedLookup)
    assert len(found) == len(questions)
    if site.link.most >= 3:
        assert [bool(one.candidates) if isinstance(one, People) else one.known for one in found] == [False, True, False]


async def test_a_neighbour_that_is_down_is_to_be_asked_again(site: Site) -> None:
    site.break_down()

    assert isinstance(await site.link.ask([AN], uuid.uuid4()), Unavailable)


async def test_every_link_says_why_on_whose_behalf_and_where_it_asks(site: Site) -> None:
    duty = site.link.duty

    assert all((duty.purpose, duty.officer, duty.endpoint))


async def test_nothing_of_a_person_is_printed(site: Site) -> None:
    text = f"{await site.link.ask([AN], uuid.uuid4())!r} {site.link.duty!r}"

    assert "Mẫu" not in text
    assert "9999" not in text


# --- the population database alone ------------------------------------------------------------------------------------


async def test_a_person_is_confirmed_by_folded_name_and_partial_birth_and_by_nothing_less(
    start: Callable[..., Simulator],
) -> None:
    link = open_population(population_link(start("c06"), name_form="upper_bare"))
    questions = {
        "capitals without diacritics": (AN, True),
        "year only": (replace(AN, birth="2009"), True),
        "month is asked as its year": (replace(AN, birth="2009-08"), True),
        "other name": (replace(AN, full_name="Lê Mẫu Ân"), False),
        "other day": (replace(AN, birth="2009-08-20"), False),
        "other ID": (replace(AN, citizen_id="048209999922"), False),
    }

    found = {name: await link.ask([question], uuid.uuid4()) for name, (question, _) in questions.items()}
    await link.aclose()

    assert found == {name: [Known(known)] for name, (_, known) in questions.items()}


async def test_a_request_id_is_taken_once_even_after_a_kill(start: Callable[..., Simulator]) -> None:
    simulator = start("c06")
    link, again = open_population(population_link(simulator)), uuid.uuid4()
    assert await link.ask([AN], again) == [Known(True)]
    assert await link.ask([AN], again) == RefusedLookup("soap-client")
    await link.aclose()
    simulator.kill()
    simulator.start()

    link = open_population(population_link(simulator))
    assert await link.ask([AN], again) == RefusedLookup("soap-client")
    assert await link.ask([AN], uuid.uuid4()) == [Known(True)]
    await link.aclose()


@pytest.mark.parametrize(
    "wrong",
    [{"timestamp_unit": "s"}, {"hashed_url": "http://proxy.invalid/soap"}],
    ids=lambda given: next(iter(given)),
)
async def test_a_wrong_authorization_is_no_answer_about_the_person(
    start: Callable[..., Simulator], wrong: dict[str, str]
) -> None:
    link = open_population(population_link(start("c06"), **wrong))
    found = await link.ask([AN], uuid.uuid4())
    await link.aclose()

    assert found == Unavailable(None, "HTTP-401")
    assert "HTTP-401" not in NOT_SENT


async def test_unit_of_time_and_hashed_url_are_configuration(start: Callable[..., Simulator]) -> None:
    provider = "http://c06.invalid/service"
    link = open_population(
        population_link(start("c06", timestamp_unit="s", hashed_url=provider), timestamp_unit="s", hashed_url=provider)
    )
    found = await link.ask([AN], uuid.uuid4())
    await link.aclose()

    assert found == [Known(True)]


HOPS: dict[str, dict[str, Any]] = {
    "ndxp": {"auth": "timestamp_basic", "headers": {"X-Road-Client": "VN/MAU/GATEWAY"}},
    "lgsp": {"auth": "api_key", "headers": {}, "soap_action": "XacThucThongTinCongDan"},
    "ndop": {"auth": "oauth_client", "access_token_header": "X-Access-Token"},
}


@pytest.mark.parametrize("transport", HOPS)
async def test_a_hop_is_replaced_by_configuration_alone(start: Callable[..., Simulator], transport: str) -> None:
    settings = HOPS[transport] | {"transport": transport}
    simulator = start("c06", auth=settings["auth"], token_life_s=600)
    token_url = {"token_url": simulator.url + GRANT_PATH} if transport == "ndop" else {}
    link = open_population(population_link(simulator, **settings, **token_url))
    found = [await link.ask([AN], uuid.uuid4()), await link.ask([NOBODY], uuid.uuid4())]
    await link.aclose()
    other = next(name for name in HOPS if HOPS[name]["auth"] != settings["auth"] and name != "ndop")
    stranger = open_population(population_link(simulator, **HOPS[other]))
    refused = await stranger.ask([AN], uuid.uuid4())
    await stranger.aclose()

    assert found == [[Known(True)], [Known(False)]]
    assert link.duty.endpoint == f"population:{transport}"
    assert refused == Unavailable(None, "HTTP-401")
    assert simulator.summary().get("tokens", 0) == (1 if transport == "ndop" else 0)  # one token for both


async def test_a_token_that_is_not_given_or_has_ended_is_no_answer_about_the_person(
    start: Callable[..., Simulator],
) -> None:
    simulator = start("c06", auth="oauth_client", token_life_s=0.4)
    ndop = HOPS["ndop"] | {"token_url": simulator.url + GRANT_PATH}
    link = open_population(population_link(simulator, **ndop))
    first = await link.ask([AN], uuid.uuid4())
    await asyncio.sleep(0.5)
    second = await link.ask([AN], uuid.uuid4())
    simulator.faults(down=True)
    await asyncio.sleep(0.5)
    without = await link.ask([AN], uuid.uuid4())
    await link.aclose()

    assert (first, second) == ([Known(True)], [Known(True)])
    assert simulator.summary()["tokens"] == 2
    assert without == Unavailable(None, "token")
    assert "token" in NOT_SENT
    with pytest.raises(GatewayError, match="needs a token_url"):
        open_population(population_link(simulator, **HOPS["ndop"]))


async def test_a_fault_of_the_server_and_a_rate_limit_are_to_be_asked_again(start: Callable[..., Simulator]) -> None:
    simulator = start("c06", rate_per_s=2)
    link = open_population(population_link(simulator))
    simulator.faults(p_soap_fault=1.0)
    busy = await link.ask([AN], uuid.uuid4())
    simulator.faults()
    limited = [await link.ask([AN], uuid.uuid4()) for _ in range(3)]
    await link.aclose()

    assert busy == Unavailable(None, "HTTP-500")
    assert Unavailable(1.0, "HTTP-429") in limited


async def test_what_cannot_be_asked_is_not_sent(start: Callable[..., Simulator]) -> None:
    simulator = start("c06")
    link = open_population(population_link(simulator))
    for question in (
        replace(AN, citizen_id=None),
        replace(AN, birth=""),
        replace(AN, full_name="  "),
        replace(AN, full_name="Nguyễn Mẫu \x07"),
    ):
        assert await link.ask([question], uuid.uuid4()) == RefusedLookup("incomplete")
    before = simulator.summary().get("lookups", 0)
    await link.ask([AN], uuid.uuid4())
    await link.aclose()

    assert (before, simulator.summary()["lookups"]) == (0, 1)
