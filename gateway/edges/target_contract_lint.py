"""Reading a contract file strictly: types, words and what types cannot say, all faults at once, each with its line.

The checks below look at the plain data and not at the finished contract, so that a wrong word in one place does not
hide a wrong number in another. What a check needs and cannot read is somebody else's fault already: it says nothing.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import yaml

from gateway.config import ConfigFaults, Fault, NodeReader
from gateway.edges.exchange import stays

Json = dict[str, Any]
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = 24 * 60
_WEEK = 7 * _DAY
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_PATH_WORDS = {"unit", "key", "edition", "purpose"}
_FIELD = re.compile(r"\{(\w*)[^}]*\}")


@dataclass(frozen=True, slots=True)
class Read:
    """A file as far as it could be read: plain data, its faults, and the line of each key's path."""

    file: str
    kind: str
    data: Json
    faults: list[Fault]
    lines: Mapping[str, int]


def read_strictly(path: Path, environment: Mapping[str, str], kinds: Mapping[str, type[msgspec.Struct]]) -> Read:
    """The data in *path*, whose key `kind` says which of *kinds* it is.

    Raises ConfigFaults for what is no YAML mapping of a known kind: nothing else can be said of such a file.
    """
    file = str(path)
    try:
        node = yaml.compose(path.read_text("utf-8"), Loader=yaml.CSafeLoader)
    except OSError as error:
        raise ConfigFaults([Fault(file, 0, "", f"cannot be read: {error.strerror}")]) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 0
        raise ConfigFaults([Fault(file, line, "", f"is not YAML: {getattr(error, 'problem', 'not UTF-8')}")]) from error
    kind = _kind(node)
    if node is None or kind not in kinds:
        near = difflib.get_close_matches(kind, kinds, n=1) or list(kinds)
        raise ConfigFaults([Fault(file, 1, "kind", f"must be one of {', '.join(near)}")])
    reader = NodeReader(file, environment)
    data = reader.read(node, "", kinds[kind])
    return Read(file, kind, data or {}, reader.faults, dict(_lines(node, "")))


def _kind(node: yaml.Node | None) -> str:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((str(value.value) for key, value in pairs if key.value == "kind"), "")


def _lines(node: yaml.Node, path: str) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            where = f"{path}.{key.value}".lstrip(".")
            yield where, key.start_mark.line + 1
            yield from _lines(value, where)
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            yield f"{path}[{place}]", value.start_mark.line + 1
            yield from _lines(value, f"{path}[{place}]")


def lint(read: Read) -> list[Fault]:
    """The faults that types cannot say."""
    told = {(fault.path, fault.line) for fault in read.faults}
    found = [
        *_tables(read.data),
        *_addresses(read.data),
        *_times(read.data),
        *_sending_again(read.data, read.kind),
        *_certificates(_part(read.data, "tls")),
        *_windows(read.data.get("maintenance") or ()),
        *(_packets(read.data) if read.kind == "packets" else _immediate(read.data)),
    ]
    faults = [Fault(read.file, _line(read.lines, where), where, text) for where, text in found]
    return [fault for fault in faults if (fault.path, fault.line) not in told]


def _line(lines: Mapping[str, int], where: str) -> int:
    """The line of *where*, or of the nearest key above it that is there."""
    while where not in lines and where:
        where = where.rpartition(".")[0]
    return lines.get(where, 1)


def _part(data: Json, name: str) -> Json:
    part = data.get(name)
    return part if isinstance(part, dict) else {}


def _addresses(data: Json) -> Iterator[tuple[str, str]]:
    """The address stands in gateway.yaml; a path that names another host would carry records there."""
    paths = {f"paths.{name}": path for name, path in _part(data, "paths").items()}
    paths |= {f"{name}.path": _part(data, name).get("path", "/") for name in ("auth", "query")}
    for where, path in paths.items():
        if isinstance(path, str) and not stays(path):
            yield where, "must begin with one / and name no host"


def _tables(data: Json) -> Iterator[tuple[str, str]]:
    http, results = _part(data, "http"), _part(data, "results")
    for status in http:
        if not (len(status) == 3 and status.isdigit()):
            yield f"http.{status}", "is no HTTP status"
    if "answers" not in http.values():
        yield "http", "no status is read as answers"
    if "accepted" not in results.values():
        yield "results", "no result is read as accepted"
    codes = _part(data, "codes")
    for code in _part(data, "categories"):
        if codes.get(code, "refused") != "refused":
            yield f"categories.{code}", f"has no meaning: codes reads it as {codes[code]}, which is no refusal"


def _times(data: Json) -> Iterator[tuple[str, str]]:
    retry, times = _part(data, "retry"), _part(data, "timeouts")
    if _number(retry, "cap_s") < _number(retry, "base_s"):
        yield "retry.cap_s", "is less than base_s"
    if _number(times, "total_s") < max(_number(times, name, 0.0) for name in ("connect_s", "write_s", "read_s")):
        yield "timeouts.total_s", "is less than one of its phases"
    poll = _part(data, "poll")
    if _number(poll, "give_up_s") < _number(poll, "settle_s", 0.0):
        yield "poll.give_up_s", "is less than settle_s: no packet could be found in time"


def _number(part: Json, name: str, missing: float = float("inf")) -> float:
    value = part.get(name)
    return float(value) if isinstance(value, int | float) else missing


def _sending_again(data: Json, kind: str) -> Iterator[tuple[str, str]]:
    """What protects a pupil when the answer to a send was lost."""
    if kind == "immediate" and data.get("update") == "revoke_then_register":
        yield "update", "revoke_then_register needs packets: its steps are packets' rows"
    if data.get("idempotency") or "idempotency" not in data:
        return
    if kind == "packets":
        yield "idempotency", "a packet target must know key or version; candidates: [key], [version], [key, version]"
    elif not data.get("query"):
        yield "idempotency", "with neither key nor version the target must be asked before a resend: add query"


def _certificates(tls: Json) -> Iterator[tuple[str, str]]:
    if bool(tls.get("certificate")) != bool(tls.get("private_key")):
        missing = "private_key" if tls.get("certificate") else "certificate"
        yield f"tls.{missing}", "is missing: a certificate and its private key go together"


def _immediate(data: Json) -> Iterator[tuple[str, str]]:
    for where in ("results", "codes"):
        for word, verdict in _part(data, where).items():
            if verdict == "pending":
                yield f"{where}.{word}", "must not be pending: an immediate target is never asked for a later answer"


def _windows(windows: Any) -> Iterator[tuple[str, str]]:
    closed: set[int] = set()
    for place, window in enumerate(windows):
        if isinstance(window, dict):
            closed.update(_closed(window))
            yield from ((f"maintenance[{place}].{name}", text) for name, text in _window(window))
    if len(closed) == _WEEK:
        yield "maintenance", "leaves no minute of the week open: nothing would ever be sent"


def _window(window: Json) -> Iterator[tuple[str, str]]:
    since, until = str(window.get("since")), str(window.get("until"))
    for name, text in (("since", since), ("until", until)):
        if not is_time(text) and not is_moment(text):
            yield name, "is neither a time (22:30) nor a date with a time (2026-12-31T22:30)"
    if is_moment(since) != is_moment(until):
        yield "until", "must be of the same form as since"
    elif is_moment(since) and until <= since:
        yield "until", "is not later than since"
    if is_moment(since) and window.get("days"):
        yield "days", "has no meaning beside dates: such a window comes once"


def _closed(window: Json) -> Iterator[int]:
    """The minutes of the week that a weekly *window* closes; an end not after the start is the next day's."""
    since, until, days = str(window.get("since")), str(window.get("until")), window.get("days", ())
    if days is None or not (is_time(since) and is_time(until)):
        return
    start = _minutes(since)
    length = (_minutes(until) - start) % _DAY or _DAY
    for number, day in enumerate(_DAYS):
        if day in (days or _DAYS):
            begin = number * _DAY + start
            yield from (minute % _WEEK for minute in range(begin, begin + length))


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def is_time(text: str) -> bool:
    """Whether *text* is HH:MM."""
    return _TIME.fullmatch(text) is not None


def is_moment(text: str) -> bool:
    """Whether *text* is YYYY-MM-DDTHH:MM, without a zone."""
    try:
        return len(text) == 16 and datetime.fromisoformat(text).tzinfo is None
    except ValueError:
        return False


def _packets(data: Json) -> Iterator[tuple[str, str]]:
    for name, path in _part(data, "paths").items():
        if not isinstance(path, str):
            continue
        if "{key}" not in path:
            yield f"paths.{name}", "does not contain {key}"
        unknown = [word for word in _FIELD.findall(path) if word not in _PATH_WORDS]
        for word in unknown:
            near = difflib.get_close_matches(word, _PATH_WORDS, n=1) or sorted(_PATH_WORDS)
            yield f"paths.{name}", f"does not know {{{word}}}; candidates: {', '.join(near)}"
        if not unknown and path.count("{") != len(_FIELD.findall(path)):
            yield f"paths.{name}", "has a brace too many or too few"
    if "replied" not in _part(data, "packet_status").values():
        yield "packet_status", "no status is read as replied"
