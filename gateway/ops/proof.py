"""``hocba explain RECORD --proof``: one document that shows a record's delivery by version and target.

The document ends with the SHA-256 of itself without that line, so that a copy can be checked.
"""

import hashlib
from typing import Any

import msgspec

from gateway.edges.operator_stream import ReceiptFound
from gateway.edges.proof_ledger import Attempt, Delivered, Held, Proof, UnderWay

Row = Delivered | Held | UnderWay


def document(found: Proof, receipts: dict[str, tuple[ReceiptFound, ...]]) -> dict[str, Any]:
    """The proof as plain data; *receipts* are those in Kafka, by event."""
    versions: dict[tuple[str, int], dict[str, Any]] = {}
    travelling = {_name(row): row for row in found.under_way}
    held = {_name(row) for row in found.held}
    rows: list[Row] = [*found.delivered, *found.held]
    rows += [row for name, row in travelling.items() if name not in held]
    for row in rows:
        one = versions.setdefault((row.record_id, row.version), _version(row))
        attempts = [attempt for attempt in found.attempts if _name(attempt) == _name(row)]
        one["targets"].append(_at_target(row, attempts, travelling.get(_name(row))))
    for one in versions.values():
        one["receipts"] = msgspec.to_builtins(receipts.get(one["event_id"], ()))
    body = {"versions": [versions[name] for name in sorted(versions)]}
    return body | {"sha256": hashlib.sha256(msgspec.json.encode(body)).hexdigest()}


def _name(row: Row | Attempt) -> tuple[str, str, int]:
    return row.target, row.record_id, row.version


def _version(row: Row) -> dict[str, Any]:
    return {
        "record_id": row.record_id,
        "version": row.version,
        "event_id": row.event_id,
        "vendor": row.vendor,
        "content_hash": row.content_hash,
        "targets": [],
    }


def _at_target(row: Row, attempts: list[Attempt], travels: UnderWay | None) -> dict[str, Any]:
    common = {
        "target": row.target,
        "asked": row.op,
        "idempotency_key": row.key,
        "attempts": [{"n": one.n, "at": _time(one.at), "outcome": one.outcome} for one in attempts],
    }
    match row:
        case Delivered():
            return common | {
                "state": row.state,
                "reply": row.reply,
                "settled_at": _time(row.settled_at),
                "owner_epoch": row.epoch,
                "packet": _packet(row),
                "revoked_for_version": row.revoked_for,
                "revoked_at": _time(row.revoked_at),
            }
        case Held():
            return common | {
                "state": "parked",
                "reply": row.target_code,
                "code": row.code,
                "owner": row.owner,
                "may_be_applied": row.sent in {"maybe", "again"},
                "parked_at": _time(row.parked_at),
                "packet": _open_packet(travels),
            }
        case UnderWay():
            return common | {"state": "under_way", "may_be_applied": True, "packet": _open_packet(row)}


def _open_packet(row: UnderWay | None) -> dict[str, Any] | None:
    """The packet that has no verdict yet, and how far it is."""
    if row is None or (packet := _packet(row)) is None:
        return None
    return packet | {"step": row.packet_step}


def _packet(row: Delivered | UnderWay) -> dict[str, Any] | None:
    if row.packet is None:
        return None
    return {
        "guid": row.packet,
        "purpose": row.packet_purpose,
        "bytes_sha256": row.packet_sha256,
        "built_at": _time(row.packet_built_at),
    }


def _time(moment: Any) -> str | None:
    return None if moment is None else moment.isoformat()
