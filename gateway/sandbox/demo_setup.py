"""The folder of a run: fresh keys, the simulators' credentials, a ``gateway.yaml``, the vendors' file, books and logs.

Short times (session 3 s, lease 3 s, transaction 6 s) so that a killed worker's slots are taken over while one
watches; everything else is as in an installation.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from gateway.config import Config, load_config
from gateway.edges import topics
from gateway.edges.kafka import make_consumer
from gateway.edges.kafka_types import TopicPartition
from gateway.edges.keys import new_keys
from gateway.errors import GatewayError
from gateway.sandbox.demo_simulators import Simulator

PROJECT_ROOT: Final = Path(__file__).resolve().parents[2]
SLOTS: Final = 4
SESSION_S: Final = 3.0
LEASE_S: Final = 3.0
TRANSACTION_MS: Final = 6_000


class NotEmptyError(GatewayError):
    """The servers already hold records: a run must be able to count its own."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a run keeps its files."""

    folder: Path

    @property
    def config(self) -> Path:
        """The workers' configuration."""
        return self.folder / "gateway.yaml"

    @property
    def keys(self) -> Path:
        """Lane-token and ledger keys, mode 0600."""
        return self.folder / "keys.json"

    @property
    def state(self) -> Path:
        """The supervisor's folder: ``workers.json`` and the workers' logs."""
        return self.folder / "state"

    @property
    def vendors_file(self) -> Path:
        """What the vendors sent, a line a pupil record."""
        return self.folder / "vendors.jsonl"

    @property
    def pupils(self) -> Path:
        """The registry's entries."""
        return self.folder / "pupils.jsonl"


@dataclass(frozen=True, slots=True)
class Addresses:
    """The servers of a run."""

    bootstrap_servers: str
    ledger_url: str


def write_config(
    layout: Layout, addresses: Addresses, neighbours: Mapping[str, Simulator], environment: Mapping[str, str]
) -> Config:
    """Make keys and configuration of a run and load it as a worker will."""
    new_keys(layout.keys)
    content = _content(layout, addresses, neighbours)
    layout.config.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
    layout.config.chmod(0o600)  # the embedded ledger's URL holds its password
    return load_config(layout.config, environment)


def _content(layout: Layout, addresses: Addresses, neighbours: Mapping[str, Simulator]) -> dict[str, Any]:
    registry = neighbours["registry"]
    return {
        "slots": SLOTS,
        "kafka": {
            "bootstrap_servers": addresses.bootstrap_servers,
            "replication_factor": 1,
            "min_insync_replicas": 1,
            "session_timeout_ms": int(SESSION_S * 1000),
            "transaction_timeout_ms": TRANSACTION_MS,
        },
        "ledger": {"url": addresses.ledger_url},
        "keys_file": str(layout.keys),
        "state_dir": str(layout.state),
        "registry": {"url": registry.url, "credentials_file": str(registry.credentials_file)},
        "targets": {
            name: {
                "contract": str(PROJECT_ROOT / "targets" / f"{name}.yaml"),
                "url": neighbours[name].url,
                "credentials_file": str(neighbours[name].credentials_file),
            }
            for name in ("sector", "population")
        },
        "connectors": {"path": str(PROJECT_ROOT / "connectors")},
        "delivery": {"lease_s": LEASE_S, "drain_s": 1.0},
    }


async def prepare_topics(config: Config, vendors: Iterable[str]) -> None:
    """Create the topics; raises NotEmptyError when they hold records of somebody else."""
    plans = topics.plan(config, vendors)
    await topics.apply(config, plans)
    consumer = make_consumer(config.kafka)
    await consumer.start()
    try:
        partitions = [TopicPartition(plan.name, number) for plan in plans for number in range(plan.partitions)]
        ends = await consumer.end_offsets(partitions)
    finally:
        await consumer.stop()
    used = sorted({partition.topic for partition, end in ends.items() if end})
    if used:
        message = (
            f"the demo needs a broker without records of an earlier run; these topics have some: {', '.join(used)}"
        )
        raise NotEmptyError(message)
