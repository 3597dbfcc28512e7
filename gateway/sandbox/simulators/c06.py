"""The population database of the Ministry of Public Security (C06): SOAP 1.1 that confirms a person by ID, name, birth.

``POST /soap`` with ``XacThucThongTinCongDan`` (yes or no) or ``TraCuuThongTinCongDan`` (the person, or an empty list).

The rule: it answers about a person only to who proves user, secret and the present time, and names officer, procedure
and a request id that was never used before; anything else is a fault of the request, and is counted.  No name and no
ID stands in a URL, a fault text or a log.  The book keeps request ids, so that a used one is refused after a kill too.
"""

import base64
import hashlib
import secrets
import sqlite3
import unicodedata
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from lxml import etree
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from gateway.sandbox.simulators.buckets import Bucket
from gateway.sandbox.simulators.serving import Setting, application, body_of, json_answer, problem

CREDENTIALS = ("user", "secret", "api_key", "client_id", "client_secret", "access_token")
PATH = "/soap"
GRANT_PATH = "/token"
_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_ASKED = "http://dancuquocgia.bca"
_ANSWERED = "http://www.mic.gov.vn/dancu/1.0"
_CODES = {"XacThucThongTinCongDan": "003", "TraCuuThongTinCongDan": "037"}
_SCHEMA = """
CREATE TABLE IF NOT EXISTS citizens (citizen_id TEXT PRIMARY KEY, full_name TEXT NOT NULL, birth_date TEXT NOT NULL,
  gender TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS requests (request_id TEXT PRIMARY KEY, operation TEXT NOT NULL, officer TEXT NOT NULL,
  at_ms INTEGER NOT NULL) WITHOUT ROWID;
"""


class Citizen(msgspec.Struct, frozen=True, kw_only=True):
    """One person; other keys of a line (a pupil code) are ignored, so that the registry's data file serves both."""

    full_name: str
    birth_date: str
    gender: str
    citizen_id: str | None = None


class _Addition(msgspec.Struct, forbid_unknown_fields=True):
    pupils: list[Citizen]
    replace: bool = False


@dataclass(frozen=True, slots=True)
class _Refused(Exception):
    """A fault of the request, with a word that names no person."""

    word: str


class _Citizens:
    def __init__(self, setting: Setting, data: Path | None) -> None:
        self._book = setting.book
        self._book.connection.executescript(_SCHEMA)
        if data is not None:
            self.add(msgspec.json.Decoder(Citizen).decode_lines(data.read_bytes()))

    def add(self, people: Iterable[Citizen]) -> int:
        """Enter *people* who have an ID, in place of whoever had it."""
        rows = [(one.citizen_id, one.full_name, one.birth_date, one.gender) for one in people if one.citizen_id]
        with self._book.transaction() as connection:
            connection.executemany("INSERT OR REPLACE INTO citizens VALUES (?, ?, ?, ?)", rows)
        return len(rows)

    def find(self, citizen_id: str) -> tuple[str, str, str, str] | None:
        statement = "SELECT citizen_id, full_name, birth_date, gender FROM citizens WHERE citizen_id = ?"
        found: tuple[str, str, str, str] | None = self._book.connection.execute(statement, [citizen_id]).fetchone()
        return found

    def take_in(self, request_id: str, operation: str, officer: str, at_ms: int) -> None:
        """Note the request before it is answered; raises _Refused for an id that was used before."""
        try:
            with self._book.transaction() as connection:
                connection.execute("INSERT INTO requests VALUES (?, ?, ?, ?)", (request_id, operation, officer, at_ms))
        except sqlite3.IntegrityError as error:
            raise _Refused("MaYeuCau") from error
        self._book.count("lookups")


class _Desk:
    def __init__(self, setting: Setting, citizens: _Citizens) -> None:
        self._setting = setting
        self._citizens = citizens
        rate = setting.options.rate_per_s
        self._bucket = Bucket(rate, setting.monotonic_s()) if rate else None
        self._tokens: dict[str, float] = {}

    async def token(self, request: Request) -> Response:
        """A client's token (RFC 6749, 4.4), for as long as options.token_life_s says."""
        form = dict(urllib.parse.parse_qsl((await request.body()).decode()))
        mine = {name: self._setting.credentials[name] for name in ("client_id", "client_secret")}
        if form != {"grant_type": "client_credentials", **mine}:
            return problem(401, "invalid_client")
        token, life_s = secrets.token_urlsafe(24), self._setting.options.token_life_s
        self._tokens[token] = self._setting.monotonic_s() + life_s
        self._setting.book.count("tokens")
        return json_answer({"access_token": token, "token_type": "bearer", "expires_in": life_s})

    async def soap(self, request: Request) -> Response:
        if request.method == "HEAD":
            return Response(b"", 200, media_type="text/xml")
        body = await body_of(request, self._setting.options.max_bytes)
        wait_s = self._bucket.wait_s(self._setting.monotonic_s()) if self._bucket else 0.0
        if wait_s:
            answer = problem(429, "ERR_RATE")
            answer.headers["Retry-After"] = str(int(wait_s) + 1)
            return answer
        if not self._is_known(request):
            self._setting.book.count("refused_callers")
            return _fault("Client", "auth", 401)
        if self._setting.faults.faults_soap():
            return _fault("Server", "busy", 500)
        try:
            return _envelope(self._answer(_read(body or b"")))
        except _Refused as refused:
            self._setting.book.count("refused_requests")
            return _fault("Client", refused.word, 500)

    def _is_known(self, request: Request) -> bool:
        options, mine = self._setting.options, self._setting.credentials
        if options.auth == "api_key":
            return secrets.compare_digest(request.headers.get("apikey", "").encode(), mine["api_key"].encode())
        if options.auth == "oauth_client":
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            is_live = self._tokens.get(token, 0.0) > self._setting.monotonic_s()
            return is_live and request.headers.get("x-access-token") == mine["access_token"]
        timestamp = request.headers.get("timestamp", "")
        if not timestamp.isdecimal():
            return False
        sent_s = int(timestamp) / (1000 if options.timestamp_unit == "ms" else 1)
        if abs(sent_s - self._setting.now_ms() / 1000) > options.clock_s:
            return False
        url = options.hashed_url or str(request.url.replace(query=""))
        digest = hashlib.sha256(f"{url}{mine['user']}{timestamp}{mine['secret']}".encode()).hexdigest()
        basic = base64.b64encode(f"{mine['user']}:{digest}".encode()).decode()
        return secrets.compare_digest(request.headers.get("authorization", "").encode(), f"Basic {basic}".encode())

    def _answer(self, asked: dict[str, str]) -> etree._Element:
        operation = asked["operation"]
        if not all(asked.get(name) for name in ("MaYeuCau", "MaDVC", "MaCanBo", "SoDinhDanh", "HoVaTen", "birth")):
            raise _Refused("incomplete")
        if asked.get("MaTichHop") != _CODES[operation]:
            raise _Refused("MaTichHop")
        self._citizens.take_in(asked["MaYeuCau"], operation, asked["MaCanBo"], self._setting.now_ms())
        person = self._citizens.find(asked["SoDinhDanh"])
        agrees = person is not None and self._agrees(person, asked)
        return _verdict(agrees) if operation == "XacThucThongTinCongDan" else _collection(person if agrees else None)

    def _agrees(self, person: tuple[str, str, str, str], asked: dict[str, str]) -> bool:
        _, full_name, birth_date, _ = person
        mine, theirs = _capitals(full_name), _capitals(asked["HoVaTen"])
        exact, bare = mine == theirs, _unmarked(mine) == theirs
        named = {"exact": exact, "bare": bare, "either": exact or bare}[self._setting.options.names]
        return named and birth_date.replace("-", "").startswith(asked["birth"])

    async def add(self, request: Request) -> Response:
        try:
            addition = msgspec.json.decode(await request.body(), type=_Addition)
        except msgspec.MsgspecError as error:
            return problem(400, str(error))
        return json_answer({"added": self._citizens.add(addition.pupils)})


def _read(body: bytes) -> dict[str, str]:
    """The request's parts by local name, with ``operation`` and ``birth``."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise _Refused("xml") from error
    asked = root.find(f"{{{_SOAP}}}Body/*")
    if asked is None or etree.QName(asked).localname not in _CODES or etree.QName(asked).namespace != _ASKED:
        raise _Refused("operation")
    parts = {etree.QName(part).localname: (part.text or "").strip() for part in asked}
    born = asked.find(f"{{{_ASKED}}}NgayThangNamSinh")
    parts["birth"] = "" if born is None or not len(born) else (born[0].text or "").strip()
    return parts | {"operation": etree.QName(asked).localname}


def _verdict(known: bool) -> etree._Element:
    answer = etree.Element(f"{{{_ASKED}}}KetQuaXacThuc", nsmap={"ns1": _ASKED})
    etree.SubElement(answer, f"{{{_ASKED}}}TonTai").text = "true" if known else "false"
    return answer


def _collection(person: tuple[str, str, str, str] | None) -> etree._Element:
    answer = etree.Element(f"{{{_ANSWERED}}}CongdanCollection", nsmap={"ns1": _ANSWERED})
    if person is None:
        return answer
    citizen_id, full_name, birth_date, gender = person
    citizen = etree.SubElement(answer, f"{{{_ANSWERED}}}CongDan")
    etree.SubElement(citizen, f"{{{_ANSWERED}}}SoDinhDanh").text = citizen_id
    etree.SubElement(citizen, f"{{{_ANSWERED}}}SoCMND")
    name = etree.SubElement(citizen, f"{{{_ANSWERED}}}HoVaTen")
    for part, text in (("Ho", ""), ("ChuDem", ""), ("Ten", full_name)):
        etree.SubElement(name, f"{{{_ANSWERED}}}{part}").text = text
    etree.SubElement(citizen, f"{{{_ANSWERED}}}GioiTinh").text = gender
    born = etree.SubElement(citizen, f"{{{_ANSWERED}}}NgayThangNamSinh")
    digits = birth_date.replace("-", "")
    etree.SubElement(born, f"{{{_ANSWERED}}}{'NgayThangNam' if len(digits) == 8 else 'Nam'}").text = digits
    return answer


def _envelope(content: etree._Element, status: int = 200) -> Response:
    envelope = etree.Element(f"{{{_SOAP}}}Envelope", nsmap={"soapenv": _SOAP})
    etree.SubElement(envelope, f"{{{_SOAP}}}Body").append(content)
    return Response(etree.tostring(envelope, encoding="UTF-8"), status, media_type="text/xml")


def _fault(code: str, word: str, status: int) -> Response:
    fault = etree.Element(f"{{{_SOAP}}}Fault")
    etree.SubElement(fault, "faultcode").text = f"soapenv:{code}"
    etree.SubElement(fault, "faultstring").text = f"Lỗi minh hoạ: {word}"
    return _envelope(fault, status)


def _capitals(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).split()).upper()


def _unmarked(name: str) -> str:
    letters = (letter for letter in unicodedata.normalize("NFD", name) if not unicodedata.combining(letter))
    return "".join(letters).replace("Đ", "D")


def c06_app(setting: Setting, data: Path | None) -> ASGIApp:
    """The database as an application, with the people of *data* (JSON lines) who have an ID."""
    desk = _Desk(setting, _Citizens(setting, data))
    return application(
        setting,
        [
            Route(PATH, desk.soap, methods=["POST", "HEAD"]),
            Route(GRANT_PATH, desk.token, methods=["POST"]),
            Route("/admin/pupils", desk.add, methods=["POST"]),
        ],
    )
