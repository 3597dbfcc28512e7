"""Without servers, or with odd arguments, every verb gives one error and exit code 2, never a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.ops.cli import VERBS, app

PROGRAM = "from gateway.ops.cli import main; main()"
RUN = CliRunner()


def hocba(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("topics", "plan"),
        ("ledger", "status"),
        ("ledger", "migrate"),
        ("parked", "list"),
        ("targets",),
        ("run", "[/nope]"),
    ],
)
def test_one_error_and_no_traceback(arguments: tuple[str, ...]) -> None:
    ended = hocba(*arguments, HOCBA_KAFKA="127.0.0.1:9", HOCBA_LEDGER_URL="postgresql://hocba:geheim@127.0.0.1:9/hocba")

    assert ended.returncode == 2
    assert ended.stderr.count("error:") == 1
    assert "Traceback" not in ended.stderr
    assert "geheim" not in ended.stderr + ended.stdout


def test_keys_in_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    ended = hocba("keys", "new", str(tmp_path / "no" / "keys.json"))

    assert ended.returncode == 2
    assert "No such file or directory" in ended.stderr


def test_help_names_every_verb_and_each_of_them_has_its_own() -> None:
    for verb in ("", *VERBS):
        ended = RUN.invoke(app, [*([verb] if verb else []), "--help"])
        assert ended.exit_code == 0, verb
        assert all(name in ended.stdout for name in (VERBS if not verb else [f"Usage: root {verb}"])), ended.stdout


def test_a_verb_that_does_not_exist_gets_the_nearest() -> None:
    ended = RUN.invoke(app, ["explian"])

    assert ended.exit_code == 2
    assert "Did you mean 'explain'" in ended.stderr


def test_a_verb_imports_what_it_needs_and_not_the_others() -> None:
    ended = hocba("parked", "--help", PYTHONPROFILEIMPORTTIME="1")

    assert "gateway.edges.operator_ledger" in ended.stderr
    assert "gateway.sandbox" not in ended.stderr
    assert "gateway.workers" not in ended.stderr
