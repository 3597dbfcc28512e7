"""A child process for the zombie proof: the real intake worker with a connector that maps anything.

``python -m tests.integration.children.intake_child CONFIG LOG HOLD MODE``: every pass of a failpoint is a line in LOG
(``open slot-3``, ``committed slot-3``, ``starting slot-3``, ``end ProducerFenced``); while the file HOLD exists no
transaction is committed.  MODE ``slow`` starts producers 0.15 s apart, ``mutated`` reads ``committed()`` before the
producer's start: the fault that the proof must find.
"""

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.config import load_config
from gateway.edges import kafka
from gateway.edges.kafka import AssignedSlot, SlotProducer
from gateway.errors import Problem, severity_of
from gateway.intake import Items, Mapped, Outcome
from gateway.intake.given import Given
from gateway.record import Op, Position, SourceOrder, record_id
from gateway.workers import intake

SLOW_S = 0.15


@dataclass(frozen=True)
class AnyConnector:
    """Takes the message for a pupil code and cancels that pupil's record."""

    vendor: str
    name: str = "any"
    mapping_version: str = "1"
    weight: int = 1
    format: str = "json"
    max_bytes: int = 1_000_000
    signed_by: None = None
    encode: None = None

    def severity(self, problem: Problem) -> str:
        """As the catalogue says."""
        return severity_of(problem)

    def process(self, value: bytes, position: Position, timestamp_ms: int, given: Given) -> Outcome:
        """One CANCEL a message."""
        del given
        pupil = value.decode()
        item = Mapped(
            index=0,
            record_id=record_id(pupil, "2025-2026", "GDPT"),
            pupil_code=pupil,
            school_code="79999501",
            school_year="2025-2026",
            programme="GDPT",
            grade="08",
            event_type=Op.CANCEL,
            source_order=SourceOrder(1, position.offset),
            occurred_at_ms=timestamp_ms,
            vendor_ref=None,
            claim=None,
            body=None,
            holds=(),
            warnings=(),
            evidence=None,
        )
        return Items((item,), {})


def main() -> None:
    """Run until killed or fenced."""
    config_path, log_path, hold, mode = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    config = load_config(config_path, os.environ)
    vendor = config.connectors.enabled[0]

    def note(text: str) -> None:
        with log_path.open("a") as file:
            file.write(text + "\n")

    async def recording_failpoint(name: str) -> None:
        task = asyncio.current_task()
        slot = task.get_name() if task else "?"
        match name:
            case "intake.before_commit":
                note(f"open {slot}")
                while hold.exists():
                    await asyncio.sleep(0.01)
            case "intake.after_commit":
                note(f"committed {slot}")
            case "intake.producer_start":
                await asyncio.sleep(SLOW_S if mode != "plain" else 0)
                note(f"starting {slot}")
            case _:
                pass

    async def committed_first(slot: AssignedSlot, producer: SlotProducer, one_at_a_time: asyncio.Lock) -> None:
        await slot.seek_committed()
        async with one_at_a_time:
            await recording_failpoint("intake.producer_start")
            await producer.start()

    def only_any(_path: Path, _names: list[str] | None) -> dict[str, Any]:
        return {"any": AnyConnector(vendor)}

    for module, name, value in (
        (intake, "load_connectors", only_any),
        (intake, "failpoint", recording_failpoint),
        (kafka, "failpoint", recording_failpoint),
    ):
        setattr(module, name, value)
    if mode == "mutated":
        setattr(intake, "take_over", committed_first)  # noqa: B010  mypy knows the module's own function
    try:
        asyncio.run(intake.run(config, asyncio.Event()))
    except BaseException as error:
        note(f"end {type(error).__name__}")
        raise


if __name__ == "__main__":
    main()
