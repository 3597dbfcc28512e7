"""A record under a temporary pupil code, once the official one is known: the same event, addressed anew.

The official code changes lane, slot and record id, so the record belongs to another slot: it goes back to
gateway.mapped under the same event id.  The body names the code and is written again; the evidence is not touched.
"""

from collections.abc import Iterable, Mapping

from gateway.edges.identity_aliases import AliasStore
from gateway.edges.kafka import Output
from gateway.edges.ledger import hold_while_down
from gateway.identity.plan import BEHIND, Row
from gateway.national import codec
from gateway.record import H_SEQ, MAPPED_TOPIC, lane_text, lane_token, record_id, slot_of
from gateway.workers.identity_records import TEMPORARY_CODE, Item
from gateway.workers.intake_outputs import mapped_headers


def is_temporary(item: Item) -> bool:
    """Whether *item* waits for an official pupil code."""
    return any(hold.code == TEMPORARY_CODE for hold in item.event.holds)


def addressed_anew(item: Item, official: str, *, lane_key: bytes, slots: int, seq: int) -> Output:
    """*item* under its pupil's *official* code; *seq* is above that of every receipt its event has had."""
    mapped = codec.decode_mapped(item.value)
    body = mapped["body"]
    body_bytes = codec.encode_body(None if body is None else body | {"pupil_code": official})
    lane = lane_token(lane_key, official)
    head = mapped["head"]
    record = record_id(official, head["school_year"], head["programme"])
    claim = head["claim"]
    head |= {
        "record_id": record,
        "lane": lane_text(lane),
        "content_hash": codec.content_hash(body_bytes),
        "claim": None if claim is None else claim | {"pupil_code": official, "temporary_code": False},
        "holds": [hold for hold in head["holds"] if hold["code"] != TEMPORARY_CODE],
    }
    routing = mapped_headers(head | {"traceparent": head["traceparent"] or ""})
    headers = [*(pair for pair in routing if pair[1]), (H_SEQ, str(seq).encode())]
    value = codec.encode_mapped(head, body_bytes, codec.encode_evidence(mapped["evidence"]))
    return Output(MAPPED_TOPIC, slot_of(lane, slots), record.encode(), value, headers)


class Aliases:
    """What a slot knows of official codes while it decides on a batch."""

    def __init__(self, store: AliasStore, lane_key: bytes, slots: int) -> None:
        self._store = store
        self._lane_key = lane_key
        self._slots = slots

    async def known(self, items: Iterable[Item], rows: Iterable[Row]) -> dict[int, str]:
        """The official codes of pupils who came under a temporary one, by its lane."""
        lanes = {item.event.lane for item in items if is_temporary(item)}
        lanes |= {row.lane for row in rows if row.code in {TEMPORARY_CODE, BEHIND}}
        return await hold_while_down(lambda: self._store.known(lanes), "aliases") if lanes else {}

    def anew(self, item: Item, known: Mapping[int, str], seq: int) -> Output | None:
        """*item* under its pupil's official code; None if it has its own or nobody knows another."""
        official = known.get(item.event.lane) if is_temporary(item) else None
        if official is None:
            return None
        return addressed_anew(item, official, lane_key=self._lane_key, slots=self._slots, seq=seq)
