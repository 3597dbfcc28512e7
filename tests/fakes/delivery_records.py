"""Records of the unified stream for delivery's tests: what identity would have written."""

from dataclasses import dataclass

from gateway.national import codec
from gateway.record import H_VERSION, Headers
from tests.fakes.identity_school import YEARS, Pupil, make, pupil


@dataclass(frozen=True)
class National:
    """A record of national.records ready to be produced."""

    event_id: str
    record_id: str
    version: int
    op: str
    slot: int
    value: bytes
    headers: Headers


def national(
    number: int, version: int, place: int, *, slots: int, op: str = "UPDATE", year: str = YEARS[0]
) -> National:
    """Version *version* of pupil *number*'s record; *place* is its offset at the vendor."""
    child: Pupil = pupil(number, "known")
    sent = make(child, place, version, slots=slots, year=year, op=op)
    mapped, rest = codec.split_mapped(sent.value)
    head = {name: mapped[name] for name in codec_head_fields() if name in mapped}
    head |= {"version": version, "citizen_id": child.citizen_id, "verdict": "confirmed"}
    headers = [*sent.headers, (H_VERSION, str(version).encode())]
    return National(sent.event_id, sent.record_id, version, op, sent.slot, codec.encode_record(head, rest), headers)


def codec_head_fields() -> tuple[str, ...]:
    """The fields that identity takes over from a mapped head."""
    return (
        "event_id",
        "record_id",
        "lane",
        "event_type",
        "vendor",
        "connector",
        "vendor_ref",
        "source_order",
        "school_code",
        "school_year",
        "programme",
        "grade",
        "occurred_at",
        "source",
        "content_hash",
        "warnings",
        "cause",
    )
