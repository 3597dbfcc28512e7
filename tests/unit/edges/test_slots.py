"""The slot assignor: slot p of every topic belongs to one member, whatever the counts and subscriptions."""

import pytest

from gateway.edges.slots import UnequalPartitions, assign_slots

TOPICS = frozenset({"national.records", "gateway.mapped", "vendor.a.records"})


def owners(assignment: dict[str, dict[str, list[int]]], topic: str) -> dict[int, str]:
    return {slot: member for member, owned in assignment.items() for slot in owned.get(topic, [])}


@pytest.mark.parametrize("partitions", [12, 5, 4, 1])
def test_five_members_never_tear_a_slot_apart(partitions: int) -> None:
    members = dict.fromkeys(("m1", "m2", "m3", "m4", "m5"), TOPICS)

    assignment = assign_slots(dict.fromkeys(TOPICS, partitions), members)

    torn = {topic: owners(assignment, topic) for topic in TOPICS}
    assert len({tuple(sorted(found.items())) for found in torn.values()}) == 1
    assert set(owners(assignment, "gateway.mapped")) == set(range(partitions))


def test_slots_are_spread_evenly() -> None:
    assignment = assign_slots(
        {"gateway.mapped": 12}, dict.fromkeys(("a", "b", "c", "d", "e"), frozenset({"gateway.mapped"}))
    )

    assert sorted(len(owned.get("gateway.mapped", [])) for owned in assignment.values()) == [2, 2, 2, 3, 3]


def test_a_member_with_an_older_subscription_gets_nothing_until_it_is_upgraded() -> None:
    old = TOPICS - {"vendor.a.records"}

    assignment = assign_slots(dict.fromkeys(TOPICS, 12), {"new-1": TOPICS, "new-2": TOPICS, "old": old})

    assert assignment["old"] == {}
    assert all(set(owners(assignment, topic)) == set(range(12)) for topic in TOPICS)


def test_unequal_partition_counts_are_refused_with_their_names() -> None:
    with pytest.raises(UnequalPartitions, match=r"gateway\.mapped=12, national\.records=5"):
        assign_slots({"gateway.mapped": 12, "national.records": 5}, {"m": frozenset({"gateway.mapped"})})


def test_no_member_no_assignment() -> None:
    assert assign_slots({"gateway.mapped": 4}, {}) == {}
