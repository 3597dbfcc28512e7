"""Heads, evidence and receipts: the Avro types that no dictionary gives.

A head is short, because identity decodes it and copies the rest. `MappedHead` (internal) holds what the vendor claims
and what intake found; `RecordHead` (public) holds what identity settled. Ids and codes are strings; times are
timestamp-millis. A later field needs a default (`gateway.national.compatibility`).
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

NAMESPACE = "vn.hocba"

_MILLIS: Json = {"type": "long", "logicalType": "timestamp-millis"}

_EVENT_TYPE: Json = {
    "type": "enum",
    "name": "EventType",
    "doc": "What happened to the record. Targets spell it in their own way.",
    "symbols": ["NEW", "UPDATE", "CANCEL"],
}


def _field(name: str, kind: object, doc: str, official: str = "") -> Json:
    field: Json = {"name": name, "type": kind, "doc": doc}
    return field | ({"official": official} if official else {})


def _maybe(name: str, kind: object, doc: str, official: str = "") -> Json:
    field: Json = {"name": name, "type": ["null", kind], "default": None, "doc": doc}
    return field | ({"official": official} if official else {})


def _record(name: str, doc: str, *fields: Json) -> Json:
    return {"type": "record", "name": name, "doc": doc, "fields": list(fields)}


_SOURCE_ORDER = _record(
    "SourceOrder",
    "Place of the event in its vendor's order; compared as (epoch, order).",
    _field("epoch", "int", "The connector's version epoch; raised when a vendor starts counting anew."),
    _field("order", "long", "The vendor's version, or the time of the change in milliseconds."),
)

_SOURCE = _record(
    "Source",
    "Where the event stands in the vendor's topic.",
    _field("topic", "string", "Vendor topic."),
    _field("partition", "int", "Partition of it."),
    _field("offset", "long", "Offset in it."),
    _field("index", "int", "Place inside the message, from 0."),
    _field("timestamp", "long", "LogAppendTime in milliseconds.", "ngaycapnhat"),
)

_CLAIM = _record(
    "Claim",
    "Who the pupil is, in the vendor's words; what identity asks the registry about.",
    _field("pupil_code", "string", "Pupil code of the education sector.", "mahocsinh"),
    _field("temporary_code", "boolean", "True for a temporary pupil code (DQ-24)."),
    _maybe("citizen_id", "string", "Citizen ID as claimed.", "sodinhdanh"),
    _maybe("citizen_id_candidate", "string", "Repaired reading of a damaged ID (DQ-19); needs the registry's word."),
    _field("full_name", "string", "Full name.", "hovaten"),
    _field("birth", "string", "YYYY-MM-DD, YYYY-MM or YYYY: as precise as known."),
    _field("gender", "string", "0 unknown, 1 male, 2 female.", "gioitinh"),
    _field("nationality", "string", "ISO 3166-1 alpha-2.", "quoctich"),
)

_FINDING = _record(
    "Finding",
    "A problem found by a rule. Never a value.",
    _field("code", "string", "Code of the error catalogue, such as DQ-38."),
    _field("field", "string", "National field name or path, such as subjects[15].mark_year."),
    _field("rule", "string", "Rule behind the code, such as SR-4; empty if the code says it all."),
)

_CLAIM_CHECK = _record(
    "ClaimCheck",
    "Where bytes too large for the record still lie.",
    _field("topic", "string", "Vendor topic."),
    _field("partition", "int", "Partition of it."),
    _field("offset", "long", "Offset in it."),
    _field("index", "int", "Place inside the message, from 0."),
)


def evidence_type() -> Json:
    """`Evidence`: the signed bytes, or where they are."""
    return _record(
        "Evidence",
        "The vendor's signed bytes, never re-serialised and never cleaned.",
        _field("content_type", "string", "Media type of the bytes, such as application/xml."),
        _field("sha256", "string", "SHA-256 of the bytes, 64 hex digits."),
        _field("size_bytes", "long", "How many bytes."),
        _field("content", ["bytes", _CLAIM_CHECK], "The bytes up to 64 KiB; above that a claim check."),
    )


def _mapped_head() -> Json:
    return _record(
        "MappedHead",
        "What intake knows: source, claim and findings.",
        _field("event_id", "string", "uuid5 of topic, partition, offset and index in the message."),
        _field("record_id", "string", "uuid5 of pupil code, school year and programme.", "idbanghi"),
        _field("lane", "string", "Lane token, 16 hex digits: a keyed hash of the pupil code."),
        _field("vendor", "string", "Vendor's name in the gateway."),
        _field("connector", "string", "name@mapping version that made this record."),
        _maybe("vendor_ref", "string", "The vendor's own id of the record."),
        _maybe("vendor_event_id", "string", "The vendor's own id of the event (ce_id)."),
        _field("event_type", _EVENT_TYPE, "The vendor's word.", "sukien"),
        _field("source_order", _SOURCE_ORDER, "Decides which of two events of a record is the newer."),
        _field("school_code", "string", "School that speaks.", "matruong"),
        _field("school_year", "string", "YYYY-YYYY.", "namhoc"),
        _field("programme", "string", "GDPT (levels 02 to 04) or GDTX (05)."),
        _maybe("grade", "string", "01 to 12.", "makhoi"),
        _field("occurred_at", _MILLIS, "When the record changed at the vendor.", "thoigiancapnhat"),
        _field("source", _SOURCE, "Where the event stands in the vendor's topic."),
        _field("content_hash", "string", "SHA-256 of the body's bytes, 64 hex digits."),
        _maybe("claim", _CLAIM, "Who the pupil is said to be; null for CANCEL."),
        _field("holds", {"type": "array", "items": _FINDING}, "Findings for which identity parks the record.")
        | {"default": []},
        _field("warnings", {"type": "array", "items": "Finding"}, "Findings that go along.") | {"default": []},
        _maybe("cause", "string", "Order that made this event (replay, edit, re-map)."),
        _maybe("traceparent", "string", "W3C trace context."),
    )


def _record_head() -> Json:
    return _record(
        "RecordHead",
        "What is settled: identity, version and source.",
        _field("event_id", "string", "uuid5 of topic, partition, offset and index in the message."),
        _field("record_id", "string", "uuid5 of pupil code, school year and programme.", "idbanghi"),
        _field("version", "int", "National version, 1 to 99999, minted by identity.", "phienban"),
        _field("lane", "string", "Lane token, 16 hex digits: a keyed hash of the pupil code."),
        _maybe("citizen_id", "string", "The confirmed citizen ID; null only for CANCEL.", "sodinhdanh"),
        _field("verdict", "string", "How the citizen ID was confirmed."),
        _field("event_type", _EVENT_TYPE, "The vendor's word; each target is told what fits its own state.", "sukien"),
        _field("vendor", "string", "Vendor's name in the gateway."),
        _field("connector", "string", "name@mapping version that made this record."),
        _maybe("vendor_ref", "string", "The vendor's own id of the record."),
        _maybe("vendor_event_id", "string", "The vendor's own id of the event (ce_id)."),
        _field("source_order", _SOURCE_ORDER, "Place in the vendor's order."),
        _field("school_code", "string", "School that speaks.", "matruong"),
        _field("school_year", "string", "YYYY-YYYY.", "namhoc"),
        _field("programme", "string", "GDPT (levels 02 to 04) or GDTX (05)."),
        _maybe("grade", "string", "01 to 12.", "makhoi"),
        _field("occurred_at", _MILLIS, "When the record changed at the vendor.", "thoigiancapnhat"),
        _field("source", _SOURCE, "Where the event stands in the vendor's topic."),
        _field("content_hash", "string", "SHA-256 of the body's bytes, 64 hex digits."),
        _field("warnings", {"type": "array", "items": _FINDING}, "Findings that go along.") | {"default": []},
        _maybe("cause", "string", "Order that made this event (replay, edit, re-map)."),
        _maybe("traceparent", "string", "W3C trace context."),
    )


def mapped_type(body: Json) -> Json:
    """`MappedRecord` around *body*."""
    doc = "INTERNAL (gateway.mapped): a national record whose identity and version are still open."
    return _whole("MappedRecord", doc, _mapped_head(), body)


def record_type(body: Json) -> Json:
    """`LearningRecord` around *body*."""
    doc = "The unified stream (national.records): one pupil in one school year; each version once, never backwards."
    return _whole("LearningRecord", doc, _record_head(), body)


def _whole(name: str, doc: str, head: Json, body: Json) -> Json:
    whole = _record(
        name,
        doc,
        _field("head", head, "Ids, version, source; short, so that it can be read alone."),
        _maybe("body", body, "What the school says; null for CANCEL."),
        _maybe("evidence", evidence_type(), "Signed bytes of the vendor, if any."),
    )
    return {"type": "record", "name": name, "namespace": NAMESPACE} | whole


def receipt_type() -> Json:
    """`Receipt`: the fate of one event, for its vendor."""
    problem = _record(
        "ReceiptProblem",
        "Why, whose turn it is, and what to do. Never a value.",
        _field("code", "string", "Code of the error catalogue."),
        _field("field", "string", "National field name or path."),
        _field("severity", "string", "reject, park or warn."),
        _field("owner", "string", "vendor, school, identity_office, target, operator or gateway."),
        _field("fix_vi", "string", "What to do, in Vietnamese."),
        _field("fix_en", "string", "What to do, in English."),
        _field("rule", "string", "Rule behind the code; empty if the code says it all."),
    )
    receipt = _record(
        "Receipt",
        "The fate of one event (vendor.<v>.receipts). Take the highest (stage rank, seq) of an event and target.",
        _field("event_id", "string", "uuid5 of topic, partition, offset and index in the message."),
        _field("vendor", "string", "Vendor's name in the gateway."),
        _maybe("vendor_event_id", "string", "The vendor's own id of the event (ce_id)."),
        _maybe("vendor_ref", "string", "The vendor's own id of the record."),
        _maybe("record_id", "string", "National record id, if it got that far."),
        _field("stage", "string", "intake, identity or delivery (in this rank)."),
        _maybe("target", "string", "Target; null: the state holds for every target."),
        _field(
            "state",
            "string",
            "accepted, superseded, duplicate, rejected, nothing_to_cancel, discarded, parked or waiting.",
        ),
        _field("seq", "int", "Rises per event and target inside a stage."),
        _maybe("version", "int", "National version, if minted."),
        _field("problems", {"type": "array", "items": problem}, "All findings, not only the first.") | {"default": []},
        _field("source", _SOURCE, "Where the event stands in the vendor's topic."),
        _field("at", _MILLIS, "When the state was reached."),
    )
    return {"type": "record", "name": "Receipt", "namespace": NAMESPACE} | receipt
