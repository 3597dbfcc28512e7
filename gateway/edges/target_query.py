"""Asking a target which version of a record it holds, before something is sent to it again.

For targets whose contract says that they recognise a repeated send neither by key nor by version.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.edges.target_contract import ImmediateContract, Query
from gateway.edges.target_door import Door, Turned
from gateway.outcomes import Hold, Unavailable

_JSON = {"content-type": "application/json"}


async def held_versions(
    door: Door, contract: ImmediateContract, query: Query, record_ids: Sequence[str]
) -> Mapping[str, int] | Unavailable | Hold:
    """The versions that the target holds; what it does not name, it does not hold.

    Whatever is not a whole answer is Unavailable or Hold: nothing is concluded from it.
    """
    asked = msgspec.json.encode({query.ids: list(record_ids)})
    reply = await door.ask("POST", query.path, content=asked, headers=_JSON)
    match reply:
        case Turned(whole=Hold() | Unavailable() as whole):
            return whole
        case Turned():
            return Unavailable(reply.slow_down_s, "query")
        case _ if not door.is_found(reply):
            return Hold("contract")
        case _:
            return _read(contract, reply.body, set(record_ids))


def _read(contract: ImmediateContract, body: bytes, asked: set[str]) -> Mapping[str, int] | Unavailable:
    wire = contract.wire
    try:
        rows: Any = msgspec.json.decode(body, type=dict[str, Any]).get(wire.answers)
    except msgspec.MsgspecError:
        rows = None
    if not isinstance(rows, list):
        return Unavailable(None, "unreadable")
    held: dict[str, int] = {}
    for row in rows:
        name, version = (
            (row.get(wire.answer_id), row.get(wire.answer_version)) if isinstance(row, dict) else (None, None)
        )
        if not isinstance(name, str) or type(version) is not int:
            return Unavailable(None, "unreadable")  # half an answer would let a record be sent twice
        if name in asked:
            held[name] = max(held.get(name, 0), version)
    return held
