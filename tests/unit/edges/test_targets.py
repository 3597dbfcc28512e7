"""What is known after a request, for every way in which it may end."""

import asyncio
import gzip
import hashlib
import json
import uuid
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from gateway.config import ConfigFaults
from gateway.edges.exchange import plain_code, retry_after_s
from gateway.edges.target_contract import ImmediateContract, PacketContract, load_contract
from gateway.edges.targets import HttpImmediate, HttpPackets, encode_packet, open_immediate, open_packets, outcome_of
from gateway.outcomes import (
    Accepted,
    AlreadyThere,
    Ambiguous,
    Duplicate,
    Hold,
    HoldReason,
    Landed,
    NotFound,
    Pending,
    Receipt,
    Refused,
    RefusedWhole,
    Send,
    TooLarge,
    Unavailable,
    Verdicts,
    Whole,
)
from gateway.record import Op
from tests.fakes.certificates import authority
from tests.fakes.raw_server import answer, raw_server
from tests.fakes.wire_servers import tls_server

ROOT = Path(__file__).resolve().parents[3]
CREDENTIALS = {"client_id": "c", "client_secret": "s", "username": "u", "password": "p", "unit": "48999701"}
TOKEN = answer("200 OK", '{"access_token": "T1", "token_type": "Bearer", "expires_in": 60}')
KEY = "0a6c1f00-0000-4000-8000-0000000000e1"


def immediate(url: str, records: int = 500, **changes: object) -> HttpImmediate:
    contract = load_contract(ROOT / "targets/population.yaml", {})
    assert isinstance(contract, ImmediateContract)
    batch = msgspec.structs.replace(contract.batch, records=records)
    return open_immediate(msgspec.structs.replace(contract, batch=batch, **changes), url, {"token": "t"})


def packet_contract() -> PacketContract:
    contract = load_contract(ROOT / "targets/sector.yaml", {})
    assert isinstance(contract, PacketContract)
    return contract


def packets(url: str, now_s: list[float] | None = None) -> HttpPackets:
    clock = now_s or [0.0]
    return open_packets(packet_contract(), url, CREDENTIALS, lambda: clock[0])


def one(name: str = "r1") -> Send:
    payload = {"idbanghi": name, "phienban": 1, "sukien": "NEW", "hovaten": "Trần Mẫu Bí Mật"}
    return Send(name, 1, Op.NEW, "k-" + name, msgspec.json.encode(payload))


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0.2"}, 0.2),
        ({"Retry-After": "99999"}, 300.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "Wed, 27 May 2026 09:20:30 GMT", "Date": "Wed, 27 May 2026 09:20:00 GMT"}, 30.0),
        ({"Retry-After": "Wed, 27 May 2026 09:19:00 GMT", "Date": "Wed, 27 May 2026 09:20:00 GMT"}, 0.0),
        ({"Retry-After": "Wed, 27 May 2026 09:20:30 GMT"}, 10.0),
        ({"Retry-After": "Wed, 27 May 2026 09:20:30 -0000"}, None),
        ({"Retry-After": "Wed, 27 May 2026 09:20:30 GMT", "Date": "now"}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_servers_own_clock_or_else_by_ours(
    headers: dict[str, str], wait_s: float | None
) -> None:
    ours = datetime(2026, 5, 27, 9, 20, 20, tzinfo=UTC)

    assert retry_after_s({name.lower(): text for name, text in headers.items()}, 300.0, ours) == wait_s


def test_a_code_that_might_quote_a_record_is_not_passed_on() -> None:
    assert plain_code("MAU-L01") == "MAU-L01"
    assert plain_code("Sai tên Nguyễn Mẫu An") == "unreadable"


# --- immediate --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "whole"),
    [
        (answer("413 Too Large"), TooLarge()),
        (answer("429 Slow", "", "retry-after: 3"), Unavailable(3.0, "429")),
        (answer("503 Busy"), Unavailable(None, "503")),
        (answer("500 Oops"), Ambiguous("500")),
        (answer("400 No"), RefusedWhole("HTTP-400")),
        (answer("403 No"), Hold("denied")),
        (answer("401 No"), Hold("auth")),
        (answer("302 Found", "", "location: /"), Ambiguous("302")),
        (answer("200 OK", "<html>proxy</html>"), Ambiguous("unreadable")),
        (answer("200 OK", '{"results": null}'), Ambiguous("unreadable")),
    ],
)
@pytest.mark.parametrize("records", [500, 1])
async def test_an_answer_to_the_whole_batch_is_sorted_by_its_status(reply: bytes, whole: Whole, records: int) -> None:
    async with raw_server(reply, reply) as server:
        target = immediate(server.url, records)

        got = await target.send([one()])

        assert got.whole == whole
        assert not got.answers
        await target.aclose()


async def test_answers_are_read_by_id_and_version_and_the_rest_is_ignored() -> None:
    rows = [
        {"id_ban_ghi": "stranger", "phien_ban": 1, "result": "ACCEPTED"},
        {"id_ban_ghi": "r1", "phien_ban": 2, "result": "REFUSED", "code": "MAU-L07"},
        {"id_ban_ghi": "r2", "phien_ban": 1, "result": "REFUSED", "code": "MAU-L02"},
        {"id_ban_ghi": "r1", "phien_ban": 1, "result": "ACCEPTED", "code": ""},
        "noise",
    ]
    async with raw_server(answer("200 OK", json.dumps({"results": rows}))) as server:
        target = immediate(server.url)

        got = await target.send([one("r1"), one("r2"), one("r3")])

        assert got.answers == {
            ("r1", 1): Accepted(),
            ("r2", 1): Refused("MAU-L02", "certificate"),
            ("r3", 1): Ambiguous("missing"),
        }
        await target.aclose()


async def test_neither_address_nor_values_show_a_record() -> None:
    async with raw_server() as server:
        target = immediate(server.url)

        got = await target.send([one()])

        assert got.whole == Ambiguous("connection")
        assert "Mẫu" not in repr((got, one()))
        assert server.asked == ["POST /api/v1/records:batch HTTP/1.1"]
        await target.aclose()


@pytest.mark.parametrize("records", [500, 1])
async def test_a_batch_is_packed_only_for_a_target_that_asks_for_it(records: int) -> None:
    async with raw_server(answer("200 OK"), answer("200 OK")) as server:
        plain, packing = immediate(server.url, records), immediate(server.url, records, gzip=True)
        await plain.send([one()])
        await packing.send([one()])

        as_it_is, packed = server.bodies
        assert gzip.decompress(packed) == as_it_is
        assert "content-encoding: gzip" in [line.lower() for line in server.heads[1]]
        assert not [line for line in server.heads[0] if line.lower().startswith("content-encoding")]
        await plain.aclose()
        await packing.aclose()


async def test_a_batch_above_the_limit_is_too_large_without_asking() -> None:
    target = immediate("http://127.0.0.1:1")

    assert (await target.send([one()] * 501)).whole == TooLarge()
    await target.aclose()


@pytest.mark.parametrize(
    ("result", "codes", "outcome"),
    [
        ("ACCEPTED", [], Accepted()),
        ("REFUSED", ["MAU-L06"], Duplicate()),
        ("REFUSED", ["MAU-L06", "MAU-L07"], Refused("MAU-L06", "upstream", (("MAU-L07", "school"),))),
        ("REFUSED", ["NEU-99"], Refused("NEU-99", "upstream")),
        ("REFUSED", [], Refused("no-code", "upstream")),
        ("RETRY", [], Unavailable(None, "retry")),
        ("WHAT", [], Ambiguous("unknown result")),
        (None, [], Ambiguous("unknown result")),
    ],
)
def test_a_records_answer_is_sorted_by_the_contract(result: object, codes: list[str], outcome: object) -> None:
    contract = load_contract(ROOT / "targets/population.yaml", {})

    assert outcome_of(contract, result, codes) == outcome


# --- packets ----------------------------------------------------------------------------------------------------------


LANDED = '{"success": true, "message": "Đã tiếp nhận dữ liệu (mẫu)", "data": {"id_key": "' + KEY + '"}}'
REPEATED = '{"success": false, "message": "Khoá giao dịch đã tồn tại (mẫu)", "data": {"id_key": "' + KEY + '"}}'
DENIED = '{"success": false, "message": "ERR_ACCESS_DENIED", "data": null}'
SHORT = '{"success": false, "message": "ERR_T_K", "data": null}'


@pytest.mark.parametrize(
    ("reply", "receipt"),
    [
        (answer("200 OK", LANDED), Landed()),
        (answer("200 OK", REPEATED), AlreadyThere()),
        (answer("409 Conflict", REPEATED), AlreadyThere()),
        (answer("200 OK", DENIED), Hold("denied")),
        (answer("403 Forbidden", DENIED), Hold("denied")),
        (answer("200 OK", SHORT), RefusedWhole("ERR_T_K")),
        (answer("200 OK", LANDED.replace("e1", "e2")), Ambiguous("unreadable")),
        (answer("200 OK", "{}"), Ambiguous("unreadable")),
    ],
)
async def test_landing_is_read_from_the_body(reply: bytes, receipt: Receipt) -> None:
    async with raw_server(TOKEN, reply) as server:
        target = packets(server.url)

        assert await target.submit(KEY, "01", b"{}") == receipt
        assert server.asked[1] == f"POST /co_so_giao_duc_input/db17/48999701/{KEY}?muc_dich=01 HTTP/1.1"
        await target.aclose()


async def test_the_portals_sample_reply_is_read_with_all_errors_of_an_item() -> None:
    b1, b3, b4 = (f"6f1d6c1e-0000-4000-8000-0000000000b{n}" for n in (1, 3, 4))
    items = [
        {"id_ban_ghi": b1, "phien_ban": 1, "trang_thai_ket_qua_id": "01", "ds_loi_xu_ly_du_lieu": []},
        {
            "id_ban_ghi": b3,
            "phien_ban": 2,
            "trang_thai_ket_qua_id": "02",
            "ds_loi_xu_ly_du_lieu": [{"loi_xu_ly_du_lieu_id": "MAU-L01", "ten_loi_xu_ly_du_lieu": "…"}],
        },
        {
            "id_ban_ghi": b4,
            "phien_ban": 1,
            "trang_thai_ket_qua_id": "02",
            "ds_loi_xu_ly_du_lieu": [{"loi_xu_ly_du_lieu_id": "MAU-L02"}, {"loi_xu_ly_du_lieu_id": "MAU-L03"}],
        },
        {"id_ban_ghi": "waiting", "phien_ban": 1, "trang_thai_ket_qua_id": "00", "ds_loi_xu_ly_du_lieu": []},
    ]
    reply = json.dumps({"ban_tin_id": KEY, "trang_thai_xu_ly_tin_id": "03", "items": items})
    async with raw_server(TOKEN, answer("200 OK", reply)) as server:
        target = packets(server.url)

        assert await target.results(KEY) == Verdicts(
            {
                (b1, 1): Accepted(),
                (b3, 2): Refused("MAU-L01", "identity"),
                (b4, 1): Refused("MAU-L02", "certificate", (("MAU-L03", "identity"),)),
                ("waiting", 1): Pending("00"),
            }
        )
        await target.aclose()


GOOD_ITEM = {"id_ban_ghi": "r1", "phien_ban": 1, "trang_thai_ket_qua_id": "01"}


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (5, {}),
        (None, {}),
        ({**GOOD_ITEM, "id_ban_ghi": ["r2"]}, {}),
        ({**GOOD_ITEM, "phien_ban": "1"}, {}),
        ({**GOOD_ITEM, "phien_ban": True}, {}),
        ({**GOOD_ITEM, "id_ban_ghi": "r2", "ds_loi_xu_ly_du_lieu": 7}, {("r2", 1): Ambiguous("unreadable")}),
        ({**GOOD_ITEM, "id_ban_ghi": "r2", "ds_loi_xu_ly_du_lieu": [7]}, {("r2", 1): Ambiguous("unreadable")}),
        ({**GOOD_ITEM, "id_ban_ghi": "r2", "trang_thai_ket_qua_id": []}, {("r2", 1): Ambiguous("unknown result")}),
    ],
)
async def test_a_malformed_item_of_a_packet_decides_nothing(item: object, said: dict[tuple[str, int], object]) -> None:
    reply = json.dumps({"trang_thai_xu_ly_tin_id": "03", "items": [item, GOOD_ITEM]})
    async with raw_server(TOKEN, answer("200 OK", reply)) as server:
        target = packets(server.url)

        assert await target.results(KEY) == Verdicts({**said, ("r1", 1): Accepted()})  # type: ignore[dict-item]
        await target.aclose()


@pytest.mark.parametrize(
    "row",
    [
        {"id_ban_ghi": ["r1"], "phien_ban": 1, "result": "ACCEPTED"},
        {"id_ban_ghi": "r1", "phien_ban": {}, "result": "ACCEPTED"},
        {"id_ban_ghi": "r1", "phien_ban": 1, "result": ["ACCEPTED"]},
        {"id_ban_ghi": "r1", "phien_ban": 1, "result": "REFUSED", "code": ["MAU-L07"]},
        5,
    ],
)
async def test_a_malformed_row_of_a_batch_is_ambiguous(row: object) -> None:
    async with raw_server(answer("200 OK", json.dumps({"results": [row]}))) as server:
        target = immediate(server.url)

        got = await target.send([one("r1")])

        assert isinstance(got.answers["r1", 1], Ambiguous)
        await target.aclose()


@pytest.mark.parametrize(
    ("reply", "poll"),
    [
        (answer("404 Not Found"), NotFound()),
        (answer("200 OK", '{"trang_thai_xu_ly_tin_id": "01"}'), Pending("01")),
        (answer("200 OK", '{"trang_thai_xu_ly_tin_id": "77"}'), RefusedWhole("PACKET-77")),
        (answer("200 OK", "<html>"), Unavailable(None, "unreadable")),
        (answer("200 OK", '{"trang_thai_xu_ly_tin_id": ["03"]}'), Unavailable(None, "unreadable")),
        (answer("200 OK", '{"trang_thai_xu_ly_tin_id": "03", "items": {"a": 1}}'), Verdicts({})),
        (answer("500 Oops"), Unavailable(None, "500")),
        (b"", Unavailable(None, "connection")),
    ],
)
async def test_a_poll_that_fails_changes_nothing(reply: bytes, poll: object) -> None:
    async with raw_server(*([TOKEN, reply] if reply else [TOKEN])) as server:
        target = packets(server.url)

        assert await target.results(KEY) == poll
        await target.aclose()


async def test_evidence_that_is_not_the_signed_bytes_is_never_sent() -> None:
    target = packets("http://127.0.0.1:1")

    assert await target.upload(KEY, hashlib.sha256(b"signed").hexdigest(), b"cleaned") == RefusedWhole("EVIDENCE-HASH")
    await target.aclose()


def test_a_packet_says_its_purpose_and_its_evidence() -> None:
    body = msgspec.json.decode(encode_packet(packet_contract(), Op.CANCEL, [{"id_ban_ghi": "r1", "phien_ban": 2}], KEY))

    assert body == {
        "t_k": KEY,
        "muc_dich_ban_tin": "03",
        "loai_du_lieu_so_id": "01",
        "items": [{"id_ban_ghi": "r1", "phien_ban": 2}],
    }


# --- tokens -----------------------------------------------------------------------------------------------------------


def paths(asked: list[str]) -> list[str]:
    return [line.split()[1].partition("?")[0].rpartition("/")[2] for line in asked]


async def test_many_callers_fetch_one_token() -> None:
    pending = answer("200 OK", '{"trang_thai_xu_ly_tin_id": "01"}')
    async with raw_server(TOKEN, *[pending] * 5) as server:
        target = packets(server.url)

        answers = await asyncio.gather(*(target.results(KEY) for _ in range(5)))

        assert answers == [Pending("01")] * 5
        assert paths(server.asked).count("token") == 1
        await target.aclose()


async def test_a_token_is_renewed_before_it_runs_out() -> None:
    pending, now_s = answer("200 OK", '{"trang_thai_xu_ly_tin_id": "01"}'), [0.0]
    async with raw_server(TOKEN, pending, pending, TOKEN, pending) as server:
        target = packets(server.url, now_s)
        await target.results(KEY)
        now_s[0] = 49.0
        await target.results(KEY)
        now_s[0] = 51.0
        await target.results(KEY)

        assert paths(server.asked) == ["token", "results", "results", "token", "results"]
        await target.aclose()


async def test_a_refused_token_is_replaced_once_and_then_holds() -> None:
    async with raw_server(TOKEN, answer("401 No"), TOKEN.replace(b"T1", b"T2"), answer("401 No")) as server:
        target = packets(server.url)

        assert await target.submit(KEY, "01", b"{}") == Hold("auth")
        assert paths(server.asked) == ["token", KEY, "token", KEY]
        await target.aclose()


@pytest.mark.parametrize(
    ("replies", "receipt"),
    [
        ([answer("400 Bad", '{"error": "invalid_grant"}')], Hold("auth")),
        ([answer("401 No", '{"error": "invalid_client"}')], Hold("auth")),
        ([answer("200 OK", '{"no": "token"}')], Hold("contract")),
        ([answer("429 Slow", "", "retry-after: 9")], Unavailable(9.0, "token")),
        ([answer("500 Oops")] * 4, Unavailable(None, "token")),
    ],
)
async def test_without_a_token_nothing_is_sent(replies: list[bytes], receipt: Receipt) -> None:
    async with raw_server(*replies) as server:
        target = packets(server.url)

        assert await target.submit(str(uuid.uuid4()), "01", b"{}") == receipt
        assert set(paths(server.asked)) == {"token"}
        await target.aclose()


@pytest.mark.parametrize(("url", "reason"), [("http://127.0.0.1:1", "outage"), ("http://mau.invalid", "dns")])
async def test_a_token_server_that_is_not_there_holds_with_its_own_reason(url: str, reason: HoldReason) -> None:
    target = packets(url)

    assert await target.submit(KEY, "01", b"{}") == Hold(reason)
    await target.aclose()


async def test_a_token_server_with_a_certificate_of_nobody_holds_with_its_own_reason(tmp_path: Path) -> None:
    async with tls_server(authority(tmp_path).give("server")) as url:
        target = packets(url)

        assert await target.submit(KEY, "01", b"{}") == Hold("tls")
        await target.aclose()


async def test_a_token_survives_one_failure_of_its_server() -> None:
    async with raw_server(answer("503 Busy"), TOKEN, answer("200 OK", LANDED)) as server:
        target = packets(server.url)

        assert await target.submit(KEY, "01", b"{}") == Landed()
        await target.aclose()


def test_missing_credentials_are_all_named() -> None:
    with pytest.raises(ConfigFaults) as caught:
        open_packets(packet_contract(), "http://127.0.0.1:1", {"client_id": "c", "username": "u", "password": ""})

    assert [fault.path for fault in caught.value.faults] == ["auth.client_secret", "auth.password", "unit"]
