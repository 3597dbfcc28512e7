"""The sector portal: takes packets into a staging area and answers their records later.

    POST /connect/token                                        password grant, token of a short life
    POST /co_so_giao_duc_input/db16/{unit}/{IKS}/{PH}          signed bytes (multipart, gzip) under the caller's GUID
    POST /co_so_giao_duc_input/db17/{unit}/{IdKey}             a packet as JSON under the caller's GUID
    GET  /co_so_giao_duc_input/db17/{unit}/{IdKey}/results     its reply, once processed and indexed

The rule (facts §8.2): success means landed in staging, no more; a key is taken once and refused ever after; the search
index is late, so "not found" soon after landing proves nothing. What a packet does is decided once, when it is
processed, in one transaction with its effects, in the order of landing.
"""

import asyncio
import hashlib
import os
import secrets
import sqlite3
import traceback
import uuid
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta, timezone
from email.parser import BytesParser
from urllib.parse import parse_qs

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from gateway.sandbox.simulators.book import Arrival, Page, content_hash
from gateway.sandbox.simulators.faults import TEXTS
from gateway.sandbox.simulators.serving import Setting, application, body_of, json_answer, problem

CREDENTIALS = ("client_id", "client_secret", "username", "password", "unit")
MAX_ITEMS = 200
_OPS = {"01": "NEW", "02": "UPDATE", "03": "CANCEL"}
_VIETNAM = timezone(timedelta(hours=7))
_BASE = "/co_so_giao_duc_input"
_TICK_S = 0.02
_MAX_TOKENS = 1000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS evidence (iks TEXT PRIMARY KEY, sha256 TEXT NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS packets (seq INTEGER PRIMARY KEY, id_key TEXT NOT NULL UNIQUE, body BLOB NOT NULL,
  landed_ms INTEGER NOT NULL, reply BLOB, was_read INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS packets_open ON packets (seq) WHERE reply IS NULL;
"""

_Handler = Callable[[Request], Awaitable[Response]]


class _Packet(msgspec.Struct):
    muc_dich_ban_tin: str
    loai_du_lieu_so_id: str
    items: list[msgspec.Raw]
    t_k: str | None = None


class _Pupil(msgspec.Struct, frozen=True):
    ma_hoc_sinh: str = ""
    so_cccd: str | None = None


class _Item(msgspec.Struct):
    """What the portal looks at; the pupil's codes stand in the item or in its `nguoi_hoc`."""

    id_ban_ghi: str
    phien_ban: int
    ma_dinh_danh_hoc_ba: str | None = None
    ma_hoc_sinh: str = ""
    so_cccd: str | None = None
    t_k: str | None = None
    nguoi_hoc: _Pupil = _Pupil()

    @property
    def citizen_id(self) -> str:
        return self.so_cccd or self.nguoi_hoc.so_cccd or ""


class _Tokens:
    """The tokens given out; forgotten with the process, as a portal's are after its restart."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._ends_s: dict[str, float] = {}

    async def grant(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode("latin-1")).items()}
        if form.get("grant_type") != "password":
            return json_answer({"error": "unsupported_grant_type"}, 400)
        wanted = self._setting.credentials
        names = ("client_id", "client_secret", "username", "password")
        if not all(secrets.compare_digest(form.get(name, "").encode(), wanted[name].encode()) for name in names):
            return json_answer({"error": "invalid_grant"}, 400)
        now_s, life_s = self._setting.monotonic_s(), self._setting.options.token_life_s
        if len(self._ends_s) > _MAX_TOKENS:
            self._ends_s = {token: end_s for token, end_s in self._ends_s.items() if end_s > now_s}
        token = secrets.token_urlsafe(24)
        self._ends_s[token] = now_s + life_s
        return json_answer({"access_token": token, "token_type": "Bearer", "expires_in": int(life_s)})

    def check(self, handler: _Handler) -> _Handler:
        """*handler* behind a living token and the account's own unit."""

        async def checked(request: Request) -> Response:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            if scheme != "Bearer" or self._ends_s.get(token, 0.0) <= self._setting.monotonic_s():
                return problem(401, "ERR_TOKEN")
            if request.path_params["unit"] != self._setting.credentials["unit"]:
                return problem(401, "ERR_UNIT")
            return await handler(request)

        return checked


class _Staging:
    """Packets and evidence as they landed, and their processing."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._book = setting.book
        self._book.connection.executescript(_SCHEMA)
        self._packet = msgspec.json.Decoder(_Packet)
        self._item = msgspec.json.Decoder(_Item)

    async def upload(self, request: Request) -> Response:
        body = await body_of(request, self._setting.options.max_bytes)
        if body is None:
            return problem(413, "ERR_TOO_LARGE")
        content = _unpack(request.headers.get("content-type", ""), body, self._setting.options.max_bytes)
        key = _guid(request.path_params["iks"])
        if content is None or key is None:
            return problem(400, "ERR_MALFORMED")
        with suppress(sqlite3.IntegrityError), self._book.transaction() as connection:
            row = [key, hashlib.sha256(content).hexdigest(), len(content)]
            connection.execute("INSERT INTO evidence VALUES (?,?,?)", row)
            return _landed(key)
        self._book.count("evidence_keys_repeated")
        return _repeated(key)

    async def submit(self, request: Request) -> Response:
        body = await body_of(request, self._setting.options.max_bytes)
        if body is None:
            return problem(413, "ERR_TOO_LARGE")
        key = _guid(request.path_params["key"])
        fault = self._fault(body, request.query_params.get("muc_dich"))
        if key is None or fault:
            return problem(413 if fault == "ERR_TOO_MANY" else 400, fault or "ERR_MALFORMED")
        with suppress(sqlite3.IntegrityError), self._book.transaction() as connection:
            row = [key, body, self._setting.now_ms()]
            connection.execute("INSERT INTO packets (id_key, body, landed_ms) VALUES (?,?,?)", row)
            return _landed(key)
        self._book.count("packet_keys_repeated")
        return _repeated(key)

    def _fault(self, body: bytes, purpose: str | None) -> str:
        try:
            packet = self._packet.decode(body)
            self._items(packet)
        except msgspec.MsgspecError:
            return "ERR_MALFORMED"
        if packet.muc_dich_ban_tin not in _OPS or purpose not in {None, packet.muc_dich_ban_tin}:
            return "ERR_PURPOSE"
        if packet.t_k is not None and not self._has_evidence(packet.t_k):
            return "ERR_T_K"
        return "ERR_TOO_MANY" if len(packet.items) > (self._setting.options.max_records or MAX_ITEMS) else ""

    def _items(self, packet: _Packet) -> list[_Item]:
        return [self._item.decode(item) for item in packet.items]

    def _has_evidence(self, iks: str) -> bool:
        return self._book.connection.execute("SELECT 1 FROM evidence WHERE iks = ?", [iks]).fetchone() is not None

    async def results(self, request: Request) -> Response:
        key = _guid(request.path_params["key"])
        options, now_ms = self._setting.options, self._setting.now_ms()
        row = self._book.connection.execute(
            "SELECT body, landed_ms, reply, was_read FROM packets WHERE id_key = ?",
            [key],
        ).fetchone()
        if row is None or now_ms < row[1] + options.index_delay_s * 1000:
            return problem(404, "ERR_NOT_FOUND")
        body, landed_ms, reply, was_read = row
        if reply is None:
            status = "00" if now_ms < landed_ms + options.result_delay_s * 500 else "01"
            return json_answer(
                self._head(str(key), self._packet.decode(body), landed_ms) | {"trang_thai_xu_ly_tin_id": status}
            )
        answer = msgspec.json.decode(reply)
        if was_read:
            answer["trang_thai_xu_ly_tin_id"] = "04"
        else:
            with self._book.transaction() as connection:
                connection.execute("UPDATE packets SET was_read = 1 WHERE id_key = ?", [key])
        return json_answer(answer)

    async def work(self) -> None:
        """Process packets as they fall due, for ever."""
        while True:
            due_ms = self._setting.now_ms() - self._setting.options.result_delay_s * 1000
            row = self._book.connection.execute(
                "SELECT seq, id_key, body, landed_ms FROM packets WHERE reply IS NULL ORDER BY seq LIMIT 1",
            ).fetchone()
            if row is None or row[3] > due_ms:
                await asyncio.sleep(_TICK_S)
                continue
            self._process(*row)
            await asyncio.sleep(0)

    def _process(self, seq: int, key: str, body: bytes, landed_ms: int) -> None:
        packet = self._packet.decode(body)
        op = _OPS[packet.muc_dich_ban_tin]
        items = self._items(packet)
        answers: list[dict[str, object]] = []
        with self._book.page([item.id_ban_ghi for item in items], []) as page:
            for item, record in zip(items, packet.items, strict=True):
                arrival = Arrival(item.id_ban_ghi, item.phien_ban, op, content_hash(bytes(record)), key)
                result, code = self._judge(page, arrival, item)
                page.answer(arrival, result, code)
                answers.append(_answer(item, code))
            self._setting.faults.shuffle(answers)
            accepted = sum(answer["trang_thai_ket_qua_id"] == "01" for answer in answers)
            reply = self._head(key, packet, landed_ms) | {
                "thoi_gian_tra_loi": _vietnam_time(self._setting.now_ms()),
                "trang_thai_xu_ly_tin_id": "03",
                "duyet": accepted,
                "tu_choi": len(answers) - accepted,
                "items": answers,
            }
            self._book.connection.execute(
                "UPDATE packets SET reply = ? WHERE seq = ?", [msgspec.json.encode(reply), seq]
            )
        self._setting.faults.count(page.effects)

    def _judge(self, page: Page, arrival: Arrival, item: _Item) -> tuple[str, str]:
        held = page.held(arrival.record_id)
        if code := self._fence(arrival, held.version, in_force=held.in_force):
            return "STALE", code
        if code := self._refusal(arrival, item, in_force=held.in_force):
            return "REFUSED", code
        if arrival.op != "NEW" and held.version == 0:
            page.count("update_on_unknown" if arrival.op == "UPDATE" else "cancel_on_unknown")
        page.apply(arrival)
        return "ACCEPTED", ""

    def _fence(self, arrival: Arrival, held: int, *, in_force: bool) -> str:
        if self._setting.options.dedupe not in {"both", "version"} or arrival.version > held:
            return ""
        if arrival.version < held:
            return "MAU-L04"
        return "" if arrival.op == "CANCEL" and in_force else "MAU-L06"

    def _refusal(self, arrival: Arrival, item: _Item, *, in_force: bool) -> str:
        if arrival.op == "CANCEL":
            return self._setting.faults.refusal(arrival.record_id, arrival.version) or ""
        if not item.citizen_id:
            return "MAU-L03"
        if item.t_k is not None and not self._has_evidence(item.t_k):
            return "MAU-L02"
        if code := self._setting.faults.refusal(arrival.record_id, arrival.version):
            return code
        if arrival.op == "NEW" and in_force:
            return "MAU-L05"
        return "MAU-L09" if arrival.op == "UPDATE" and self._setting.options.updates == "revoke_then_register" else ""

    def _head(self, key: str, packet: _Packet, landed_ms: int) -> dict[str, object]:
        return {
            "ban_tin_id": key,
            "noi_tao_ban_tin": {"co_quan_don_vi_id": self._setting.credentials["unit"], "ten": "Đơn vị Mẫu"},
            "muc_dich_ban_tin": packet.muc_dich_ban_tin,
            "loai_du_lieu_so_id": packet.loai_du_lieu_so_id,
            "thoi_gian_yeu_cau": _vietnam_time(landed_ms),
            "tong_so": len(packet.items),
            "duyet": 0,
            "tu_choi": 0,
            "items": [],
        }


def sector_app(setting: Setting) -> ASGIApp:
    """The portal as an application; its processing runs while the application does."""
    tokens, staging = _Tokens(setting), _Staging(setting)

    @asynccontextmanager
    async def working(_: Starlette) -> AsyncIterator[None]:
        work = asyncio.create_task(staging.work())
        work.add_done_callback(_die_with)
        yield
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work

    return application(
        setting,
        [
            Route("/connect/token", tokens.grant, methods=["POST"]),
            Route(_BASE + "/db16/{unit}/{iks}/{ph}", tokens.check(staging.upload), methods=["POST"]),
            Route(_BASE + "/db17/{unit}/{key}", tokens.check(staging.submit), methods=["POST"]),
            Route(_BASE + "/db17/{unit}/{key}/results", tokens.check(staging.results)),
        ],
        lifespan=working,
    )


def _die_with(task: asyncio.Task[None]) -> None:
    """End the process with the error that ended its processing: a portal that never answers looks like a slow one."""
    if not task.cancelled() and (error := task.exception()):
        traceback.print_exception(error)
        os._exit(70)


def _answer(item: _Item, code: str) -> dict[str, object]:
    return {
        "id_ban_ghi": item.id_ban_ghi,
        "phien_ban": item.phien_ban,
        "ma_dinh_danh_hoc_ba": item.ma_dinh_danh_hoc_ba or "",
        "ma_hoc_sinh": item.ma_hoc_sinh or item.nguoi_hoc.ma_hoc_sinh,
        "so_cccd": item.citizen_id,
        "trang_thai_ket_qua_id": "02" if code else "01",
        "ds_loi_xu_ly_du_lieu": [{"loi_xu_ly_du_lieu_id": code, "ten_loi_xu_ly_du_lieu": TEXTS.get(code, code)}]
        if code
        else [],
    }


def _landed(key: str) -> Response:
    return json_answer({"success": True, "message": "Đã tiếp nhận dữ liệu (mẫu)", "data": {"id_key": key}})


def _repeated(key: str) -> Response:
    return json_answer({"success": False, "message": "Khoá giao dịch đã tồn tại (mẫu)", "data": {"id_key": key}})


def _guid(text: str) -> str | None:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return None


def _vietnam_time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, tz=UTC).astimezone(_VIETNAM).isoformat()


def _unpack(content_type: str, body: bytes, max_bytes: int) -> bytes | None:
    """The one gzipped file of a multipart body, or None when it is no such thing or grows above the limit."""
    message = BytesParser().parsebytes(b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n" + body)
    parts = message.get_payload() if message.is_multipart() else []
    for part in parts:
        packed = part.get_payload(decode=True) if not isinstance(part, str) else b""
        if isinstance(packed, bytes) and packed[:2] == b"\x1f\x8b":
            unpacker = zlib.decompressobj(wbits=31)
            try:
                content = unpacker.decompress(packed, max_bytes + 1)
            except zlib.error:
                return None
            return content if unpacker.eof and len(content) <= max_bytes else None
    return None
