"""The topics and their policies (design section 1): planned from configuration, applied, and checked at every start.

A wrong policy loses data silently: a compacted gateway.mapped lets a late version erase a newer one, a vendor with
a slow clock on a CreateTime topic has its records deleted unread.  Partition counts are never altered.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from gateway.config import Config
from gateway.edges.kafka import make_consumer
from gateway.edges.kafka_types import TopicPartition
from gateway.errors import GatewayError
from gateway.record import DRIFT_TOPIC, MAPPED_TOPIC, MARKS_TOPIC, NATIONAL_TOPIC, QUARANTINE_TOPIC, vendor_topic

HOUR_MS: Final = 3600 * 1000
DAY_MS: Final = 24 * HOUR_MS
MIB: Final = 1024 * 1024
INPUT_BYTES: Final = 8 * MIB
REJECTED_BYTES: Final = 9 * MIB


class TopicFaults(GatewayError):
    """Topics are missing or differ from the plan; the text lists each difference."""


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """A topic as it must be."""

    name: str
    partitions: int
    replication_factor: int
    policy: dict[str, str]


def _deleted_after(days: int, max_bytes: int, **more: str) -> dict[str, str]:
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(days * DAY_MS),
        "max.message.bytes": str(max_bytes),
        **{key.replace("_", "."): value for key, value in more.items()},
    }


_INPUT: Final = _deleted_after(30, INPUT_BYTES, message_timestamp_type="LogAppendTime")
VENDOR_POLICIES: Final[Mapping[str, dict[str, str]]] = {
    "records": _INPUT,
    "bulk": _INPUT,
    "rejected": _deleted_after(90, REJECTED_BYTES),
    "receipts": _deleted_after(90, MIB),
}
"""Kind of a vendor's topic → its policy."""


def plan(config: Config, vendors: Iterable[str]) -> list[TopicPlan]:
    """Every topic of the installation, in the order of the data's way."""
    policies: dict[str, dict[str, str]] = {}
    for vendor in sorted(set(vendors)):
        policies |= {vendor_topic(vendor, kind): policy for kind, policy in VENDOR_POLICIES.items()}
    policies[MAPPED_TOPIC] = _deleted_after(30, REJECTED_BYTES)
    policies[QUARANTINE_TOPIC] = _deleted_after(90, REJECTED_BYTES)
    policies[MARKS_TOPIC] = {  # read whole at each take-over, so kept short
        "cleanup.policy": "compact",
        "max.message.bytes": str(MIB),
        "segment.ms": str(HOUR_MS),
        "min.cleanable.dirty.ratio": "0.1",
    }
    policies[DRIFT_TOPIC] = _deleted_after(7, MIB)
    policies[NATIONAL_TOPIC] = {
        "cleanup.policy": "compact",
        "min.compaction.lag.ms": str(30 * DAY_MS),
        "max.message.bytes": str(REJECTED_BYTES),
    }
    durable = {"min.insync.replicas": str(config.kafka.min_insync_replicas)}
    return [
        TopicPlan(name, config.slots, config.kafka.replication_factor, policy | durable)
        for name, policy in policies.items()
    ]


async def differences(config: Config, plans: list[TopicPlan]) -> list[str]:
    """What the broker has otherwise than planned, a sentence each; empty when all is right."""
    admin = await _admin(config)
    try:
        counts = await _partition_counts(admin, plans)
        found = [f"{p.name}: is missing" for p in plans if p.name not in counts]
        found += [
            f"{p.name}: has {counts[p.name]} partitions, the installation has {p.partitions} slots"
            for p in plans
            if p.name in counts and counts[p.name] != p.partitions
        ]
        actual = await _policies(admin, [p for p in plans if p.name in counts])
        for p in plans:
            for key, value in p.policy.items():
                has = actual.get(p.name, {}).get(key, value)
                if has != value:
                    found.append(f"{p.name}: {key} is {has}, must be {value}")
        return found
    finally:
        await admin.close()


async def apply(config: Config, plans: list[TopicPlan]) -> list[str]:
    """Create what is missing and set what differs; never alters a partition count (raises TopicFaults)."""
    admin = await _admin(config)
    try:
        counts = await _partition_counts(admin, plans)
        wrong = [p for p in plans if p.name in counts and counts[p.name] != p.partitions]
        if wrong:
            names = ", ".join(f"{p.name} ({counts[p.name]})" for p in wrong)
            message = f"partition counts are fixed at installation; other than slots={config.slots}: {names}"
            raise TopicFaults(message)
        missing = [p for p in plans if p.name not in counts]
        done = [f"{p.name}: created with {p.partitions} partitions" for p in missing]
        if missing:
            await admin.create_topics(
                [NewTopic(p.name, p.partitions, p.replication_factor, topic_configs=p.policy) for p in missing]
            )
            await _until_led(config, missing)
        present = [p for p in plans if p.name in counts]
        actual = await _policies(admin, present)
        stale = [p for p in present if any(actual[p.name].get(k, v) != v for k, v in p.policy.items())]
        if stale:
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, p.name, p.policy) for p in stale])
        return done + [f"{p.name}: policy set" for p in stale]
    finally:
        await admin.close()


async def check(config: Config, vendors: Iterable[str]) -> None:
    """Raise TopicFaults with every difference from the plan: a worker refuses to start on them."""
    found = await differences(config, plan(config, vendors))
    if found:
        message = "topics differ from the plan; run `hocba topics apply`:\n" + "\n".join(found)
        raise TopicFaults(message)


async def _until_led(config: Config, created: list[TopicPlan]) -> None:
    """Wait until every new partition answers: for a moment after creation its leader refuses writes."""
    consumer = make_consumer(config.kafka)
    await consumer.start()
    try:
        await consumer.end_offsets([TopicPartition(p.name, n) for p in created for n in range(p.partitions)])
    finally:
        await consumer.stop()


async def _admin(config: Config) -> AIOKafkaAdminClient:
    admin = AIOKafkaAdminClient(bootstrap_servers=config.kafka.bootstrap_servers)
    await admin.start()
    return admin


async def _partition_counts(admin: AIOKafkaAdminClient, plans: list[TopicPlan]) -> dict[str, int]:
    known = set(await admin.list_topics())
    names = [p.name for p in plans if p.name in known]
    if not names:
        return {}
    return {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics(names)}


async def _policies(admin: AIOKafkaAdminClient, plans: list[TopicPlan]) -> dict[str, dict[str, str]]:
    if not plans:
        return {}
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, p.name) for p in plans])
    return {
        resource[3]: {entry[0]: entry[1] for entry in resource[4]}
        for answer in answers
        for resource in answer.resources
    }
