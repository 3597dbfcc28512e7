"""The one configuration file, ``gateway.yaml``: typed, strict, and every fault reported at once.

``${NAME}`` and ``${NAME:-default}`` in a value are replaced from the environment before typing, so that one file
serves a laptop and a cluster.  Secrets are never values here: they are files named here (``keys_file``,
``credentials_file``).  A start with a faulty file prints every fault with its line and the near candidates.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec
import yaml

from gateway.errors import GatewayError

Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]
Code = Annotated[str, msgspec.Meta(min_length=1)]
Crontab = Annotated[str, msgspec.Meta(pattern=r"^$|^([0-9*/,-]+ ){4,5}[0-9*/,-]+$")]
"""Minute, hour, day, month, weekday, and second if given."""


class Kafka(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The broker and the times that bound a take-over (milliseconds)."""

    bootstrap_servers: str
    replication_factor: Positive = 3
    min_insync_replicas: Positive = 2
    session_timeout_ms: Positive = 10_000
    transaction_timeout_ms: Positive = 15_000
    group_prefix: str = "hocba"


class Ledger(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The PostgreSQL ledger."""

    url: str
    pool_size: Positive = 4


class Connectors(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which vendors are connected; an empty list of names means every folder below *path*."""

    path: str = "connectors"
    enabled: list[str] = []


class Registry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The sector's pupil registry, asked by pupil code in batches; its token stands in a file of mode 0600."""

    url: str
    credentials_file: str
    batch_codes: Positive = 100
    timeout_s: Seconds = 5.0
    rate_per_s: Seconds = 50.0
    counts: Literal["requests", "codes"] = "requests"
    purpose: Code = "HOCBA-GATEWAY"
    officer: Code = "GATEWAY"


class PopulationLink(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The way to the population database: SOAP over one hop, which is an address, a form, an authorization and headers.

    ``transport`` names the hop in the audit; ``headers`` are what it wants beside the message (``X-Road-Client``).
    ``hashed_url`` is the service URL in the authorization where a proxy stands before the provider (empty: ``url``).
    The credentials file (0600) holds ``user`` and ``secret``, or ``api_key``, or ``client_id`` and ``client_secret``
    for a token of ``token_url``, with ``access_token`` where ``access_token_header`` names a header that wants it.
    """

    url: str
    credentials_file: str
    procedure_code: Code
    officer_code: Code
    transport: Literal["ndxp", "lgsp", "ndop", "direct"] = "ndxp"
    headers: dict[str, str] = {}
    namespace: str = "http://dancuquocgia.bca"
    soap_action: str = ""
    auth: Literal["timestamp_basic", "api_key", "oauth_client"] = "timestamp_basic"
    token_url: str = ""
    access_token_header: str = ""
    timestamp_unit: Literal["ms", "s"] = "ms"
    hashed_url: str = ""
    operation: Literal["confirm", "look_up"] = "confirm"
    confirm_code: Code = "003"
    look_up_code: Code = "037"
    name_form: Literal["upper", "upper_bare"] = "upper"
    timeout_s: Seconds = 10.0
    rate_per_s: Seconds = 5.0
    clock_limit_s: Seconds = 60.0


class Intake(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an intake slot cuts its transactions."""

    batch_records: Positive = 2_000
    batch_bytes: Positive = 4 * 1024 * 1024
    linger_ms: Positive = 100
    slice_ms: Positive = 50


class Documents(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Signed documents: the trust store's folder (`gateway.edges.signature_files`) and how many processes verify."""

    trust: str = ""
    workers: Positive = 1


class Identity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the stream waits for running look-ups, how many may wait before it pauses, how long answers live.

    ``recheck_cron`` (+07:00; empty: never) is when the tower has pupils asked about again who were not found;
    ``closed_body_days`` must exceed the retention of gateway.mapped.
    """

    batch_records: Positive = 2_000
    linger_ms: Positive = 100
    lookup_wait_ms: Annotated[int, msgspec.Meta(ge=0)] = 150
    waiting_high_water: Positive = 100_000
    confirmed_days: Positive = 365
    refresh_days: Positive = 30
    stale_days: Positive = 30
    negative_minutes: Positive = 10
    recheck_cron: Crontab = "*/10 1-4 * * *"
    recheck_rest_hours: Positive = 12
    closed_body_days: Positive = 40
    links: dict[str, PopulationLink] = {}


class Delivery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ownership and window of a delivery slot.

    A request takes half of ``lease_s`` at most, whatever its target's contract says; after a worker that was killed
    its slots rest for as long as its leases last.
    """

    lease_s: Seconds = 60.0
    window_records: Positive = 1_000
    drain_s: Seconds = 1.5


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One target: its contract file and where its credentials stand (a file of mode 0600)."""

    contract: str
    url: str
    credentials_file: str


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a worker needs to know; the shape of ``gateway.yaml``.

    *outbound* are the hosts (``host`` or ``host:port``) that may be asked over HTTP; empty: those that the URLs name.
    """

    slots: Positive
    kafka: Kafka
    ledger: Ledger
    keys_file: str
    state_dir: str
    registry: Registry
    targets: dict[str, Target]
    connectors: Connectors = Connectors()
    schema_registry_url: str = ""
    documents: Documents = Documents()
    intake: Intake = Intake()
    identity: Identity = Identity()
    delivery: Delivery = Delivery()
    workers: dict[str, Positive] = {}
    outbound: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a file: where (line from 1), the path of the key, and what to do."""

    file: str
    line: int
    path: str
    text: str

    def __str__(self) -> str:
        """``file:line: path: text``, the form editors understand; without the path of a whole file."""
        place = f"{self.file}:{self.line}"
        return f"{place}: {self.path}: {self.text}" if self.path else f"{place}: {self.text}"


class ConfigFaults(GatewayError):
    """The configuration cannot be used; carries every fault found."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        super().__init__("\n".join(str(fault) for fault in faults))


_VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)(?::-([^}]*))?\}")


def variables(text: str) -> set[str]:
    """The names of all environment variables a configuration text refers to."""
    return {name for name, _ in _VARIABLE.findall(text)}


def load_config(path: Path, environment: Mapping[str, str]) -> Config:
    """The configuration in *path*; raises ConfigFaults with all faults of file, types and values."""
    name = str(path)
    try:
        node = yaml.compose(path.read_text("utf-8"), Loader=yaml.CSafeLoader)
    except OSError as error:
        raise ConfigFaults([Fault(name, 0, "", f"cannot be read: {error.strerror}")]) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ConfigFaults([Fault(name, line, "", f"is not YAML: {error.problem}")]) from error
    reader = NodeReader(name, environment)
    data = reader.read(node, "", Config)
    if reader.faults:
        raise ConfigFaults(reader.faults)
    try:
        config = msgspec.convert(data, Config)
    except msgspec.ValidationError as error:  # a cross-field check of msgspec that the walk does not know
        raise ConfigFaults([Fault(name, 0, "", str(error))]) from error
    if faults := list(_not_allowed(config, name, node)):
        raise ConfigFaults(faults)
    return config


def _not_allowed(config: Config, file: str, node: yaml.Node | None) -> Iterator[Fault]:
    """Yield a fault for each URL whose host is not among those of `outbound`."""
    asked = {("registry", "url"): config.registry.url, ("schema_registry_url",): config.schema_registry_url}
    asked |= {("targets", name, "url"): target.url for name, target in config.targets.items()}
    asked |= {("identity", "links", name, "url"): link.url for name, link in config.identity.links.items()}
    for path, url in asked.items():
        parts = urlsplit(url)
        names = {parts.hostname, parts.netloc.rpartition("@")[2]}
        if url and config.outbound and names.isdisjoint(config.outbound):
            text = f"{parts.hostname} is not among the hosts of outbound: {', '.join(config.outbound)}"
            yield Fault(file, _line(node, path), ".".join(path), text)


def _line(node: yaml.Node | None, path: Sequence[str]) -> int:
    """Where the value at *path* stands, or as near as there is something."""
    line = 1
    for name in path:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        node = next((value for key, value in pairs if key.value == name), None)
        line = node.start_mark.line + 1 if node is not None else line
    return line


class NodeReader:
    """Walks the YAML nodes beside the types, so that every fault keeps its line and none hides another."""

    def __init__(self, file: str, environment: Mapping[str, str]) -> None:
        self.file = file
        self.environment = environment
        self.faults: list[Fault] = []

    def fault(self, node: yaml.Node, path: str, text: str) -> None:
        """Note a fault at *node*; reading goes on."""
        self.faults.append(Fault(self.file, node.start_mark.line + 1, path, text))

    def read(self, node: yaml.Node | None, path: str, kind: Any) -> Any:
        """The plain data of *node*, checked against *kind*; look at ``faults`` before using it."""
        if node is None:
            self.faults.append(Fault(self.file, 1, path, "is empty"))
            return None
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self._struct(node, path, kind)
        if (named := _tagged(node, kind)) is not None:
            return self._struct(node, path, named)
        if get_origin(kind) is dict and isinstance(node, yaml.MappingNode):
            item = get_args(kind)[1]
            self._no_repeats(node, path)
            return {key.value: self.read(value, f"{path}.{key.value}", item) for key, value in node.value}
        if get_origin(kind) is tuple and get_args(kind)[-1] is ... and isinstance(node, yaml.SequenceNode):
            item = get_args(kind)[0]
            return [self.read(value, f"{path}[{place}]", item) for place, value in enumerate(node.value)]
        return self._scalar(node, path, kind)

    def _no_repeats(self, node: yaml.MappingNode, path: str) -> None:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                self.fault(key, f"{path}.{key.value}".lstrip("."), "stands twice")
            seen.add(key.value)

    def _struct(self, node: yaml.Node, path: str, kind: type[msgspec.Struct]) -> Any:
        if not isinstance(node, yaml.MappingNode):
            self.fault(node, path, "must be a mapping of keys")
            return None
        hints = get_type_hints(kind, include_extras=True)
        self._no_repeats(node, path)
        data: dict[str, Any] = {}
        for key, value in node.value:
            where = f"{path}.{key.value}".lstrip(".")
            if key.value == kind.__struct_config__.tag_field:
                data[key.value] = value.value
            elif key.value not in hints:
                near = difflib.get_close_matches(key.value, hints, n=3) or sorted(hints)
                self.fault(key, where, f"unknown key; did you mean {', '.join(near)}?")
            else:
                data[key.value] = self.read(value, where, hints[key.value])
        for field in msgspec.structs.fields(kind):
            if field.required and field.name not in data:
                self.fault(node, f"{path}.{field.name}".lstrip("."), "is missing")
        return data

    def _scalar(self, node: yaml.Node, path: str, kind: Any) -> Any:
        before = len(self.faults)
        value = self._value(node, path)
        if len(self.faults) > before:
            return None
        try:
            return msgspec.convert(value, kind, strict=False)
        except msgspec.ValidationError as error:
            self.fault(node, path, f"{error}{_candidates(value, kind)}")
            return None

    def _value(self, node: yaml.Node, path: str) -> object:
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, f"{path}[{index}]") for index, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return {key.value: self._value(value, f"{path}.{key.value}") for key, value in node.value}
        if "${" not in node.value:
            return node.value

        def replace(match: re.Match[str]) -> str:
            name, default = match.group(1), match.group(2)
            if name in self.environment:
                return self.environment[name]
            if default is None:
                near = difflib.get_close_matches(name, self.environment, n=2)
                hint = f"; similar: {', '.join(near)}" if near else ""
                self.fault(node, path, f"environment variable {name} is not set{hint}")
            return default or ""

        return _VARIABLE.sub(replace, node.value)


def _tagged(node: yaml.Node, kind: Any) -> type[msgspec.Struct] | None:
    """The member of a union of tagged structs that *node* says it is; also the struct of an optional one."""
    members = _members(kind)
    if not members or not isinstance(node, yaml.MappingNode):
        return None
    if len(members) == 1:
        return members[0]
    said = {key.value: value.value for key, value in node.value}
    tags = [(one.__struct_config__.tag_field, one.__struct_config__.tag) for one in members]
    return next((one for one, (name, tag) in zip(members, tags, strict=True) if said.get(name) == tag), None)


def _members(kind: Any) -> list[type[msgspec.Struct]]:
    if get_origin(kind) not in {Union, UnionType}:
        return []
    return [one for one in get_args(kind) if isinstance(one, type) and issubclass(one, msgspec.Struct)]


def _candidates(value: object, kind: Any) -> str:
    """The words that may stand there, the near ones if there are any."""
    words = [word for word in get_args(kind) if isinstance(word, str)] if get_origin(kind) is Literal else []
    if len(members := _members(kind)) > 1 and isinstance(value, dict):
        words = [str(one.__struct_config__.tag) for one in members]
        value = value.get(str(members[0].__struct_config__.tag_field))
    if not words:
        return ""
    return f"; did you mean {', '.join(difflib.get_close_matches(str(value), words, n=3) or words)}?"
