"""Verifies documents in processes of their own, so that the loop of a stage never stands still for it (pitfalls A11).

A process of the pool that ends ends the worker: its work would otherwise be lost without a word (design rule 11).
The processes start fresh (no fork of a running loop), leave signals to their worker, and end when it ends, however
that happened: a queue alone would keep them waiting for ever after its ``kill -9``.
"""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import connection
from typing import Final, Protocol

from gateway.edges.signature_files import TrustFiles
from gateway.errors import Problem
from gateway.intake.documents import Policy, findings
from gateway.intake.documents_trust import TrustBook

CHUNK_DOCUMENTS: Final = 16
CHUNK_BYTES: Final = 512 * 1024
PATIENCE_S: Final = 60.0
"""A chunk's work is bounded by its size; a process that takes longer than this hangs."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One document to verify; *received_ms* is when the broker took it."""

    value: bytes
    policy: Policy
    received_ms: int


class Verifier(Protocol):
    """What intake needs of whoever verifies signatures."""

    async def findings(self, documents: Sequence[Asked]) -> list[tuple[Problem, ...]]:
        """What is found of each of *documents*, in their order."""
        ...


class SignaturePool:
    """A fixed number of processes with one trust store."""

    def __init__(self, trust: TrustFiles, workers: int) -> None:
        self._processes = ProcessPoolExecutor(
            workers, multiprocessing.get_context("spawn"), initializer=_start, initargs=(trust,)
        )

    async def findings(self, documents: Sequence[Asked]) -> list[tuple[Problem, ...]]:
        """What is found of each of *documents*, in their order; raises BrokenProcessPool when a process ended."""
        loop = asyncio.get_running_loop()
        chunks = chunked(documents)
        async with asyncio.timeout(PATIENCE_S * max(1, len(chunks))):
            parts = await asyncio.gather(*(loop.run_in_executor(self._processes, _verify, chunk) for chunk in chunks))
        return [found for part in parts for found in part]

    def close(self) -> None:
        """End the processes; what they are at is not waited for."""
        self._processes.shutdown(wait=False, cancel_futures=True)


def chunked(documents: Sequence[Asked]) -> list[list[Asked]]:
    """*documents* in pieces small enough that all processes get some, large enough to be worth the way."""
    chunks: list[list[Asked]] = []
    size = 0
    for document in documents:
        if not chunks or len(chunks[-1]) >= CHUNK_DOCUMENTS or size + len(document.value) > CHUNK_BYTES:
            chunks.append([])
            size = 0
        chunks[-1].append(document)
        size += len(document.value)
    return chunks


def moment(milliseconds: int) -> datetime:
    """The instant of a broker's timestamp."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


class _Process:
    """What a process of the pool keeps between chunks."""

    book: TrustBook


def _start(trust: TrustFiles) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True, name="parent-watch").start()
    _Process.book = TrustBook(trust.store())


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _verify(documents: Sequence[Asked]) -> list[tuple[Problem, ...]]:
    return [
        findings(document.value, document.policy, _Process.book, moment(document.received_ms)) for document in documents
    ]
