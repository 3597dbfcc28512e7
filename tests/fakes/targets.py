"""Targets in memory that pass the same contract test as the simulators over HTTP.

They keep the two rules a sender relies on (a version is applied only if larger; a key is taken once) and do besides
what a test scripts: `script` gives answers by record id, first come first served; `whole` gives answers for whole
requests. `seen` holds what arrived, in order, `effects` what was applied.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from gateway.outcomes import (
    Accepted,
    AlreadyThere,
    Ambiguous,
    BatchAnswer,
    Duplicate,
    Landed,
    NotFound,
    Outcome,
    Pending,
    PollAnswer,
    Receipt,
    RecordVersion,
    Refused,
    RefusedWhole,
    Send,
    Stale,
    TooLarge,
    Unavailable,
    Verdicts,
    Whole,
)


class Lose:
    """Script word: process the request, then lose its answer."""


class Forget:
    """Script word: process the record, then leave it out of the answer."""


@dataclass(slots=True)
class FakeImmediate:
    """An `ImmediateTarget`."""

    max_records: int = 500
    script: dict[str, deque[Outcome | Forget]] = field(default_factory=dict)
    whole: deque[Whole | Lose] = field(default_factory=deque)
    versions: dict[str, int] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    seen: list[Send] = field(default_factory=list)
    effects: list[RecordVersion] = field(default_factory=list)

    async def send(self, batch: Sequence[Send]) -> BatchAnswer:
        if len(batch) > self.max_records:
            return BatchAnswer({}, whole=TooLarge())
        scripted = self.whole.popleft() if self.whole else None
        if scripted is not None and not isinstance(scripted, Lose):
            wait_s = scripted.retry_after_s if isinstance(scripted, Unavailable) else None
            return BatchAnswer({}, slow_down_s=wait_s, whole=scripted)
        self.seen += batch
        answers = {(send.record_id, send.version): self._answer(send) for send in batch}
        return BatchAnswer({}, whole=Ambiguous("connection")) if scripted else BatchAnswer(answers)

    async def held(self, record_ids: Sequence[str]) -> Mapping[str, int]:
        return {name: self.versions[name] for name in record_ids if name in self.versions}

    def _answer(self, send: Send) -> Outcome:
        if send.key in self.keys:
            return Duplicate()
        held = self.versions.get(send.record_id, 0)
        if send.version <= held:
            return Duplicate() if send.version == held else Stale()
        scripted = self.script.get(send.record_id)
        said = scripted.popleft() if scripted else Accepted()
        if isinstance(said, Accepted | Ambiguous | Forget):
            self.keys.add(send.key)
            self.versions[send.record_id] = send.version
            self.effects.append((send.record_id, send.version))
        return Ambiguous("missing") if isinstance(said, Forget) else said


@dataclass(slots=True)
class FakePackets:
    """A `PacketTarget`; a packet is found after `late` polls and answered after one more."""

    late: int = 0
    max_items: int = 200
    script: dict[str, deque[Outcome]] = field(default_factory=dict)
    whole: deque[Whole | Lose] = field(default_factory=deque)
    packets: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    evidence: dict[str, bytes] = field(default_factory=dict)
    polls: dict[str, int] = field(default_factory=dict)
    held: dict[str, tuple[int, bool]] = field(default_factory=dict)
    replies: dict[str, Mapping[RecordVersion, Outcome]] = field(default_factory=dict)
    effects: list[tuple[str, int, str]] = field(default_factory=list)

    async def upload(self, evidence_key: str, sha256: str, content: bytes) -> Receipt:
        del sha256
        if evidence_key in self.evidence:
            return AlreadyThere()
        self.evidence[evidence_key] = content
        return Landed()

    async def submit(self, packet_key: str, purpose: str, body: bytes) -> Receipt:
        scripted = self.whole.popleft() if self.whole else None
        if scripted is not None and not isinstance(scripted, Lose):
            return scripted
        packet = msgspec.json.decode(body)
        if packet_key in self.packets:
            return AlreadyThere()
        if packet["muc_dich_ban_tin"] != purpose:
            return RefusedWhole("HTTP-400")
        if len(packet["items"]) > self.max_items:
            return TooLarge()
        self.packets[packet_key] = (purpose, body)
        return Ambiguous("connection") if scripted else Landed()

    async def results(self, packet_key: str) -> PollAnswer:
        if packet_key not in self.packets:
            return NotFound()
        self.polls[packet_key] = self.polls.get(packet_key, 0) + 1
        if self.polls[packet_key] <= self.late:
            return NotFound()
        if self.polls[packet_key] == self.late + 1:
            return Pending("00")
        if packet_key not in self.replies:
            self.replies[packet_key] = self._process(*self.packets[packet_key])
        return Verdicts(self.replies[packet_key])

    def _process(self, purpose: str, body: bytes) -> Mapping[RecordVersion, Outcome]:
        items = msgspec.json.decode(body)["items"]
        return {(item["id_ban_ghi"], item["phien_ban"]): self._judge(purpose, item) for item in items}

    def _judge(self, purpose: str, item: dict[str, object]) -> Outcome:
        name, version = str(item["id_ban_ghi"]), int(str(item["phien_ban"]))
        held, in_force = self.held.get(name, (0, False))
        if version < held:
            return Stale()
        if version == held and not (purpose == "03" and in_force):
            return Duplicate()
        scripted = self.script.get(name)
        said = scripted.popleft() if scripted else Accepted()
        if isinstance(said, Accepted) and purpose == "01" and in_force:
            said = Refused("MAU-L05", "duplicate")
        if isinstance(said, Accepted):
            self.held[name] = (version, purpose != "03")
            self.effects.append((name, version, purpose))
        return said
