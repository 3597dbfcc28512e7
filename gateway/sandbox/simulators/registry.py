"""The sector's pupil registry: who is behind a pupil code.

``POST /api/pupils:lookup`` with ``{"pupil_codes", "purpose", "request_id"}`` answers
``{"results": {code: [{citizen_id or null, full_name, birth_date, gender}]}}``: none, one or several people a code.

The rule: codes and people travel in bodies only, never in a URL or a log; every look-up names its purpose and request.
Entries of the data file stand first; entries added at run time are kept in the book and survive a kill.  The book keeps
every look-up that was answered: request id, purpose, code and time.
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from gateway.sandbox.simulators.buckets import Bucket
from gateway.sandbox.simulators.serving import Setting, application, body_of, guarded, json_answer, problem

CREDENTIALS = ("token",)
MAX_CODES = 200
_SCHEMA = """
CREATE TABLE IF NOT EXISTS additions (seq INTEGER PRIMARY KEY, entry BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS lookups (seq INTEGER PRIMARY KEY, request_id TEXT NOT NULL, purpose TEXT NOT NULL,
  pupil_code TEXT NOT NULL, at_ms INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class LookedUp:
    """One pupil code in one request, as the registry booked it."""

    request_id: str
    pupil_code: str = field(repr=False)
    at_ms: int


def read_lookups(book: Path) -> list[LookedUp]:
    """All look-ups in the book, in order; also while the simulator runs."""
    with closing(sqlite3.connect(f"{book.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT request_id, pupil_code, at_ms FROM lookups ORDER BY seq")
        return [LookedUp(*row) for row in rows]


class Pupil(msgspec.Struct, frozen=True, kw_only=True):
    """One person of the registry."""

    pupil_code: str
    full_name: str
    birth_date: str
    gender: str
    citizen_id: str | None = None


class _Lookup(msgspec.Struct):
    pupil_codes: list[str]
    purpose: str
    request_id: str


class _Addition(msgspec.Struct, forbid_unknown_fields=True):
    pupils: list[Pupil]
    replace: bool = False


class _People:
    """The people by pupil code, as they are answered."""

    def __init__(self, setting: Setting, data: Path | None) -> None:
        self._book = setting.book
        self._data = data
        self._book.connection.executescript(_SCHEMA)
        self.load()

    def load(self) -> int:
        """Read the data file and the added entries afresh; the number of entries."""
        self._by_code: dict[str, list[dict[str, object]]] = {}
        if self._data is not None:
            decoder = msgspec.json.Decoder(Pupil)
            for pupil in decoder.decode_lines(self._data.read_bytes()):
                self._put(pupil)
        for (entry,) in self._book.connection.execute("SELECT entry FROM additions ORDER BY seq"):
            addition = msgspec.json.decode(entry, type=_Addition)
            self._add(addition)
        return sum(len(people) for people in self._by_code.values())

    def find(self, code: str) -> list[dict[str, object]]:
        return self._by_code.get(code, [])

    def note(self, asked: _Lookup, at_ms: int) -> None:
        """Book a look-up before it is answered."""
        rows = [(asked.request_id, asked.purpose, code, at_ms) for code in asked.pupil_codes]
        statement = "INSERT INTO lookups (request_id, purpose, pupil_code, at_ms) VALUES (?, ?, ?, ?)"
        with self._book.transaction() as connection:
            connection.executemany(statement, rows)

    def accept(self, addition: _Addition) -> None:
        """Add entries for good; with `replace` they stand instead of what their codes had."""
        with self._book.transaction() as connection:
            connection.execute("INSERT INTO additions (entry) VALUES (?)", [msgspec.json.encode(addition)])
        self._add(addition)

    def _add(self, addition: _Addition) -> None:
        if addition.replace:
            for pupil in addition.pupils:
                self._by_code.pop(pupil.pupil_code, None)
        for pupil in addition.pupils:
            self._put(pupil)

    def _put(self, pupil: Pupil) -> None:
        self._by_code.setdefault(pupil.pupil_code, []).append(
            {
                "citizen_id": pupil.citizen_id,
                "full_name": pupil.full_name,
                "birth_date": pupil.birth_date,
                "gender": pupil.gender,
            }
        )


class _Desk:
    """Answers look-ups and takes in new entries."""

    def __init__(self, setting: Setting, people: _People) -> None:
        options = setting.options
        self._setting = setting
        self._people = people
        self._bucket = Bucket(options.rate_per_s, setting.monotonic_s()) if options.rate_per_s else None
        self._most = options.max_records or MAX_CODES

    async def lookup(self, request: Request) -> Response:
        body = await body_of(request, self._setting.options.max_bytes)
        try:
            asked = msgspec.json.decode(body or b"", type=_Lookup)
        except msgspec.MsgspecError:
            asked = None
        if wait_s := self._wait_s(asked):
            answer = problem(429, "ERR_RATE")
            answer.headers["Retry-After"] = str(int(wait_s) + 1)
            self._setting.book.count("lookups_429")
            return answer
        if asked is None:
            return problem(400, "ERR_MALFORMED")
        if not asked.purpose or not asked.request_id:
            return problem(400, "ERR_PURPOSE")
        if len(asked.pupil_codes) > self._most:
            return problem(413, "ERR_TOO_MANY")
        self._people.note(asked, self._setting.now_ms())
        self._setting.book.count("lookups")
        self._setting.book.count("lookup_codes", len(asked.pupil_codes))
        return json_answer({"results": {code: self._people.find(code) for code in asked.pupil_codes}})

    def _wait_s(self, asked: _Lookup | None) -> float:
        if self._bucket is None:
            return 0.0
        by_code = self._setting.options.rate_counts == "codes"
        cost = len(asked.pupil_codes) if asked is not None and by_code else 1
        return self._bucket.wait_s(self._setting.monotonic_s(), cost)

    async def add(self, request: Request) -> Response:
        try:
            addition = msgspec.json.decode(await request.body(), type=_Addition)
        except msgspec.MsgspecError as error:
            return problem(400, str(error))
        self._people.accept(addition)
        return json_answer({"added": len(addition.pupils)})

    async def reload(self, _: Request) -> Response:
        return json_answer({"entries": self._people.load()})


def registry_app(setting: Setting, data: Path | None) -> ASGIApp:
    """The registry as an application, with the entries of *data* (JSON lines of `Pupil`)."""
    desk = _Desk(setting, _People(setting, data))
    return application(
        setting,
        [
            Route("/api/pupils:lookup", guarded(setting.credentials["token"], desk.lookup), methods=["POST"]),
            Route("/admin/pupils", desk.add, methods=["POST"]),
            Route("/admin/reload", desk.reload, methods=["POST"]),
        ],
    )
