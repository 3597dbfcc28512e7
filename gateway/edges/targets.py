"""Both kinds of target over HTTP, built from a contract file; what they answer leaves here as values of `outcomes`.

The rule: every answer is sorted by the contract's tables, by record id and never by place, and whatever cannot be read
is ambiguous. Neither URLs nor errors carry anything of a record but its packet's key.
"""

import gzip
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from gateway.edges import clock
from gateway.edges.exchange import Answered, plain_code
from gateway.edges.target_contract import Contract, ImmediateContract, PacketContract, RecordVerdict
from gateway.edges.target_door import Door, Turned, open_door
from gateway.edges.target_query import held_versions
from gateway.national import payload
from gateway.outcomes import (
    Accepted,
    AlreadyThere,
    Ambiguous,
    BatchAnswer,
    Duplicate,
    Hold,
    Landed,
    NotFound,
    Outcome,
    Pending,
    PollAnswer,
    Receipt,
    RecordVersion,
    Refused,
    RefusedWhole,
    Send,
    Stale,
    TooLarge,
    Unavailable,
    Verdicts,
)
from gateway.record import Op

Json = dict[str, Any]
_JSON = {"content-type": "application/json"}


class HttpImmediate:
    """An `ImmediateTarget` over HTTP."""

    def __init__(self, contract: ImmediateContract, door: Door) -> None:
        self.contract = contract
        self._door = door
        self._plain = {result: outcome_of(contract, result, []) for result in contract.results}
        names = (contract.wire.record_id, contract.wire.version, contract.wire.event)
        self._is_dressed = all(name in payload.ENVELOPE for name in names)
        self._key_name = b",%b:" % msgspec.json.encode(contract.wire.key)

    async def send(self, batch: Sequence[Send]) -> BatchAnswer:
        """Send *batch* in one request; see `ImmediateTarget`."""
        wire = self.contract.wire
        content = b'{"%b":[%b]}' % (wire.records.encode(), b",".join([self._dressed(send) for send in batch]))
        if len(content) > self.contract.batch.bytes or len(batch) > self.contract.batch.records:
            return BatchAnswer({}, whole=TooLarge())
        reply = await self._door.ask("POST", self.contract.paths.batch, **_body(self.contract, content))
        if isinstance(reply, Turned):
            return BatchAnswer({}, slow_down_s=reply.slow_down_s, whole=reply.whole)
        if not self._door.is_found(reply):
            return BatchAnswer({}, whole=Hold("contract"))
        rows = _rows(reply.body, wire.answers)
        if rows is None:
            return BatchAnswer({}, whole=Ambiguous("unreadable"))
        said = {named: row for row in rows if (named := _named(row, wire.answer_id, wire.answer_version)) is not None}
        names = [(send.record_id, send.version) for send in batch]
        return BatchAnswer({name: self._outcome(said.get(name)) for name in names})

    async def held(self, record_ids: Sequence[str]) -> Mapping[str, int] | Unavailable | Hold:
        """Which version of each record the target holds; see `VersionQuery`."""
        if self.contract.query is None:
            return Hold("contract")
        return await held_versions(self._door, self.contract, self.contract.query, record_ids)

    def _dressed(self, send: Send) -> bytes:
        """The payload with its key, and with those names of the envelope that the contract writes otherwise."""
        if self._is_dressed:
            return b"%b%b%b}" % (send.payload[:-1], self._key_name, msgspec.json.encode(send.key))
        wire = self.contract.wire
        envelope = {wire.record_id: send.record_id, wire.version: send.version, wire.event: wire.events.word(send.op)}
        more = {name: value for name, value in envelope.items() if name not in payload.ENVELOPE} | {wire.key: send.key}
        return b"%b,%b" % (send.payload[:-1], msgspec.json.encode(more)[1:])

    def _outcome(self, row: Json | None) -> Outcome:
        if row is None:
            return Ambiguous("missing")
        code, result = row.get(self.contract.wire.answer_code) or "", row.get(self.contract.wire.answer_result)
        if not isinstance(code, str):
            return Ambiguous("unreadable")
        if code or not isinstance(result, str):
            return outcome_of(self.contract, result, [code] if code else []) or Ambiguous("pending")
        return self._plain.get(result) or outcome_of(self.contract, result, []) or Ambiguous("pending")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._door.aclose()


class HttpPackets:
    """A `PacketTarget` over HTTP."""

    def __init__(self, contract: PacketContract, door: Door, unit: str) -> None:
        self.contract = contract
        self._door = door
        self._unit = unit

    async def upload(self, evidence_key: str, sha256: str, content: bytes) -> Receipt:
        """Upload signed bytes; RefusedWhole("EVIDENCE-HASH") when they are not the bytes of *sha256*."""
        if hashlib.sha256(content).hexdigest() != sha256:
            return RefusedWhole("EVIDENCE-HASH")
        packed = gzip.compress(content, compresslevel=1, mtime=0)
        path = self._path(self.contract.paths.upload, evidence_key)
        reply = await self._door.ask(
            "POST", path, files={"file": ("du_lieu_so_goc.xml.gz", packed, "application/gzip")}
        )
        return self._receipt(reply, evidence_key)

    async def submit(self, packet_key: str, purpose: str, body: bytes) -> Receipt:
        """Send a packet; *purpose* is the target's word (`encode_packet` put the same into *body*)."""
        if len(body) > self.contract.batch.bytes:
            return TooLarge()
        path = self._path(self.contract.paths.submit, packet_key, purpose)
        return self._receipt(await self._door.ask("POST", path, **_body(self.contract, body)), packet_key)

    async def results(self, packet_key: str) -> PollAnswer:
        """Ask for the packet's reply; see `PacketTarget`."""
        reply = await self._door.ask("GET", self._path(self.contract.paths.results, packet_key))
        match reply:
            case Answered() if self._door.is_found(reply):
                return self._verdicts(reply.body)
            case Answered():
                return NotFound()
            case Turned(whole=Ambiguous(reason=reason), slow_down_s=wait_s):
                return Unavailable(wait_s, reason)
            case Turned(whole=TooLarge()):
                return RefusedWhole("TOO-LARGE")
            case Turned(whole=Unavailable() | Hold() | RefusedWhole() as whole):
                return whole
            case _:
                return Unavailable(None, "unreadable")

    def _path(self, template: str, key: str, purpose: str = "") -> str:
        return template.format(unit=self._unit, key=key, edition=self.contract.edition, purpose=purpose)

    def _receipt(self, reply: Answered | Turned, key: str) -> Receipt:
        if isinstance(reply, Turned):
            return reply.whole
        if not self._door.is_found(reply):
            return Hold("contract")
        wire, answer = self.contract.wire, _object(reply.body)
        data = answer.get(wire.data)
        about = str(data.get(wire.repeated_key, "")).lower() if isinstance(data, dict) else ""
        match answer.get(wire.success), about == key.lower():
            case True, True:
                return Landed()
            case False, True:
                return AlreadyThere()
            case False, False:
                message = plain_code(answer.get(wire.message))
                return Hold("denied") if message == "ERR_ACCESS_DENIED" else RefusedWhole(message)
            case _:
                return Ambiguous("unreadable")

    def _verdicts(self, body: bytes) -> PollAnswer:
        wire, answer = self.contract.wire, _object(body)
        status = answer.get(wire.packet_status)
        if not isinstance(status, str):
            return Unavailable(None, "unreadable")
        match self.contract.packet_status.get(status):
            case "pending":
                return Pending(status)
            case "replied":
                return Verdicts(self._answers(answer.get(wire.items)))
            case None:
                return RefusedWhole(f"PACKET-{plain_code(status)}") if status else Unavailable(None, "unreadable")

    def _answers(self, items: object) -> dict[RecordVersion, Outcome | Pending]:
        wire = self.contract.wire
        answers: dict[RecordVersion, Outcome | Pending] = {}
        for item in items if isinstance(items, list) else []:
            named = _named(item, wire.record_id, wire.version)
            if named is not None:
                answers[named] = self._item(item)
        return answers

    def _item(self, item: Json) -> Outcome | Pending:
        wire = self.contract.wire
        status, errors = item.get(wire.item_status), item.get(wire.errors) or []
        if not isinstance(errors, list) or not all(isinstance(error, dict) for error in errors):
            return Ambiguous("unreadable")
        outcome = outcome_of(self.contract, status, [error.get(wire.error_code) for error in errors])
        return outcome or Pending(plain_code(status))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._door.aclose()


_PLAIN: dict[RecordVerdict, Outcome | None] = {
    "accepted": Accepted(),
    "duplicate": Duplicate(),
    "superseded": Stale(),
    "retry": Unavailable(None, "retry"),
    "ambiguous": Ambiguous("unknown result"),
    "pending": None,
}


def outcome_of(contract: Contract, result: object, codes: Sequence[object]) -> Outcome | None:
    """What *result* with *codes* means for a record; None while it is pending.

    A code of the contract's `codes` says more than the result, if all codes of the answer say the same.
    """
    said = [plain_code(code) for code in codes]
    known: set[RecordVerdict | None] = {contract.codes.get(code) for code in said}
    meant = next(iter(known)) if len(known) == 1 else None
    match meant or contract.results.get(result if isinstance(result, str) else "", "ambiguous"):
        case "refused":
            pairs = [(code, contract.categories.get(code, contract.category_other)) for code in said or ["no-code"]]
            return Refused(*pairs[0], others=tuple(pairs[1:]))
        case other:
            return _PLAIN[other]


def encode_packet(
    contract: PacketContract, op: Op, items: Sequence[Mapping[str, object]], evidence_key: str | None
) -> bytes:
    """The bytes of a packet of *items* (national.payload.sector_record), to be kept with its row and sent unchanged."""
    wire = contract.wire
    return msgspec.json.encode(
        {
            wire.evidence: evidence_key,
            wire.purpose: wire.purposes.word(op),
            wire.data_type: wire.data_type_value,
            wire.items: items,
        }
    )


def _body(contract: Contract, content: bytes) -> dict[str, Any]:
    """The parts of a request with *content*, packed where the target asks for it; its limits count what is unpacked."""
    if not contract.gzip:
        return {"content": content, "headers": _JSON}
    packed = gzip.compress(content, compresslevel=1, mtime=0)
    return {"content": packed, "headers": _JSON | {"content-encoding": "gzip"}}


def _object(body: bytes) -> Json:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError:
        return {}


def _named(row: object, record_id: str, version: str) -> RecordVersion | None:
    """The record version that *row* speaks of; None when it does not say so in the right types."""
    if not isinstance(row, dict):
        return None
    name, number = row.get(record_id), row.get(version)
    if isinstance(name, str) and isinstance(number, int) and not isinstance(number, bool):
        return name, number
    return None


def _rows(body: bytes, name: str) -> list[Json] | None:
    rows = _object(body).get(name)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else None


def open_immediate(
    contract: ImmediateContract,
    url: str,
    credentials: Mapping[str, str],
    monotonic_s: Callable[[], float] = clock.monotonic_s,
) -> HttpImmediate:
    """Open the target at *url*; raises ConfigFaults when credentials are missing. Close it with `aclose`."""
    return HttpImmediate(contract, open_door(contract, url, credentials, monotonic_s))


def open_packets(
    contract: PacketContract,
    url: str,
    credentials: Mapping[str, str],
    monotonic_s: Callable[[], float] = clock.monotonic_s,
) -> HttpPackets:
    """Open the target at *url*; raises ConfigFaults when credentials are missing. Close it with `aclose`."""
    return HttpPackets(contract, open_door(contract, url, credentials, monotonic_s), credentials[contract.unit])
