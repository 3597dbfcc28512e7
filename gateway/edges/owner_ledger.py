"""Who owns which slot of which target, and what a person must look at there; reading only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.edges.ledger import Pool
from gateway.edges.operator_ledger import read_rows


@dataclass(frozen=True, slots=True)
class OwnedSlot:
    """A slot of a target: its last owner, how long that may still send (0: nobody may), and its alarm."""

    target: str
    slot: int
    owner: str
    epoch: int
    lease_left_s: float
    alarm: str
    alarm_since: datetime | None


_OWNED: Final = """
SELECT target, slot, coalesce(owner, '') AS owner, coalesce(epoch, 0)::bigint AS epoch,
       greatest(extract(epoch FROM lease_until - now()), 0)::float8 AS lease_left_s,
       coalesce(alarm, '') AS alarm, CASE WHEN alarm <> '' THEN alarm_since END AS alarm_since
FROM unnest(%(targets)s::text[]) AS target CROSS JOIN generate_series(0, %(slots)s - 1) AS slot
LEFT JOIN slot_owner USING (target, slot)
ORDER BY target, slot
"""


async def owned_slots(pool: Pool, targets: Sequence[str], slots: int) -> list[OwnedSlot]:
    """Every slot of *targets*, also those that nobody has ever owned."""
    return await read_rows(pool, OwnedSlot, _OWNED, {"targets": list(targets), "slots": slots})
