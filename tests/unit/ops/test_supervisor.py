"""The supervisor with real child processes: the worker's own entry around a stage that only waits."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.ops.supervisor import Backoff, Plan, Supervisor, read_running, worker_name
from gateway.sandbox.launch import is_alive

CONFIG = """
slots: 4
kafka: {bootstrap_servers: "127.0.0.1:1"}
ledger: {url: "postgresql://127.0.0.1:1/none"}
keys_file: none
state_dir: none
registry: {url: "http://127.0.0.1:1", credentials_file: none}
targets: {}
"""
WAITS = """
import asyncio, os, sys
from gateway.ops import worker

async def wait(config, stop):
    print("ready", flush=True)
    await stop.wait()

async def reachable(kafka, stop):
    pass

worker.until_reachable = reachable
worker.stage_run = lambda stage: wait
code = worker.main()
sys.stderr.write(f"exit {code}\\n")
sys.exit(code)
"""
DEAF = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""
BREAKS = """
import sys
from gateway.ops import worker

async def breaks(config, stop):
    raise ValueError("Nguyễn Mẫu An")

async def reachable(kafka, stop):
    pass

worker.until_reachable = reachable
worker.stage_run = lambda stage: breaks
sys.exit(worker.main())
"""
QUICK = Backoff(base_s=0.05, cap_s=0.2)


def plan(folder: Path, script: str, *, workers: int = 1, grace_s: float = 10.0) -> Plan:
    config = folder / "gateway.yaml"
    config.write_text(CONFIG)
    return Plan(
        config=config,
        state_dir=folder / "state",
        workers={"intake": workers},
        grace_s=grace_s,
        backoff=QUICK,
        command=(sys.executable, "-c", script),
    )


def log_of(folder: Path, worker: str = "intake-1") -> str:
    path = folder / "state" / "logs" / f"{worker}.log"
    return path.read_text() if path.exists() else ""


async def until(true: Callable[[], bool], timeout_s: float = 20.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not true():
            await asyncio.sleep(0.02)


def test_the_back_off_doubles_to_its_cap_and_starts_afresh_after_a_long_life() -> None:
    backoff = Backoff(base_s=0.2, cap_s=1.0, reset_s=30.0)
    waits, wait_s = [], 0.0
    for alive_s in (0.1, 0.1, 0.1, 0.1, 31.0, 0.1):
        wait_s = backoff.after(wait_s, alive_s=alive_s)
        waits.append(wait_s)

    assert waits == [0.2, 0.4, 0.8, 1.0, 0.2, 0.4]


def test_a_worker_of_a_target_has_a_name_fit_for_a_file() -> None:
    assert worker_name("deliver:sector", 2) == "deliver-sector-2"


async def test_a_killed_worker_is_started_again_and_the_others_go_on(tmp_path: Path) -> None:
    supervisor = Supervisor(plan(tmp_path, WAITS, workers=2))
    await supervisor.start()
    try:
        before = supervisor.pids()
        await until(lambda: all("ready" in log_of(tmp_path, name) for name in before))
        os.kill(before["intake-1"], signal.SIGKILL)
        await until(lambda: supervisor.pids().get("intake-1", before["intake-1"]) != before["intake-1"])
        after = supervisor.pids()

        assert after["intake-2"] == before["intake-2"]
        assert [(death.worker, death.code) for death in supervisor.deaths] == [("intake-1", -signal.SIGKILL)]
        assert read_running(tmp_path / "state").workers == after
    finally:
        await supervisor.stop()

    assert supervisor.pids() == {}
    assert "exit 0" in log_of(tmp_path, "intake-2")


async def test_a_worker_that_does_not_drain_is_killed_after_the_grace(tmp_path: Path) -> None:
    heard: list[str] = []
    supervisor = Supervisor(plan(tmp_path, DEAF, grace_s=0.3), heard.append)
    await supervisor.start()
    pid = supervisor.pids()["intake-1"]
    await until(lambda: "ready" in log_of(tmp_path))

    await supervisor.stop()

    assert not is_alive(pid)
    assert heard == ["not drained after 0 s, killed: intake-1"]


async def test_a_bug_ends_the_worker_with_1_and_its_log_holds_no_value(tmp_path: Path) -> None:
    supervisor = Supervisor(plan(tmp_path, BREAKS))
    await supervisor.start()
    await until(lambda: len(supervisor.deaths) >= 2)
    await supervisor.stop()

    assert {death.code for death in supervisor.deaths} == {1}
    assert '"error": "ValueError"' in log_of(tmp_path)
    assert "Mẫu" not in log_of(tmp_path)


async def test_a_faulty_configuration_ends_the_worker_with_2_and_every_fault(tmp_path: Path) -> None:
    made = plan(tmp_path, WAITS)
    made.config.write_text("slots: none\ntargets: {}\n")
    supervisor = Supervisor(made)
    await supervisor.start()
    await until(lambda: bool(supervisor.helpless()))
    await supervisor.stop()

    assert {death.code for death in supervisor.deaths} == {2}
    for fault in ("slots", "kafka: is missing", "ledger: is missing", "keys_file: is missing"):
        assert fault in log_of(tmp_path)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
async def test_no_worker_outlives_its_supervisor(tmp_path: Path, end: signal.Signals) -> None:
    made = plan(tmp_path, WAITS, workers=2)
    script = (
        "import asyncio; from pathlib import Path; from gateway.ops.supervisor import Plan, Supervisor\n"
        f"made = Plan(config=Path({str(made.config)!r}), state_dir=Path({str(made.state_dir)!r}), "
        f"workers={dict(made.workers)!r}, command={made.command!r})\n"
        "asyncio.run(Supervisor(made).run(asyncio.Event()))\n"
    )
    starter = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    await until(lambda: all("ready" in log_of(tmp_path, f"intake-{n}") for n in (1, 2)))
    pids = list(read_running(made.state_dir).workers.values())
    starter.send_signal(end)
    await starter.wait()

    await until(lambda: not any(is_alive(pid) for pid in pids))

    assert log_of(tmp_path, "intake-1").rstrip().endswith("exit 0")
    assert log_of(tmp_path, "intake-2").rstrip().endswith("exit 0")
