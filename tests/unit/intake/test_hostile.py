"""Hostile messages are answered with a code, within two seconds and little memory each; nothing crashes.

Each is measured in a child process whose peak of memory is set back before it, so that a figure is one message's own.
"""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import catalogue
from tests.fakes.zoo import Zoo, json_zoo, xml_zoo

ROOT = Path(__file__).resolve().parents[3]
MOST_S, MOST_MIB = 2.0, 200.0
CHILD = """
import json, sys, time
from gateway.intake import Items, RejectedWhole
from gateway.record import Position
from tests.fakes import zoo
from tests.unit.intake import loaded

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024

found = {}
connector = getattr(loaded, sys.argv[1])()
animals = getattr(zoo, sys.argv[2])()
connector.process(b"{}", loaded.PLACE, loaded.PUBLISHED_MS)
for name, (value, _) in animals.items():
    open("/proc/self/clear_refs", "w").write("5")
    before, began = peak(), time.process_time()
    outcome = connector.process(value, loaded.PLACE, loaded.PUBLISHED_MS)
    seconds, mib = time.process_time() - began, peak() - before
    match outcome:
        case RejectedWhole(problems):
            codes = [problem.code for problem in problems]
        case Items(items):
            codes = [problem.code for item in items for problem in getattr(item, "problems", ())]
    print(name, round(seconds, 3), round(mib, 1), file=sys.stderr, flush=True)
    found[name] = {"seconds": seconds, "mib": mib, "codes": codes, "whole": isinstance(outcome, RejectedWhole)}
print(json.dumps(found))
"""


@cache
def measured(connector: str, zoo: str) -> dict[str, Any]:
    command = [sys.executable, "-c", CHILD, connector, zoo]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def check(found: dict[str, Any], name: str, zoo: Zoo) -> None:
    answer, expected = found[name], zoo[name][1]
    assert answer["seconds"] < MOST_S
    assert answer["mib"] < MOST_MIB
    assert set(answer["codes"]) <= catalogue().keys()
    if expected:
        assert expected & set(answer["codes"]), answer["codes"][:20]


@pytest.mark.parametrize("name", json_zoo())
def test_hostile_json(name: str) -> None:
    check(measured("vnedu", "json_zoo"), name, json_zoo())


@pytest.mark.parametrize("name", xml_zoo())
def test_hostile_xml(name: str) -> None:
    check(measured("xml", "xml_zoo"), name, xml_zoo())
