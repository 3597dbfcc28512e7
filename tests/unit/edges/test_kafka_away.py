"""An outage of Kafka is waited for; what only a person can mend is raised."""

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NotLeaderForPartitionError,
    ProducerFenced,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from gateway.edges import kafka_start


@pytest.mark.parametrize("error", [KafkaConnectionError, KafkaTimeoutError, NotLeaderForPartitionError])
async def test_an_outage_is_waited_for(error: type[KafkaError], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_start, "AGAIN_S", 0.0)
    failures = [error(), error()]

    async def work() -> str:
        if failures:
            raise failures.pop()
        return "done"

    assert await kafka_start.hold_while_away(work, "test") == "done"


@pytest.mark.parametrize("error", [UnknownTopicOrPartitionError, TopicAuthorizationFailedError, ProducerFenced])
async def test_what_no_waiting_mends_is_raised(error: type[KafkaError]) -> None:
    async def refused() -> None:
        raise error

    with pytest.raises(error):
        await kafka_start.hold_while_away(refused, "test")
