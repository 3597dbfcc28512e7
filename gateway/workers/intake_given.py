"""What intake finds out about messages before it maps them and before a transaction opens."""

from collections.abc import Mapping, Sequence

from gateway.edges.kafka_types import Record
from gateway.intake import Connector
from gateway.intake.given import NOTHING, Given


class Preparation:
    """Answers for whole batches; a message that needs nothing costs nothing."""

    def __init__(self, connectors: Mapping[str, Connector]) -> None:
        self._connectors = connectors

    async def given(self, records: Sequence[Record]) -> list[Given]:
        """What is known of each of *records*, in their order."""
        return [NOTHING] * len(records)
