"""Stage 1, pure: bytes of a vendor become national records, each with all its findings.

    bytes ──decode──► tree ──mapping──► body, event ──rules──► Mapped (holds, warnings) | Rejected | Duplicate
            JSON, XML        compiled from connectors/<name>    gateway.catalogue_dq: reject, park, warn

Rules a change must respect: `Connector.process` is total (any bytes give an Outcome, never an exception); every
finding is reported (up to 100 an item, strongest first) and the strongest decides; a problem names a field, never
a value; marks are decimal text, never binary floats; a signed document is derived from, never rewritten.
"""

from gateway.intake.connector import Connector
from gateway.intake.language import ConnectorFaults
from gateway.intake.outcome import Claim, Duplicate, Item, Items, Mapped, Outcome, Rejected, RejectedWhole

__all__ = [
    "Claim",
    "Connector",
    "ConnectorFaults",
    "Duplicate",
    "Item",
    "Items",
    "Mapped",
    "Outcome",
    "Rejected",
    "RejectedWhole",
]
