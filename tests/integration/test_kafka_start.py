"""A worker that starts before Kafka holds, says so, and goes on when Kafka is there."""

import asyncio

import pytest

from gateway.config import Kafka
from gateway.edges import kafka_start
from gateway.edges.kafka_start import until_reachable
from gateway.sandbox.launch import free_ports


async def test_a_broker_that_answers_lets_the_worker_go_on(bootstrap_servers: str) -> None:
    async with asyncio.timeout(30):
        await until_reachable(Kafka(bootstrap_servers=bootstrap_servers), asyncio.Event())


async def test_it_holds_while_nobody_answers_and_ends_when_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kafka_start, "FIRST_WAIT_S", 0.05)
    (port,) = free_ports(1)
    stop = asyncio.Event()
    holding = asyncio.create_task(until_reachable(Kafka(bootstrap_servers=f"127.0.0.1:{port}"), stop))
    await asyncio.sleep(0.6)

    assert not holding.done()
    stop.set()
    async with asyncio.timeout(10):
        await holding
    assert "holding" in capsys.readouterr().out


async def test_it_goes_on_once_the_broker_came(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([False, False, True])
    monkeypatch.setattr(kafka_start, "FIRST_WAIT_S", 0.01)

    async def answer(_kafka: Kafka) -> bool:
        await asyncio.sleep(0)
        return next(answers)

    monkeypatch.setattr(kafka_start, "_answers", answer)

    await until_reachable(Kafka(bootstrap_servers="unused"), asyncio.Event())

    assert list(answers) == []
