"""What intake finds out about messages before it maps them and before a transaction opens: the signatures of documents.

(Writer schemas of Avro messages: `intake_schemas`.)
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gateway.config import Documents
from gateway.edges.kafka_types import Record
from gateway.edges.signature_files import TrustFiles, load_trust
from gateway.edges.signature_pool import Asked, SignaturePool, Verifier
from gateway.errors import GatewayError, Problem
from gateway.intake import Connector
from gateway.intake.given import NOTHING, Given
from gateway.record import Position, vendor_topic


class NoTrustStore(GatewayError):
    """A connector requires signatures that this installation could not believe."""


class Preparation:
    """Answers for whole batches; a message that needs nothing costs nothing."""

    def __init__(self, connectors: Mapping[str, Connector], verifier: Verifier | None = None) -> None:
        self.connectors = connectors
        self.by_topic = {
            vendor_topic(vendor, kind): connector
            for vendor, connector in connectors.items()
            for kind in ("records", "bulk")
        }
        self._verifier = verifier
        self._signed = {topic for topic, connector in self.by_topic.items() if connector.signed_by is not None}
        self._verified: dict[int, dict[Position, Given]] = {}
        """Of each slot's last batch."""

    async def given(self, records: Sequence[Record]) -> list[Given]:
        """What is known of each of *records*, in their order."""
        if self._verifier is None or self._signed.isdisjoint({record.topic for record in records}):
            return [NOTHING] * len(records)
        verified = await self._verify(records, self._verifier)
        return [verified.get(_position(record), NOTHING) for record in records]

    async def _verify(self, records: Sequence[Record], verifier: Verifier) -> Mapping[Position, Given]:
        """The findings of signed documents; what a batch gave back unread is known when it comes again."""
        slot = records[0].partition
        known = self._verified.get(slot, {})
        asked: dict[Position, Asked] = {}
        verified: dict[Position, Given] = {}
        for record in records:
            connector, position, value = self.by_topic[record.topic], _position(record), record.value
            if position in known:
                verified[position] = known[position]
            elif connector.signed_by is not None and value and len(value) <= connector.max_bytes:
                asked[position] = Asked(value, connector.signed_by, record.timestamp)
        found = await verifier.findings(list(asked.values())) if asked else []
        for position, problems in zip(asked, found, strict=True):
            verified[position] = Given(findings=problems) if problems else NOTHING
        self._verified[slot] = verified
        return verified


def start_verifier(settings: Documents, connectors: Iterable[Connector]) -> SignaturePool | None:
    """Whoever verifies signatures, where a connector asks for it.

    Raises ConfigFaults for a faulty trust store, NoTrustStore where signatures are required and there is none.
    """
    asking = [connector for connector in connectors if connector.signed_by is not None]
    required = sorted(connector.name for connector in asking if connector.severity(Problem("DQ-42")) == "park")
    if required and not settings.trust:
        message = (
            f"connectors that require signatures: {', '.join(required)}; name the folder of the trust store in "
            "gateway.yaml (documents: {trust: FOLDER}), or let the connectors warn or ignore"
        )
        raise NoTrustStore(message)
    if not asking:
        return None
    trust = load_trust(Path(settings.trust)) if settings.trust else TrustFiles()
    return SignaturePool(trust, settings.workers)


def within(records: Sequence[Record], max_bytes: int) -> tuple[Sequence[Record], list[Record]]:
    """As many of *records* as one batch takes, at least one; and the rest."""
    size = 0
    for number, record in enumerate(records):
        size += len(record.value or b"")
        if size > max_bytes and number:
            return records[:number], list(records[number:])
    return records, []


def _position(record: Record) -> Position:
    return Position(record.topic, record.partition, record.offset)
