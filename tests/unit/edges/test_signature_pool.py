"""Documents are verified in other processes: in order, without holding up the loop, and never silently lost."""

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from gateway.edges.signature_files import load_trust
from gateway.edges.signature_pool import CHUNK_BYTES, CHUNK_DOCUMENTS, Asked, SignaturePool, chunked
from gateway.intake.documents_layout import Role
from gateway.sandbox.signing import sign_record
from tests.fakes.signers import ALL, RECEIVED, document, signers, store

RECEIVED_MS = int(RECEIVED.timestamp() * 1000)


def asked(value: bytes) -> Asked:
    return Asked(value, ALL, RECEIVED_MS)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignaturePool]:
    made = SignaturePool(load_trust(store(tmp_path_factory.mktemp("trust"))), workers=2)
    yield made
    made.close()


async def test_findings_come_in_the_order_of_the_documents(pool: SignaturePool) -> None:
    good = sign_record(document(), signers())
    unsealed = sign_record(document(), {role: s for role, s in signers().items() if role is not Role.SCHOOL_SEAL})
    found = await pool.findings([asked(value) for value in [good, unsealed, b""] * CHUNK_DOCUMENTS])

    fields = [[problem.field for problem in problems] for problems in found]
    assert fields == [[], ["signature.school_seal"], ["signature"]] * CHUNK_DOCUMENTS


async def test_nothing_asked_is_nothing_found(pool: SignaturePool) -> None:
    assert await pool.findings([]) == []


async def test_the_loop_runs_on_while_documents_are_verified(pool: SignaturePool) -> None:
    good = sign_record(document(), signers())
    turns = 0
    verifying = asyncio.ensure_future(pool.findings([asked(good)] * 200))
    while not verifying.done():
        turns += 1
        await asyncio.sleep(0)

    assert turns > 100


def test_chunks_are_bounded_in_number_and_bytes() -> None:
    small = [asked(b"x")] * (2 * CHUNK_DOCUMENTS + 1)
    large = [asked(b"x" * CHUNK_BYTES)] * 3

    assert [len(chunk) for chunk in chunked(small)] == [CHUNK_DOCUMENTS, CHUNK_DOCUMENTS, 1]
    assert [len(chunk) for chunk in chunked(large)] == [1, 1, 1]
    assert chunked([]) == []


async def test_a_process_that_dies_is_an_error_and_not_an_answer(tmp_path: Path) -> None:
    before = {child.pid for child in multiprocessing.active_children()}
    pool = SignaturePool(load_trust(store(tmp_path)), workers=1)
    await pool.findings([asked(b"")])
    (child,) = {child.pid for child in multiprocessing.active_children()} - before
    assert child is not None
    os.kill(child, signal.SIGKILL)

    with pytest.raises(BrokenProcessPool):
        await pool.findings([asked(b"")])
    pool.close()


async def test_term_and_int_are_left_to_the_worker(tmp_path: Path) -> None:
    before = {child.pid for child in multiprocessing.active_children()}
    pool = SignaturePool(load_trust(store(tmp_path)), workers=1)
    await pool.findings([asked(b"")])
    (child,) = {child.pid for child in multiprocessing.active_children()} - before
    assert child is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(child, number)

    assert len(await pool.findings([asked(b"")])) == 1
    pool.close()


WORKER = """
    import asyncio, multiprocessing, sys
    from pathlib import Path
    from gateway.edges.signature_files import load_trust
    from gateway.edges.signature_pool import Asked, SignaturePool
    from gateway.intake.documents import Policy

    async def main():
        pool = SignaturePool(load_trust(Path(sys.argv[1])), workers=2)
        await pool.findings([Asked(b"", Policy((), ("a", "b")), 0)] * 40)
        print(*(child.pid for child in multiprocessing.active_children()), flush=True)
        await asyncio.sleep(60)

    if __name__ == "__main__":
        asyncio.run(main())
"""


def test_the_processes_end_with_their_worker_even_by_kill_9(tmp_path: Path) -> None:
    script = tmp_path / "worker.py"
    script.write_text(textwrap.dedent(WORKER))
    folder = store(tmp_path / "trust")
    here = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    worker = subprocess.Popen([sys.executable, str(script), str(folder)], stdout=subprocess.PIPE, text=True, env=here)
    assert worker.stdout is not None
    children = [int(pid) for pid in worker.stdout.readline().split()]
    assert children
    watched = [os.pidfd_open(pid) for pid in children]
    worker.kill()
    worker.wait()
    worker.stdout.close()

    for descriptor in watched:
        ended = multiprocessing.connection.wait([descriptor], timeout=30)
        os.close(descriptor)
        assert ended == [descriptor]
