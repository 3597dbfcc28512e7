"""Any bytes, and any damage to a good message, become a record or codes of the catalogue; no value of the input leaks.

For every connector of the repository: its cases, mutated as bytes and as trees.  What a vendor wrote may stand in its
own record, in its dead letter and in its event's own reference; never in a problem, a header of ours or a log.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edges.kafka import Output
from gateway.edges.kafka_types import Record
from gateway.errors import catalogue
from gateway.intake import Connector, Duplicate, Items, Mapped, Rejected, RejectedWhole
from gateway.intake.dry_run import dry_run
from gateway.national import codec
from gateway.record import MAPPED_TOPIC
from gateway.workers.intake_outputs import Envelope, outputs_of
from tests.unit.intake.loaded import CONNECTORS, PLACE, PUBLISHED_MS, connectors

ENVELOPE = Envelope(b"k" * 32, 12)
CANARY = "ZQXJ7WKV"
FIELD = re.compile(r"[A-Za-z0-9_.#\[\]*/ @-]{0,200}")


@dataclass(frozen=True)
class Message:
    """A record of a vendor's topic."""

    value: bytes | None
    topic: str = PLACE.topic
    partition: int = PLACE.partition
    offset: int = PLACE.offset
    timestamp: int = PUBLISHED_MS
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()


@cache
def samples() -> list[tuple[str, bytes]]:
    """(connector, input) of every case."""
    found = []
    for name in connectors():
        for path in sorted((CONNECTORS / name / "cases").iterdir()):
            if ".input." in path.name and path.stat().st_size < 60_000:
                found += [(name, path.read_bytes())]
    return found


def check(connector: Connector, value: bytes, headers: tuple[tuple[str, bytes | None], ...] = ()) -> list[Output]:
    """Everything intake does with *value*; the outputs."""
    events = 1
    match connector.process(value, PLACE, PUBLISHED_MS):
        case RejectedWhole(problems):
            assert problems
            check_problems(problems)
        case Items(items):
            events = len(items)
            assert [item.index for item in items] == list(range(len(items)))
            for item in items:
                check_problems((*item.holds, *item.warnings) if isinstance(item, Mapped) else item.problems)
                assert isinstance(item, Mapped | Rejected | Duplicate)
    for result in dry_run(connector, "file", value, PUBLISHED_MS):
        assert json.dumps(result)
    message: Record = Message(value, headers=headers)  # type: ignore[assignment]  # frozen, where the library's is not
    outputs = outputs_of(connector, message, ENVELOPE, at_ms=PUBLISHED_MS)
    assert sum(not one.topic.endswith(".rejected") for one in outputs) == events  # each event in exactly one place
    check_outputs(outputs)
    return outputs


def check_problems(problems: Any) -> None:
    for problem in problems:
        assert problem.code in catalogue()
        assert FIELD.fullmatch(problem.field), "a field is a name of ours"
        assert CANARY not in f"{problem.field}{problem.rule}"


def check_outputs(outputs: list[Output]) -> None:
    for one in outputs:
        shown = b"".join(name.encode() + content for name, content in one.headers) + (one.key or b"")
        assert CANARY.encode() not in shown
        if one.topic == MAPPED_TOPIC:
            codec.split_mapped(one.value)
        elif one.topic.endswith(".receipts"):
            told = codec.decode_receipt(one.value)
            assert CANARY not in repr(told["problems"])


@given(st.binary(max_size=400))
def test_any_bytes_are_answered(value: bytes) -> None:
    for connector in connectors().values():
        check(connector, value)


BYTES = st.one_of(
    st.binary(max_size=8),
    st.sampled_from([b"\0", b"\xff", b"\xef\xbb\xbf", b'"', b"<", b"]]>", b"&#1;", b"{", b"[" * 50, b"\r\n", b",,,,"]),
)
CUT = st.tuples(st.floats(0, 1), st.integers(0, 60), BYTES)


@given(st.data())
def test_damaged_bytes_are_answered(data: st.DataObject) -> None:
    """Flips, cuts and splices, a few at a time, of any case; now and then a splice of another case."""
    name, value = data.draw(st.sampled_from(samples()))
    damaged = bytearray(value)
    for share, length, fresh in data.draw(st.lists(CUT, min_size=1, max_size=5)):
        place = int(share * len(damaged))
        damaged[place : place + length] = fresh
    if data.draw(st.integers(0, 5)) == 0:
        _, other = data.draw(st.sampled_from(samples()))
        place = data.draw(st.integers(0, len(damaged)))
        damaged[place:] = other[data.draw(st.integers(0, len(other))) :]

    check(connectors()[name], bytes(damaged))


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**25), 10**25),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=30),
    st.sampled_from(
        [
            "",
            " ",
            "7,5",
            "10",
            "Đ",
            "CĐ",
            "x",
            "2012",
            "05/2012",
            "29/02/2019",
            "30/02/2019",
            "TAM-1",
            "2025-2026",
            "9" * 400,
            "\u0660\u0661",
            "\u00bd",
            "\u2460",
            "1e5",
            "0x10",
            "-0",
            "+7",
            "٣",
            "\x00",
            "\ufeff",
            "a\u0301" * 60,
            "45000.5",
            "NaN",
        ]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value below *tree*."""
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [found for key, value in inside for found in [(*path, key), *places(value, (*path, key))]]


def reach(tree: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def json_samples() -> list[tuple[str, bytes]]:
    found = []
    for name, value in samples():
        try:
            tree = json.loads(value)
        except ValueError:
            continue
        if connectors()[name].format == "json" and places(tree):
            found.append((name, value))
    return found


@given(st.data())
def test_trees_with_other_types_and_moved_values_are_answered(data: st.DataObject) -> None:
    name, value = data.draw(st.sampled_from(json_samples()))
    tree = json.loads(value)
    for _ in range(data.draw(st.integers(1, 6))):
        known = places(tree)
        if not known:
            break
        path = known[data.draw(st.integers(0, len(known) - 1))]
        parent = reach(tree, path[:-1])
        match data.draw(st.integers(0, 4)):
            case 0:
                del parent[path[-1]]
            case 1:
                parent[path[-1]] = json.loads(json.dumps(reach(tree, known[data.draw(st.integers(0, len(known) - 1))])))
            case 2:
                parent[path[-1]] = [parent[path[-1]]] * data.draw(st.integers(0, 3))
            case _:
                parent[path[-1]] = data.draw(VALUES)

    check(connectors()[name], json.dumps(tree).encode())


def leaves_replaced(value: bytes, form: str, number: int) -> bytes:
    """*value* with the canary in some of its texts: every *number*-th leaf of JSON or XML, or cell of CSV."""
    patterns: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
        "json": (rb'(?<=: )"[^"\\]*"|(?<=:)"[^"\\]*"', lambda text: b'"' + CANARY.encode() + b" " + text[1:]),
        "xml": (rb"(?<=>)[^<>]+(?=</)", lambda text: CANARY.encode() + b" " + text),
        "csv": (rb"(?<=[,;\t])[^,;\t\r\n\"]+(?=[,;\t])", lambda text: CANARY.encode() + b" " + text),
    }
    pattern, spoil = patterns[form]
    seen = 0

    def replaced(match: re.Match[bytes]) -> bytes:
        nonlocal seen
        seen += 1
        return spoil(match[0]) if seen % number == 0 else match[0]

    return re.sub(pattern, replaced, value)


@pytest.mark.parametrize("number", [1, 2, 3, 5, 7])
def test_no_value_of_the_input_stands_in_a_problem_or_header(number: int) -> None:
    spoilt = 0
    for name, value in samples():
        connector = connectors()[name]
        if connector.format in {"json", "xml", "csv"}:
            message = leaves_replaced(value, connector.format, number)
            spoilt += message != value
            check(connector, message)

    assert spoilt > 5


@given(
    st.lists(
        st.tuples(st.sampled_from(["ce_id", "traceparent", "lane", "x", ""]), st.none() | st.binary(max_size=60)),
        max_size=6,
    )
)
def test_any_headers_are_answered_and_stay_out_of_ours(headers: list[tuple[str, bytes | None]]) -> None:
    name, value = samples()[0]
    spoilt = tuple((key, None if content is None else content + CANARY.encode()) for key, content in headers)

    check(connectors()[name], value, spoilt)


def test_ten_thousand_headers_and_a_header_of_a_mebibyte_are_answered() -> None:
    name, value = samples()[0]
    many: tuple[tuple[str, bytes | None], ...] = tuple((f"h{number}", b"x") for number in range(10_000))

    for headers in (many, (("ce_id", b"x" * 1_000_000), ("traceparent", b"0" * 1_000_000))):
        outputs = check(connectors()[name], value, headers)
        assert sum(len(content) for one in outputs for _, content in one.headers) < 10_000


def test_every_connector_has_cases_here() -> None:
    assert {name for name, _ in samples()} == connectors().keys()
    assert Path(CONNECTORS).is_dir()
