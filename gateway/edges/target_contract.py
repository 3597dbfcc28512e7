"""A target's contract file, ``targets/<name>.yaml``: everything that is the target's business and not the gateway's.

The rule: what a target calls things, how it answers and how fast it may be asked stands in its file; code knows the
words on the right-hand side only. A file is read strictly and all of its faults are reported at once
(`target_contract_lint`). Credentials are never in it: it names keys of the credentials file (mode 0600).
"""

import stat
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

import msgspec

from gateway.config import ConfigFaults, Fault
from gateway.delivery.calendar import VIETNAM_MS, Once, Weekly, Window
from gateway.edges.target_contract_lint import is_moment, lint, read_strictly
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
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_VIETNAM: Final = timezone(timedelta(milliseconds=VIETNAM_MS))
Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]
Rate = Annotated[float, msgspec.Meta(ge=0)]


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


class ClientCredentials(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="oauth_client",
):
    """OAuth2 client credentials (RFC 6749, 4.4); client_id and client_secret are keys of the credentials file."""

    path: str
    client_id: str
    client_secret: str
    scope: str = ""
    refresh_before_s: Seconds = 10.0


class NoToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="none"):
    """No token: the client's certificate says who asks."""


Auth = Bearer | PasswordGrant | ClientCredentials | NoToken


class Tls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of the credentials file whose values are paths of PEM files: mutual TLS and a private authority."""

    ca: str = ""
    certificate: str = ""
    private_key: str = ""


class Closed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A maintenance window in Vietnam's time: each of *days* (none: every day) from `since` to `until` (HH:MM).

    Or once: both are then dates with times (2026-12-31T22:00). A window may pass midnight.
    """

    since: str
    until: str
    days: tuple[Weekday, ...] = ()


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a target is asked which version of a record it holds; an answer proves nothing before *settle_s*."""

    path: str
    ids: str
    settle_s: Seconds


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
    auth: Auth
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
    tls: Tls = Tls()
    maintenance: tuple[Closed, ...] = ()
    requests_per_s: Rate = 0.0
    """Requests a second but for tokens, all workers together; 0: the target names no rate."""
    gzip: bool = False
    """Whether batches and packets are sent packed (content-encoding: gzip); most portals do not unpack."""


class ImmediateContract(_Common, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A target that answers each record of a batch at once."""

    kind: Literal["immediate"]
    paths: ImmediatePaths
    wire: ImmediateWire
    query: Query | None = None


class PacketContract(_Common, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A target that takes packets and answers them later."""

    kind: Literal["packets"]
    unit: str
    edition: str
    paths: PacketPaths
    wire: PacketWire
    packet_status: dict[str, PacketVerdict]
    poll: Poll
    packets_in_flight: Positive = 4
    """Packets of one slot that may be without a verdict at a time; what a slow portal has at work."""


Contract = ImmediateContract | PacketContract
_KINDS: dict[str, type[ImmediateContract] | type[PacketContract]] = {
    "immediate": ImmediateContract,
    "packets": PacketContract,
}


def load_contract(path: Path, environment: Mapping[str, str]) -> Contract:
    """The contract in *path*; raises ConfigFaults with all of its faults."""
    read = read_strictly(path, environment, _KINDS)
    faults = sorted(read.faults + lint(read), key=lambda fault: fault.line)
    if faults:
        raise ConfigFaults(faults)
    contract: Contract = msgspec.convert(read.data, _KINDS[read.kind])
    return contract


def calendar_of(contract: Contract) -> tuple[Window, ...]:
    """The contract's maintenance windows."""
    return tuple(map(_window, contract.maintenance))


def _window(closed: Closed) -> Window:
    if is_moment(closed.since):
        return Once(_instant_ms(closed.since), _instant_ms(closed.until))
    days = frozenset(get_args(Weekday).index(day) for day in closed.days or get_args(Weekday))
    return Weekly(days, _of_the_day_ms(closed.since), _of_the_day_ms(closed.until))


def _of_the_day_ms(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return (int(hours) * 60 + int(minutes)) * 60_000


def _instant_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=_VIETNAM).timestamp() * 1000)


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
    wanted = {f"auth.{name}": key for name, key in _keys_of(contract.auth).items()}
    wanted |= {f"tls.{name}": key for name, key in msgspec.structs.asdict(contract.tls).items() if key}
    if isinstance(contract, PacketContract):
        wanted["unit"] = contract.unit
    return [
        Fault(f"targets/{contract.name}.yaml", 0, where, f"the credentials file has no {key}")
        for where, key in wanted.items()
        if not credentials.get(key)
    ]


def _keys_of(auth: Auth) -> dict[str, str]:
    match auth:
        case Bearer(token=token):
            return {"token": token}
        case ClientCredentials(client_id=client, client_secret=secret):
            return {"client_id": client, "client_secret": secret}
        case PasswordGrant():
            names = ("client_id", "client_secret", "username", "password")
            return {name: str(getattr(auth, name)) for name in names}
        case NoToken():
            return {}
