"""The operator's commands against the real ledger and the real topics, as a person would call them."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from typer.testing import CliRunner, Result

from gateway.config import load_config
from gateway.edges import operator_ledger, tower_ledger
from gateway.edges.operator_ledger import OpenWork, StateCount
from gateway.national import codec
from gateway.ops.cli import app
from gateway.quarantine.fates import fates, instant
from gateway.record import MAPPED_TOPIC, NATIONAL_TOPIC, Position, event_id, vendor_topic
from tests.fakes.receipts import AT_MS, problem, receipt

pytestmark = pytest.mark.servers

CITIZEN, NAME = "001315000017", "Nguyễn Thị Mẫu"
TARGETS = ["population", "sector"]
RECORD = "5f0c7a54-0000-5000-8000-000000000001"
HASH = "ab" * 32
BODY = '{"hoTen": "Nguyễn Thị Mẫu", "cccd": "001315000017"}'.encode()


@dataclass(frozen=True)
class World:
    """What the tests of this file find: one delivered and refused event, one held by identity, one rejected."""

    vendor: str
    config: Path
    url: str
    event: str
    held_event: str
    rejected_event: str
    parked_id: str
    behind_id: str
    held_id: str
    source: Position
    rejected_at: Position

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments, "--config", str(self.config)], catch_exceptions=False)

    def json(self, *arguments: str, code: int = 0) -> Any:
        result = self.run(*arguments, "--json")
        assert result.exit_code == code, result.output
        assert not {CITIZEN, NAME, "Mẫu"} & set(result.stdout.replace('"', " ").split())
        return json.loads(result.stdout)


CONFIG = """
slots: 1
kafka: {{bootstrap_servers: "{kafka}", group_prefix: {prefix}, replication_factor: 1, min_insync_replicas: 1}}
ledger: {{url: "{url}"}}
keys_file: unused
state_dir: unused
registry: {{url: "http://unused", credentials_file: unused}}
targets:
  sector: {{contract: unused, url: "http://unused", credentials_file: unused}}
  population: {{contract: unused, url: "http://unused", credentials_file: unused}}
"""


def head(vendor: str, event: str, source: Position, **more: Any) -> dict[str, Any]:
    return {
        "event_id": event, "record_id": RECORD, "lane": "00000000000000ff", "vendor": vendor, "connector": "mau@1",
        "vendor_ref": "HB-1", "event_type": "CANCEL", "source_order": {"epoch": 1, "order": 7},
        "school_code": "00000001", "school_year": "2025-2026", "programme": "GDPT", "grade": "3",
        "occurred_at": AT_MS, "content_hash": HASH, "warnings": [], "cause": None,
        "source": {
            "topic": source.topic, "partition": source.partition, "offset": source.offset, "index": 0,
            "timestamp": AT_MS,
        },
        **more,
    }  # fmt: skip


def told(vendor: str, number: int, state: str, source: Position, **more: Any) -> dict[str, Any]:
    at = {"topic": source.topic, "partition": source.partition, "offset": source.offset, "index": 0}
    one = receipt(number, state, vendor=vendor, event_id=event_id(source, 0), **more)
    return one | {"source": at | {"timestamp": AT_MS}}


PARK = """
INSERT INTO parked (stage, target, slot, topic_offset, lane, record_id, event_id, vendor, school_year, version,
                    content_hash, op, state, code, field, owner, target_code, attempts)
VALUES (%s, %s, 0, %s, 255, %s, %s, %s, 2025, 2, '\\xab', 'UPDATE', 'parked', %s, 'birth_date', 'school', %s, 1)
"""

DELIVER = """
INSERT INTO deliveries (school_year, target, record_id, version, slot, lane, topic_offset, event_id, vendor,
                        content_hash, op, state, packet, attempts, epoch)
VALUES (2025, 'population', %s, 2, 0, 255, %s, %s, %s, '\\xab', 'NEW', 'accepted', NULL, 3, 1)
"""


@pytest.fixture
def world(bootstrap_servers: str, ledger_url: str, prefix: str, tmp_path: Path) -> World:
    config = tmp_path / "gateway.yaml"
    config.write_text(CONFIG.format(kafka=bootstrap_servers, url=ledger_url, prefix=prefix), "utf-8")
    return asyncio.run(_build(prefix, config, bootstrap_servers, ledger_url))


async def _build(vendor: str, config: Path, kafka: str, url: str) -> World:
    records, rejected, receipts = (vendor_topic(vendor, kind) for kind in ("records", "rejected", "receipts"))
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    known = set(await admin.list_topics())
    names = [name for name in (records, rejected, receipts, MAPPED_TOPIC, NATIONAL_TOPIC) if name not in known]
    await admin.create_topics([NewTopic(name, 1, 1) for name in names])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()

    async def send(topic: str, value: bytes, **more: Any) -> Position:
        sent = await producer.send_and_wait(topic, value, partition=0, **more)
        return Position(topic, 0, sent.offset)

    first, second, third = [await send(records, BODY, timestamp_ms=AT_MS) for _ in range(3)]
    event, held, refused = (event_id(position, 0) for position in (first, second, third))
    version = head(vendor, event, first, version=2, citizen_id=CITIZEN, verdict="confirmed")
    rest = codec.encode_body(None) + codec.encode_evidence(None)
    record_headers = [
        ("ce_id", event.encode()), ("ce_source", f"/vendors/{vendor}".encode()), ("op", b"CANCEL"), ("version", b"2"),
        ("record_id", RECORD.encode()), ("school_year", b"2025-2026"),
    ]  # fmt: skip
    national = await send(NATIONAL_TOPIC, codec.encode_record(version, rest), headers=record_headers)
    claim = {
        "pupil_code": "0123456789", "temporary_code": False, "citizen_id": CITIZEN, "citizen_id_candidate": None,
        "full_name": NAME, "birth": "2015-01-01", "gender": "2", "nationality": "VN",
    }  # fmt: skip
    more = {"claim": claim, "holds": [{"code": "DQ-19", "field": "citizen_id", "rule": ""}], "vendor_event_id": None}
    value = codec.encode_mapped(
        head(vendor, held, second, traceparent=None, **more), codec.encode_body(None), codec.encode_evidence(None)
    )
    mapped = await send(MAPPED_TOPIC, value)
    kept = await send(rejected, BODY)
    log = [
        told(vendor, 1, "accepted", first, target="population", vendor_event_id="ce-77", version=2, record_id=RECORD),
        told(vendor, 1, "parked", first, target="sector", problems=[problem("TG-02", field="birth_date")], version=2),
        told(vendor, 2, "parked", second, stage="identity", problems=[problem("ID-03", field="full_name")]),
        told(vendor, 3, "rejected", third, stage="intake", problems=[problem("DQ-01", "reject")]),
    ]
    for one in log:
        await send(receipts, codec.encode_receipt(one), key=one["event_id"].encode(), timestamp_ms=AT_MS + 1)
    await producer.stop()

    rejection = tower_ledger.Rejection(third, vendor, "intake", "DQ-01", "", "*", len(BODY), kept, instant(AT_MS))
    async with operator_ledger.opened(url) as pool:
        await tower_ledger.project(pool, [fate for one in log for fate in fates(one, TARGETS)], [rejection])
        async with pool.connection() as connection:
            place = national.offset
            await connection.execute(PARK, ("delivery", "sector", place, RECORD, event, vendor, "TG-02", "HB-501"))
            later = event_id(first, 1)
            await connection.execute(PARK, ("delivery", "sector", place + 1, RECORD, later, vendor, "GW-03", ""))
            await connection.execute(PARK, ("identity", "", mapped.offset, RECORD, held, vendor, "ID-03", ""))
            await connection.execute(DELIVER, (RECORD, place, event, vendor))
    return World(
        vendor=vendor,
        config=config,
        url=url,
        event=event,
        held_event=held,
        rejected_event=refused,
        parked_id=f"delivery:sector:0:{place}",
        behind_id=f"delivery:sector:0:{place + 1}",
        held_id=f"identity:0:{mapped.offset}",
        source=first,
        rejected_at=third,
    )


# ---------------------------------------------------------------- explain


def test_explain_tells_the_whole_way_without_saying_who_it_is_about(world: World) -> None:
    (story,) = world.json("explain", world.event)

    assert story["source"]["position"] == str(world.source)
    assert story["source"]["bytes"]["size_bytes"] == len(BODY)
    assert (story["national"]["version"], story["national"]["verdict"]) == (2, "confirmed")
    assert story["national"]["citizen_id"] == "attached"
    assert [(at["target"], at["state"]) for at in story["targets"]] == [
        ("population", "accepted"),
        ("sector", "parked"),
    ]
    assert (story["targets"][0]["attempts"], story["targets"][1]["target_code"]) == (3, "HB-501")
    assert [(one["target"], one["state"]) for one in story["receipts"]] == [
        ("population", "accepted"),
        ("sector", "parked"),
    ]


@pytest.mark.parametrize("asked", ["ce-77", RECORD])
def test_explain_takes_the_vendors_id_and_the_record_id_too(world: World, asked: str) -> None:
    assert world.event in {story["event_id"] for story in world.json("explain", asked)}


def test_the_proof_of_delivery_names_keys_answers_and_receipts_of_each_target_and_nobody(world: World) -> None:
    made = world.json("explain", world.event, "--proof")

    (version,) = [one for one in made["versions"] if one["event_id"] == world.event]
    assert [(at["target"], at["state"]) for at in version["targets"]] == [
        ("population", "accepted"),
        ("sector", "parked"),
    ]
    assert len({at["idempotency_key"] for at in version["targets"]}) == 2
    assert (version["targets"][1]["reply"], version["targets"][1]["may_be_applied"]) == ("HB-501", False)
    assert [told["state"] for told in version["receipts"]] == ["accepted", "parked"]
    assert len(made["sha256"]) == 64


def test_explain_reads_the_head_of_what_identity_holds(world: World) -> None:
    (story,) = world.json("explain", world.held_event)

    assert story["mapped"]["holds"] == ["DQ-19"]
    assert [(row["id"], row["code"]) for row in story["identity"]] == [(world.held_id, "ID-03")]
    assert story["national"] is None


def test_explain_of_a_rejected_event_tells_where_its_bytes_are_kept(world: World) -> None:
    (story,) = world.json("explain", world.rejected_event)

    assert story["source"]["rejected"]["reason"] == "DQ-01"
    assert {at["state"] for at in story["targets"]} == {"rejected"}


def test_the_tree_for_people_says_the_same_and_no_name_either(world: World) -> None:
    shown = world.run("explain", world.event).output + world.run("explain", world.held_event).output

    assert {"HB-501", "ID-03", "confirmed"} <= set(shown.split())
    assert not [canary for canary in (CITIZEN, NAME, "0123456789", "2015-01-01") if canary in shown]


def test_explain_of_an_unknown_event_fails_with_exit_code_1(world: World) -> None:
    result = world.run("explain", "no-such-event")

    assert (result.exit_code, result.stdout) == (1, "")


# ---------------------------------------------------------------- rejected, parked, tail


def test_rejected_messages_are_listed_and_shown(world: World) -> None:
    (row,) = world.json("rejected", "list", "--vendor", world.vendor, "--code", "DQ-01")
    shown = world.json("rejected", "show", str(world.rejected_at))

    assert row["position"] == str(world.rejected_at)
    assert shown["kept"]["size_bytes"] == len(BODY)
    assert [(item["source_index"], item["target"], item["state"]) for item in shown["item_states"]] == [
        (0, "population", "rejected"),
        (0, "sector", "rejected"),
    ]
    assert world.json("rejected", "list", "--code", "DQ-99") == []


@pytest.mark.parametrize("position", ["vendor.mau.records-0@9999", "nonsense"])
def test_a_position_where_nothing_was_rejected_fails(world: World, position: str) -> None:
    assert world.run("rejected", "show", position).exit_code == 1


def test_parked_records_are_listed_by_vendor_code_target_and_stage_and_shown_with_their_fix(world: World) -> None:
    everything = {row["id"] for row in world.json("parked", "list", "--vendor", world.vendor)}

    assert everything == {world.parked_id, world.behind_id, world.held_id}
    assert [row["id"] for row in world.json("parked", "list", "--code", "TG-02")] == [world.parked_id]
    assert len(world.json("parked", "list", "--target", "sector")) == 2
    assert [row["id"] for row in world.json("parked", "list", "--stage", "identity")] == [world.held_id]
    assert world.json("parked", "show", world.parked_id)["problem"]["fix_vi"]
    for what in (("parked", "list"), ("parked", "show", world.parked_id), ("rejected", "list")):
        assert world.run(*what).exit_code == 0
    assert world.run("rejected", "show", str(world.rejected_at)).exit_code == 0


@pytest.mark.parametrize("parked_id", ["delivery:sector:0:999999", "nonsense"])
def test_a_parked_record_that_is_not_there_fails(world: World, parked_id: str) -> None:
    assert world.run("parked", "show", parked_id).exit_code == 1


def test_tail_shows_versions_and_ids_of_the_unified_stream(world: World) -> None:
    result = world.run("tail", "--vendor", world.vendor, "--json")
    (line,) = [json.loads(line) for line in result.stdout.splitlines()]

    assert (line["version"], line["op"], line["record_id"], line["school_year"]) == (2, "CANCEL", RECORD, "2025-2026")
    assert world.vendor in world.run("tail", "--vendor", world.vendor, "--limit", "1").output
    assert world.run("tail", "--vendor", "nobody", "--json").stdout == ""


# ---------------------------------------------------------------- orders


@contextmanager
def owner_of_slots(world: World, *, end_state: str, order_state: str = "done") -> Iterator[list[str]]:
    """Takes orders as the owner of a slot does: woken by NOTIFY, closes the row and the order in one transaction."""
    heard: list[str] = []
    ready, over = threading.Event(), threading.Event()

    def work() -> None:
        with psycopg.connect(world.url, autocommit=True) as connection:
            connection.execute("LISTEN hocba_orders")
            ready.set()
            while not over.is_set():
                heard.extend(notice.payload for notice in connection.notifies(timeout=0.1))
                if heard and order_state == "done":
                    with connection.transaction():
                        connection.execute(
                            "UPDATE parked SET state = 'closed', end_state = %s FROM orders o WHERE o.state = 'open' "
                            "AND (parked.stage, parked.target, parked.slot, parked.topic_offset) "
                            "= (o.stage, o.target, o.slot, o.topic_offset)",
                            (end_state,),
                        )
                        connection.execute(
                            "UPDATE orders SET state = 'done', outcome = 'released' WHERE state = 'open'"
                        )
                elif heard:
                    connection.execute("UPDATE orders SET state = 'void', outcome = 'why not' WHERE state = 'open'")

    thread = threading.Thread(target=work)
    thread.start()
    assert ready.wait(10)
    try:
        yield heard
    finally:
        over.set()
        thread.join()


WHO = ("--reason", "sửa xong", "--by", "vận hành viên")


def test_a_plan_names_what_it_would_release_and_what_not_and_writes_nothing(world: World) -> None:
    plan = world.json("replay", "plan", "--target", "sector")

    assert [one["id"] for one in plan["planned"]] == [world.parked_id]
    assert [one["id"] for one in plan["left_out"]] == [world.behind_id]
    assert asyncio.run(_open_work(world)).orders == 0
    assert world.run("replay", "plan", "--code", "XX-00").exit_code == 1
    assert world.run("replay", "plan").exit_code == 1


def test_a_replay_wakes_the_owner_and_ends_well_only_when_the_record_is_settled(world: World) -> None:
    with owner_of_slots(world, end_state="accepted") as heard:
        end = world.json("replay", "run", "--id", world.parked_id, *WHO, "--wait", "20")

    assert heard == ["delivery|sector|0"]
    assert end["progress"] == {"orders": 1, "open": 0, "void": 0, "settled": 1, "parked_again": 0}
    assert [(one["row_state"], one["end_state"]) for one in end["orders"]] == [("closed", "accepted")]
    again = world.json("replay", "run", "--id", world.parked_id, *WHO, code=1)
    assert again["left_out"] == [{"id": world.parked_id, "why": "it is closed and has its end state"}]
    (story,) = world.json("explain", world.event)
    assert [(order["action"], order["ordered_by"]) for order in story["orders"]] == [("release", "vận hành viên")]


def test_a_void_order_fails_the_command(world: World) -> None:
    with owner_of_slots(world, end_state="", order_state="void"):
        end = world.json("replay", "run", "--event", "ce-77", *WHO, "--wait", "20", code=1)

    assert [(one["state"], one["outcome"]) for one in end["orders"]] == [("void", "why not")]


def test_an_order_nobody_takes_is_written_and_waiting_for_it_fails(world: World) -> None:
    world.json("replay", "run", "--code", "ID-03", *WHO)
    late = world.json("replay", "run", "--code", "TG-02", *WHO, "--wait", "0.5", code=1)
    second = world.json("replay", "run", "--id", world.parked_id, *WHO, code=1)

    assert late["progress"]["open"] == 1
    assert second["left_out"][0]["why"] == "an order for it is already open"
    assert asyncio.run(_open_work(world)).orders == 2


def test_a_discard_is_ordered_with_the_name_of_who_wants_it(world: World) -> None:
    with owner_of_slots(world, end_state="discarded"):
        end = world.json("parked", "discard", world.behind_id, *WHO, "--wait", "20")
    shown = world.run("parked", "discard", world.held_id, *WHO)

    assert end["orders"][0] | {"order": 0} == {
        "order": 0,
        "id": world.behind_id,
        "action": "discard",
        "state": "done",
        "outcome": "released",
        "row_state": "closed",
        "end_state": "discarded",
    }
    assert shown.exit_code == 0
    assert [row["state"] for row in world.json("parked", "list", "--closed") if row["id"] == world.behind_id] == [
        "closed"
    ]


def test_a_pupil_left_revoked_is_given_up_only_with_a_flag_that_says_so(world: World) -> None:
    with psycopg.connect(world.url) as connection:
        connection.execute("UPDATE parked SET code = 'TG-06' WHERE stage = 'delivery'")
    refused = world.json("parked", "discard", world.parked_id, *WHO, code=1)
    meant = world.json("parked", "discard", world.parked_id, *WHO, "--although-revoked")

    assert refused["orders"] == []
    assert "--although-revoked" in refused["left_out"][0]["why"]
    assert [order["action"] for order in meant["orders"]] == ["discard"]


async def _open_work(world: World) -> OpenWork:
    async with operator_ledger.opened(world.url) as pool:
        return await operator_ledger.open_work(pool)


def test_the_counts_tell_states_and_what_still_moves(world: World) -> None:
    async def counts() -> list[StateCount]:
        async with operator_ledger.opened(world.url) as pool:
            return await operator_ledger.state_counts(pool, world.vendor)

    found = asyncio.run(counts())
    work = asyncio.run(_open_work(world))

    assert all(count.events == count.tally for count in found)
    assert {(count.target, count.state): count.events for count in found} == {
        ("population", "accepted"): 1,
        ("population", "parked"): 1,
        ("population", "rejected"): 1,
        ("sector", "parked"): 2,
        ("sector", "rejected"): 1,
    }
    assert (work.parked, work.behind, work.moving) == (3, 1, 0)


def test_servers_that_are_not_there_are_told_in_one_sentence(world: World, tmp_path: Path) -> None:
    config = tmp_path / "nowhere.yaml"
    settings = load_config(world.config, {})
    text = CONFIG.format(kafka="127.0.0.1:1", url="postgresql://127.0.0.1:1/none", prefix="x")
    config.write_text(text, "utf-8")
    no_kafka = tmp_path / "no-kafka.yaml"
    no_kafka.write_text(CONFIG.format(kafka="127.0.0.1:1", url=settings.ledger.url, prefix="x"), "utf-8")

    for arguments in (["parked", "list", "--config", str(config)], ["tail", "--config", str(no_kafka)]):
        result = CliRunner().invoke(app, arguments)
        assert "cannot be reached" in str(result.exception)
