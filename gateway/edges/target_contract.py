"""A target's contract file, ``targets/<name>.yaml``: everything that is the target's business and not the gateway's.

The rule: what a target calls things, how it answers and how fast it may be asked stands in its file; code knows the
words on the right-hand side only. A file is read strictly and all of its faults are reported at once. Credentials are
never in it: it names keys of the credentials file (mode 0600), and nothing has a default.
"""

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import yaml

from gateway.config import (
    ConfigFaults,
    Fault,
    NodeReader,
)  # the reader serves every strict file; its name is config's affair
from gateway.outcomes import Category
from gateway.record import Op

HttpVerdict = Literal[
    "answers",
    "too_large",
    "slow_down",
    "retry",
    "ambiguous",
    "auth",
    "denied",
    "refused",
    "not_found",
]
RecordVerdict = Literal["accepted", "duplicate", "superseded", "refused", "retry", "ambiguous", "pending"]
PacketVerdict = Literal["pending", "replied"]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class Bearer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="bearer"):
    """One fixed token; *token* is its key in the credentials file."""

    token: str


class PasswordGrant(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="oauth_password",
):
    """OAuth2 password grant with a client secret; the values are keys of the credentials file."""

    path: str
    client_id: str
    client_secret: str
    username: str
    password: str
    refresh_before_s: Seconds = 10.0


class Batch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The largest batch or packet, and how long one may wait to be filled."""

    records: Positive
    bytes: Positive
    age_ms: Positive


class Timeouts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Times of one request by phase; `total_s` bounds an answer that trickles."""

    connect_s: Seconds
    write_s: Seconds
    read_s: Seconds
    total_s: Seconds


class Retry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Full jitter between 0 and min(cap, base x 2^n)."""

    base_s: Seconds
    cap_s: Seconds


class Breaker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """After so many failures in a row nothing is sent for so long, then one probe."""

    failures: Positive
    open_s: Seconds


class Poll(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a packet's reply is asked for, and how long "not found" proves nothing."""

    first_s: Seconds
    every_s: Seconds
    settle_s: Seconds
    give_up_s: Seconds


class Events(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The target's words for what is asked of a record."""

    NEW: str
    UPDATE: str
    CANCEL: str

    def word(self, op: Op) -> str:
        """The target's word for *op*."""
        match op:
            case Op.NEW:
                return self.NEW
            case Op.UPDATE:
                return self.UPDATE
            case Op.CANCEL:
                return self.CANCEL


class ImmediatePaths(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where batches go."""

    batch: str


class ImmediateWire(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names on the wire of an immediate target."""

    records: str
    key: str
    record_id: str
    version: str
    event: str
    events: Events
    answers: str
    answer_id: str
    answer_version: str
    answer_result: str
    answer_code: str


class PacketPaths(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where packets go; {unit}, {key}, {edition} and {purpose} are filled in."""

    upload: str
    submit: str
    results: str


class PacketWire(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names on the wire of a packet target."""

    record_id: str
    version: str
    items: str
    evidence: str
    purpose: str
    purposes: Events
    data_type: str
    data_type_value: str
    success: str
    message: str
    data: str
    repeated_key: str
    packet_status: str
    item_status: str
    errors: str
    error_code: str


class _Common(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What both kinds of target say."""

    name: str
    auth: Bearer | PasswordGrant
    batch: Batch
    concurrency: Positive
    timeouts: Timeouts
    max_answer_bytes: Positive
    retry_after_cap_s: Seconds
    http: dict[str, HttpVerdict]
    http_other: HttpVerdict
    results: dict[str, RecordVerdict]
    codes: dict[str, RecordVerdict]
    categories: dict[str, Category]
    category_other: Category
    idempotency: tuple[Literal["key", "version"], ...]
    update: Literal["replace", "revoke_then_register"]
    retry: Retry
    breaker: Breaker


class ImmediateContract(_Common, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A target that answers each record of a batch at once."""

    kind: Literal["immediate"]
    paths: ImmediatePaths
    wire: ImmediateWire


class PacketContract(_Common, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A target that takes packets and answers them later."""

    kind: Literal["packets"]
    unit: str
    edition: str
    paths: PacketPaths
    wire: PacketWire
    packet_status: dict[str, PacketVerdict]
    poll: Poll


Contract = ImmediateContract | PacketContract
_KINDS: dict[str, type[ImmediateContract] | type[PacketContract]] = {
    "immediate": ImmediateContract,
    "packets": PacketContract,
}


def load_contract(path: Path, environment: Mapping[str, str]) -> Contract:
    """The contract in *path*; raises ConfigFaults with all of its faults."""
    file = str(path)
    try:
        node = yaml.compose(path.read_text("utf-8"), Loader=yaml.CSafeLoader)
    except OSError as error:
        raise ConfigFaults([Fault(file, 0, "", f"cannot be read: {error.strerror}")]) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ConfigFaults([Fault(file, line, "", f"is not YAML: {error.problem}")]) from error
    kind = _kind(node)
    if node is None or kind not in _KINDS:
        raise ConfigFaults([Fault(file, 1, "kind", f"must be one of {', '.join(_KINDS)}")])
    reader = NodeReader(file, environment)
    data = reader.read(node, "", _KINDS[kind])
    if not reader.faults:
        contract: Contract = msgspec.convert(data, _KINDS[kind])
        lines = {key.value: key.start_mark.line + 1 for key, _ in node.value}
        reader.faults += [
            Fault(file, lines.get(where.split(".")[0], 1), where, text) for where, text in _lint(contract)
        ]
        if not reader.faults:
            return contract
    raise ConfigFaults(reader.faults)


def _kind(node: yaml.Node | None) -> str:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((str(value.value) for key, value in pairs if key.value == "kind"), "")


def _lint(contract: Contract) -> Iterator[tuple[str, str]]:
    """Yield what the types cannot say."""
    for status in contract.http:
        if not (len(status) == 3 and status.isdigit()):
            yield f"http.{status}", "is no HTTP status"
    if "answers" not in contract.http.values():
        yield "http", "no status is read as answers"
    if "accepted" not in contract.results.values():
        yield "results", "no result is read as accepted"
    if contract.retry.cap_s < contract.retry.base_s:
        yield "retry.cap_s", "is less than base_s"
    times = contract.timeouts
    if times.total_s < max(times.connect_s, times.write_s, times.read_s):
        yield "timeouts.total_s", "is less than one of its phases"
    if isinstance(contract, PacketContract):
        yield from _lint_packets(contract)


def _lint_packets(contract: PacketContract) -> Iterator[tuple[str, str]]:
    for name, path in msgspec.structs.asdict(contract.paths).items():
        if "{key}" not in path:
            yield f"paths.{name}", "does not contain {key}"
        try:
            path.format(unit="", key="", edition="", purpose="")
        except (KeyError, IndexError, ValueError):
            yield f"paths.{name}", "knows only {unit}, {key}, {edition} and {purpose}"
    if "replied" not in contract.packet_status.values():
        yield "packet_status", "no status is read as replied"


def read_credentials(path: Path) -> dict[str, str]:
    """The credentials in *path*, a JSON object of texts; raises ConfigFaults, also when others may read the file."""
    try:
        mode, text = path.stat().st_mode, path.read_bytes()
    except OSError as error:
        raise ConfigFaults([Fault(str(path), 0, "", f"cannot be read: {error.strerror}")]) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigFaults([Fault(str(path), 0, "", "is open to others; set its mode to 0600")])
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except msgspec.MsgspecError as error:
        raise ConfigFaults([Fault(str(path), 0, "", "is not a JSON object of texts")]) from error


def missing_credentials(contract: Contract, credentials: Mapping[str, str]) -> list[Fault]:
    """A fault for each key of the credentials file that the contract names and the file has not."""
    names = ("token",) if isinstance(contract.auth, Bearer) else ("client_id", "client_secret", "username", "password")
    wanted = {f"auth.{name}": str(getattr(contract.auth, name)) for name in names}
    if isinstance(contract, PacketContract):
        wanted["unit"] = contract.unit
    return [
        Fault(f"targets/{contract.name}.yaml", 0, where, f"the credentials file has no {key}")
        for where, key in wanted.items()
        if not credentials.get(key)
    ]
