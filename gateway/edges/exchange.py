"""One HTTP request and what is known about it afterwards: answered, not sent, or lost.

    exchange_httpx.py   tokens, packets, batches, registries        exchange_fast.py   one record a request

The rule: an error before the request left (name, connection, TLS) proves that nothing happened; an error after that
proves nothing at all. Foreign exceptions end in those two files; their texts are dropped, because they may quote what
was sent. What is asked goes to the configured origin and nowhere else: no redirect is followed, no environment is
read, and a path that names another host is not sent. One set of tests holds both to this.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Protocol

from gateway.outcomes import HoldReason

HEADERS_READ: Final = ("date", "retry-after")
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,40}")


@dataclass(frozen=True, slots=True)
class Answered:
    """A whole answer came; *headers* are those of HEADERS_READ that it had, by their names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class NotSent:
    """Nothing left this machine, or nobody took it in."""

    reason: HoldReason


@dataclass(frozen=True, slots=True)
class Lost:
    """The request left and no whole answer came; *reason* is a word for logs."""

    reason: str


Reply = Answered | NotSent | Lost


class Exchange(Protocol):
    """An HTTP connection pool to one neighbour with bounds on time and size."""

    async def ask(self, method: str, path: str, **parts: Any) -> Reply:
        """Send one request (parts: content, headers, files, data). Raises nothing a network can cause."""

    async def aclose(self) -> None:
        """Close the pool."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Paths of PEM files: an authority of the neighbour's own, and our certificate with its key (mutual TLS)."""

    ca: str = ""
    certificate: str = ""
    private_key: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """The way to a neighbour: its origin, the bounds of a request, and whom TLS trusts and presents.

    *connect_s*, *write_s* and *read_s* bound a phase without progress, *total_s* the whole request.
    """

    url: str
    connect_s: float
    write_s: float
    read_s: float
    total_s: float
    connections: int
    max_answer_bytes: int
    tls: Tls = Tls()


def way(url: str, timeout_s: float, connections: int, max_answer_bytes: int) -> Way:
    """A way with one bound for every phase."""
    return Way(url, timeout_s, timeout_s, timeout_s, timeout_s, connections, max_answer_bytes)


def stays(path: str) -> bool:
    """Whether *path* leaves the host to the way: anything else could carry a record to another one."""
    return path.startswith("/") and not path.startswith(("//", "/\\"))


def retry_after_s(headers: Mapping[str, str], cap_s: float, now: datetime) -> float | None:
    """Seconds that *headers* ask to wait, at most *cap_s*; None when they do not say.

    A date is relative to the answer's own Date, so a wrong clock on either side does not matter (RFC 9110, 10.2.3);
    an answer without one leaves us only ours, *now* (with a zone).
    """
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return min(float(text), cap_s)
    try:
        wait = parsedate_to_datetime(text) - (parsedate_to_datetime(headers["date"]) if "date" in headers else now)
    except (TypeError, ValueError):
        return None
    return min(max(wait.total_seconds(), 0.0), cap_s)


def plain_code(text: object) -> str:
    """*text* when it looks like a code; anything else might quote a record and becomes the word `unreadable`."""
    return text if isinstance(text, str) and _CODE.fullmatch(text) else "unreadable"
