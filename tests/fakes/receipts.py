"""Receipts as the stages write them, with everything but the interesting fields filled in."""

from typing import Any

from gateway.record import Position, event_id

AT_MS = 1_790_000_000_000
VENDOR = "mau"


def event(number: int) -> str:
    """The id of the *number*-th synthetic event."""
    return event_id(source(number), 0)


def source(number: int) -> Position:
    """Where the *number*-th synthetic event stands."""
    return Position(f"vendor.{VENDOR}.records", number % 4, number)


def receipt(number: int, state: str, *, stage: str = "delivery", seq: int = 1, **more: Any) -> dict[str, Any]:
    """A receipt of the *number*-th event as ``codec.encode_receipt`` takes it."""
    position = source(number)
    return {
        "event_id": event(number),
        "vendor": VENDOR,
        "vendor_event_id": None,
        "vendor_ref": None,
        "record_id": None,
        "stage": stage,
        "target": None,
        "state": state,
        "seq": seq,
        "version": None,
        "problems": [],
        "source": {
            "topic": position.topic,
            "partition": position.partition,
            "offset": position.offset,
            "index": 0,
            "timestamp": AT_MS + number * 40 * 24 * 3600 * 1000 % 10_000_000_000,
        },
        "at": AT_MS + seq,
        **more,
    }


def problem(code: str, severity: str = "park", field: str = "", owner: str = "school") -> dict[str, Any]:
    """A problem of a receipt."""
    texts = {"fix_vi": "Sửa rồi gửi lại.", "fix_en": "Correct and publish again.", "rule": ""}
    return {"code": code, "field": field, "severity": severity, "owner": owner, **texts}
