"""What intake learns of messages before a transaction: each signed document once, the others for nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.config import ConfigFaults, Documents
from gateway.edges.kafka_types import Record
from gateway.edges.signature_pool import Asked
from gateway.errors import Problem
from gateway.intake import Connector
from gateway.intake.connector import compile_connector
from gateway.intake.given import NOTHING, Given
from gateway.record import vendor_topic
from gateway.workers.intake_given import NoTrustStore, Preparation, start_verifier, within
from tests.fakes.signers import store
from tests.unit.intake.loaded import vnedu, xml
from tests.unit.intake.test_language import files_with

BAD = Problem("DQ-42", "signature.leader", "expired")


def requiring(policy: str = "require") -> Connector:
    return compile_connector(
        files_with("hocba_xml_primary", ("connector.yaml", "signatures: ignore", f"signatures: {policy}"))
    )


@dataclass
class Taken:
    offset: int
    value: bytes | None = b"good"
    topic: str = vendor_topic("hocba-xml", "records")
    partition: int = 0
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()
    timestamp: int = 0

    def __post_init__(self) -> None:
        self.timestamp = 1_000 + self.offset


class Book:
    """Finds every document that begins with x not well signed; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    async def findings(self, documents: Sequence[Asked]) -> list[tuple[Problem, ...]]:
        self.asked += documents
        return [(BAD,) if asked.value.startswith(b"x") else () for asked in documents]


def preparation(book: Book | None) -> Preparation:
    return Preparation({"hocba-xml": requiring(), "vnedu": vnedu()}, book)


async def test_each_message_gets_its_own_findings() -> None:
    book = Book()
    given = await preparation(book).given([Taken(1), Taken(2, b"x"), Taken(3)])

    assert given == [NOTHING, Given(findings=(BAD,)), NOTHING]
    assert [asked.received_ms for asked in book.asked] == [1_001, 1_002, 1_003]
    assert {asked.policy for asked in book.asked} == {requiring().signed_by}


async def test_only_documents_of_connectors_that_ask_are_verified() -> None:
    book = Book()
    large = b"x" * (requiring().max_bytes + 1)
    other = Taken(4, b"x", topic=vendor_topic("vnedu", "records"))
    given = await preparation(book).given([other, Taken(5, None), Taken(6, b""), Taken(7, large)])

    assert given == [NOTHING] * 4
    assert book.asked == []


async def test_what_a_batch_gave_back_is_not_verified_again() -> None:
    book = Book()
    known = preparation(book)
    first = await known.given([Taken(1), Taken(2, b"x"), Taken(3)])
    again = await known.given([Taken(2, b"x"), Taken(3), Taken(4)])

    assert first[1:] == again[:2]
    assert [asked.received_ms for asked in book.asked] == [1_001, 1_002, 1_003, 1_004]


async def test_without_a_verifier_nothing_is_looked_at() -> None:
    assert await preparation(None).given([Taken(1, b"x")]) == [NOTHING]


def test_nobody_is_started_where_no_connector_asks() -> None:
    assert start_verifier(Documents(trust="nowhere"), [xml(), vnedu()]) is None


def test_required_signatures_without_a_trust_store_refuse_the_start() -> None:
    with pytest.raises(NoTrustStore, match=r"hocba_xml_primary; name the folder of the trust store"):
        start_verifier(Documents(), [requiring(), vnedu()])


def test_a_faulty_trust_store_refuses_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigFaults, match="holds no root certificate"):
        start_verifier(Documents(trust=str(tmp_path)), [requiring("warn")])


@pytest.mark.parametrize(("policy", "trusts"), [("require", True), ("warn", True), ("warn", False)])
def test_the_processes_are_started_for_connectors_that_ask(tmp_path: Path, policy: str, *, trusts: bool) -> None:
    verifier = start_verifier(Documents(trust=str(store(tmp_path)) if trusts else ""), [requiring(policy)])

    assert verifier is not None
    verifier.close()


def test_a_batch_takes_messages_up_to_its_size_and_at_least_one() -> None:
    records: list[Record] = [Taken(number, b"x" * 10) for number in range(5)]

    assert within(records, 25) == (records[:2], records[2:])
    assert within(records, 1) == (records[:1], records[1:])
    assert within(records, 1_000) == (records, [])
    assert within([], 5) == ([], [])
