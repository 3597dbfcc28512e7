"""Who owns which slot: slot p is partition p of every topic of a stage, and has one owner.

aiokafka's own assignors co-locate partitions only by luck (round robin: 0 of 5 slots right with 5 partitions) or pile
small topics on the first members (range).  This one gives slot p of every subscribed topic to one member.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from gateway.errors import GatewayError

PROTOCOL_VERSION: Final = 0


class Cluster(Protocol):
    """What the assignor asks of aiokafka's cluster metadata."""

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """The partition numbers of *topic*, None when it is unknown."""


class UnequalPartitions(GatewayError):
    """The topics of one group do not have the same partition count."""


def assign_slots(
    partitions: Mapping[str, int], members: Mapping[str, frozenset[str]]
) -> dict[str, dict[str, list[int]]]:
    """Slots of every topic for each member: ``{member: {topic: [partition, …]}}``.

    *partitions* gives each topic's count, *members* each member's subscription.  Only members that know every topic
    (in a rolling upgrade: the new ones; if nobody does, the ones that know most) are given slots, so that no slot is
    ever torn between two owners.  Raises UnequalPartitions when the counts differ.
    """
    if len(set(partitions.values())) > 1:
        counts = ", ".join(f"{topic}={count}" for topic, count in sorted(partitions.items()))
        message = f"topics of one group need the same partition count: {counts}"
        raise UnequalPartitions(message)
    known = {member: topics & partitions.keys() for member, topics in members.items()}
    most = max((len(topics) for topics in known.values()), default=0)
    capable = sorted(member for member, topics in known.items() if len(topics) == most)
    widest = known[capable[0]] if capable else frozenset[str]()
    capable = [member for member in capable if known[member] == widest]
    slots: dict[str, dict[str, list[int]]] = {member: {} for member in members}
    for topic in sorted(widest):
        for slot in range(partitions[topic]):
            slots[capable[slot % len(capable)]].setdefault(topic, []).append(slot)
    return slots


class SlotAssignor(AbstractPartitionAssignor):  # type: ignore[misc]  # aiokafka is untyped
    """``assign_slots`` in the form aiokafka asks for; *on_refusal* hears why nothing could be assigned."""

    name = "hocba-slot"

    def __init__(self, on_refusal: Callable[[Exception], None]) -> None:
        self._on_refusal = on_refusal

    def assign(  # aiokafka calls it on the object it was given, an instance here
        self, cluster: Cluster, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Slots for every member of the group."""
        subscriptions = {member: frozenset(data.subscription) for member, data in members.items()}
        topics = frozenset[str]().union(*subscriptions.values())
        counts = {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics}
        try:
            slots = assign_slots({topic: count for topic, count in counts.items() if count}, subscriptions)
        except UnequalPartitions as error:
            self._on_refusal(error)
            slots = {member: {} for member in members}
        return {
            member: ConsumerProtocolMemberAssignment(PROTOCOL_VERSION, sorted(owned.items()), b"")
            for member, owned in slots.items()
        }

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """This member's subscription in Kafka's consumer protocol."""
        return ConsumerProtocolMemberMetadata(PROTOCOL_VERSION, list(topics), b"")

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Nothing to remember."""
