"""What only shows when all items of a message stand side by side: copies, contradictions, one ID on two pupils
(DQ-23).

Same record, same version: an identical copy is ignored (`Duplicate`), different contents hold all involved.
A rejected item takes part too: which of the two pupils of one code is meant, is open all the same.
Different versions of one record are a history, not a contradiction.  A temporary code beside the official one holds
only itself (DQ-24, already found), so it takes no part here.
"""

from dataclasses import replace

from gateway.errors import Problem
from gateway.intake.outcome import MAX_FINDINGS, Duplicate, Item, Mapped, Rejected

_COPY = (Problem("DQ-46", "pupil_code"),)


def settle_message(items: list[Item], temporary_code: str) -> tuple[Item, ...]:
    """*items* with copies replaced and contradictions held."""
    if len(items) < 2:
        return tuple(items)
    settled = _copies(items)
    held = _contradictions(settled) | _shared_ids(settled, temporary_code)
    return tuple(_hold(item, sorted(held)) for item in settled) if held else tuple(settled)


def _copies(items: list[Item]) -> list[Item]:
    seen: dict[tuple[object, ...], list[Mapped]] = {}
    settled: list[Item] = []
    for item in items:
        settled.append(item)
        if not isinstance(item, Mapped):
            continue
        earlier = seen.setdefault((item.record_id, item.source_order), [])
        first = next((other for other in earlier if _content(other) == _content(item)), None)
        if first is None:
            earlier.append(item)
        else:
            settled[-1] = Duplicate(item.index, first.index, item.record_id, item.vendor_ref, _COPY)
    return settled


def _content(item: Mapped) -> tuple[object, ...]:
    return item.event_type, item.school_code, item.body


def _contradictions(items: list[Item]) -> set[tuple[int, str]]:
    """Index and field of each item that shares record and version with another of different content."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for item in items:
        if not isinstance(item, Duplicate) and item.record_id is not None and item.source_order is not None:
            groups.setdefault((item.record_id, item.source_order), []).append(item.index)
    return {(index, "pupil_code") for group in groups.values() if len(group) > 1 for index in group}


def _shared_ids(items: list[Item], temporary_code: str) -> set[tuple[int, str]]:
    owners: dict[str, dict[str, list[int]]] = {}
    for item in items:
        if not isinstance(item, Mapped) or item.claim is None or item.claim.citizen_id is None:
            continue
        if temporary_code and item.pupil_code.startswith(temporary_code):
            continue
        owners.setdefault(item.claim.citizen_id, {}).setdefault(item.pupil_code, []).append(item.index)
    shared = [pupils for pupils in owners.values() if len(pupils) > 1]
    return {(index, "citizen_id") for pupils in shared for indexes in pupils.values() for index in indexes}


def _hold(item: Item, held: list[tuple[int, str]]) -> Item:
    more = tuple(Problem("DQ-23", field) for index, field in held if index == item.index)
    match item:
        case Mapped() if more:
            return replace(item, holds=item.holds[: MAX_FINDINGS - len(more)] + more)
        case Rejected() if more:
            return replace(item, problems=item.problems[: MAX_FINDINGS - len(more)] + more)
        case _:
            return item
