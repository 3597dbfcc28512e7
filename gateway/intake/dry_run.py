"""What a vendor sees of a file before publishing it: one result a record, in the shape of ``hocba check --json``.

The record is shown as the unified stream would carry it, without the fields a later stage adds and without empty
ones; it holds the vendor's own data, so it is for the vendor's eyes and for the cases of a connector only.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec

from gateway.errors import Problem, describe
from gateway.intake.connector import Connector
from gateway.intake.decode_avro import MAGIC_FINGERPRINT, MAGIC_ID, encode_line
from gateway.intake.documents import findings
from gateway.intake.documents_trust import TrustBook
from gateway.intake.given import NOTHING, Given
from gateway.intake.outcome import Duplicate, Item, Items, Mapped, Rejected, RejectedWhole
from gateway.record import Position

Result = dict[str, Any]

NOWHERE = Position("check", 0, 0)
_HANOI = timezone(timedelta(hours=7))


def dry_run(
    connector: Connector, file: str, value: bytes, timestamp_ms: int, trust: TrustBook | None = None
) -> list[Result]:
    """The results of *value*, read from *file*, as if published at *timestamp_ms*.

    Signatures are checked where the connector asks for it and *trust* is given.
    """
    results: list[Result] = []
    for message in messages(connector, value):
        given = _signatures(connector, message, timestamp_ms, trust)
        results += _of_message(connector, (file, len(results)), message, timestamp_ms, given)
    return results


def _signatures(connector: Connector, value: bytes, timestamp_ms: int, trust: TrustBook | None) -> Given:
    if trust is None or connector.signed_by is None or len(value) > connector.max_bytes:
        return NOTHING
    received = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=timestamp_ms)
    return Given(findings=findings(value, connector.signed_by, trust, received))


def messages(connector: Connector, value: bytes) -> list[bytes]:
    """The messages in a file: it is one; for Avro each line of Avro's JSON encoding is one, by the newest schema."""
    if connector.format != "avro" or value[:1] == MAGIC_ID or value[:2] == MAGIC_FINGERPRINT:
        return [value]
    lines = [line for line in value.decode("utf-8", "replace").splitlines() if line.strip()]
    return [_encoded(connector, line) for line in lines] or [value]


def _encoded(connector: Connector, line: str) -> bytes:
    schemas = [connector.schemas[name] for name in sorted(connector.schemas, reverse=True)]
    found = (encode_line(line, schema) for schema in schemas)
    return next((message for message in found if message is not None), line.encode())


def _of_message(
    connector: Connector, place: tuple[str, int], value: bytes, timestamp_ms: int, given: Given
) -> list[Result]:
    file, first = place
    match connector.process(value, NOWHERE, timestamp_ms, given):
        case RejectedWhole(problems):
            return [_result(connector, f"{file}#{first}", "rejected", None, problems)]
        case Items(items):
            return [_item(connector, f"{file}#{first + item.index}", item) for item in items]


def _item(connector: Connector, source: str, item: Item) -> Result:
    match item:
        case Rejected():
            return _result(connector, source, "rejected", None, item.problems)
        case Duplicate():
            return _result(connector, source, "accepted_with_warning", None, item.problems)
        case Mapped():
            outcome = "parked" if item.holds else "accepted_with_warning" if item.warnings else "accepted"
            return _result(connector, source, outcome, shown(connector, item), (*item.holds, *item.warnings))


def _result(
    connector: Connector, source: str, outcome: str, record: Result | None, problems: Iterable[Problem]
) -> Result:
    return {
        "source": source,
        "outcome": outcome,
        "record": record,
        "problems": [_problem(connector, problem) for problem in problems],
    }


def _problem(connector: Connector, problem: Problem) -> Result:
    text: Result = msgspec.to_builtins(describe(problem))
    return text | {"severity": connector.severity(problem)}


def shown(connector: Connector, item: Mapped) -> Result:
    """A mapped record as plain JSON values."""
    evidence = item.evidence
    return {
        "record_id": item.record_id,
        "event_type": str(item.event_type),
        "vendor": connector.vendor,
        "connector": connector.label,
        "vendor_ref": item.vendor_ref,
        "source_order": {"epoch": item.source_order.epoch, "order": item.source_order.order},
        "pupil_code": item.pupil_code,
        "school_code": item.school_code,
        "school_year": item.school_year,
        "programme": item.programme,
        "grade": item.grade,
        "occurred_at": _moment(item.occurred_at_ms),
        "body": None if item.body is None else _plain(item.body),
        "evidence": None if evidence is None else {k: v for k, v in evidence.items() if k != "content"},
    }


def _moment(milliseconds: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    return moment.astimezone(_HANOI).isoformat()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inside) for key, inside in value.items() if inside is not None}
    if isinstance(value, list):
        return [_plain(inside) for inside in value]
    if isinstance(value, date):
        return value.isoformat()
    return format(value, "f") if isinstance(value, Decimal) else value
