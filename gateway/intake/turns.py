"""Fair turns: how many records of each vendor a slot takes into its next batch.

Fairness is made at intake, where vendors are still apart: behind it everything is one stream.  Each vendor with
something to read gets a share by its weight; what one leaves is offered to the others; the first turn rotates.
"""

from collections.abc import Mapping


def shares(weights: Mapping[str, int], capacity: int, first: int) -> list[tuple[str, int]]:
    """Each vendor's share of *capacity* records (at least 1), in the order of their turns, rotated by *first*.

    >>> shares({"a": 1, "b": 3}, 8, first=1)
    [('b', 6), ('a', 2)]
    """
    names = sorted(weights)
    turn = first % len(names) if names else 0
    total = sum(weights.values())
    return [(name, max(1, capacity * weights[name] // total)) for name in names[turn:] + names[:turn]]
