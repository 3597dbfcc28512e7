"""What goes wrong at a simulated neighbour: a plan, and the seeded dice that follow it.

The rule: a refusal belongs to a record and its version and is the same at every try (a hash decides, not the dice), so
that only a newer version or a changed plan mends it; every other fault belongs to a request and may be gone at the
next.
Faults before processing leave no effect, `drop` and half of the server errors come after it.
"""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]


class Outage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One outage of `for_s` seconds, once, after so many effects or so long after the plan was set."""

    for_s: Seconds
    after_records: int | None = None
    after_s: Seconds | None = None


class FaultPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Shares are of requests, but `p_refuse`, `p_retry` and `p_missing`, which are of records.

    `slow_s` delays before processing, `stall_after_s` after it: the effect is there and the answer is late.
    """

    latency_ms: tuple[float, float] = (0.0, 0.0)
    slow_s: Seconds = 0.0
    stall_after_s: Seconds = 0.0
    p429: Share = 0.0
    retry_after_s: Seconds = 1.0
    p5xx: Share = 0.0
    p_drop_after: Share = 0.0
    p_refuse: Share = 0.0
    refuse_codes: tuple[str, ...] = ("MAU-L01", "MAU-L02", "MAU-L07")
    refuse_records: tuple[str, ...] = ()
    p_retry: Share = 0.0
    p_missing: Share = 0.0
    p_soap_fault: Share = 0.0
    down: bool = False
    outage: tuple[Outage, ...] = ()


PRESETS: dict[str, FaultPlan] = {
    "off": FaultPlan(),
    "light": FaultPlan(
        latency_ms=(1, 15),
        p429=0.01,
        retry_after_s=1,
        p5xx=0.01,
        p_drop_after=0.01,
        p_refuse=0.004,
        p_missing=0.0005,
    ),
    "heavy": FaultPlan(
        latency_ms=(2, 60),
        p429=0.01,
        retry_after_s=1,
        p5xx=0.03,
        p_drop_after=0.03,
        p_refuse=0.01,
        p_retry=0.002,
        p_missing=0.001,
        outage=(Outage(after_records=3000, for_s=10),),
    ),
}

TEXTS: dict[str, str] = {
    "MAU-L01": "Số định danh không khớp họ tên, ngày sinh (mã lỗi minh hoạ)",
    "MAU-L02": "Chữ ký số của nhà trường chưa được duyệt (mã lỗi minh hoạ)",
    "MAU-L03": "Thiếu số định danh cá nhân (mã lỗi minh hoạ)",
    "MAU-L04": "Đã có phiên bản mới hơn (mã lỗi minh hoạ)",
    "MAU-L05": "Hồ sơ đang có hiệu lực, không đăng ký lại được (mã lỗi minh hoạ)",
    "MAU-L06": "Phiên bản này đã được tiếp nhận (mã lỗi minh hoạ)",
    "MAU-L07": "Kết quả học tập chưa hợp lệ (mã lỗi minh hoạ)",
    "MAU-L09": "Không nhận cập nhật; hãy thu hồi rồi đăng ký lại (mã lỗi minh hoạ)",
}
"""The invented codes and their texts."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens to one request: refused `before` with this status, or processed and then lost."""

    delay_s: float = 0.0
    before: int | None = None
    after: Literal["answer", "drop", "error"] = "answer"


def read_plan(text: str) -> FaultPlan:
    """The plan named or written (JSON) in *text*; raises msgspec.ValidationError or DecodeError for anything else."""
    return PRESETS[text] if text in PRESETS else msgspec.json.decode(text, type=FaultPlan)


class Faults:
    """The plan in force and its dice."""

    def __init__(self, plan: FaultPlan, seed: int, monotonic_s: Callable[[], float]) -> None:
        self._dice = random.Random(seed)
        self._seed = seed
        self._monotonic_s = monotonic_s
        self._records = 0
        self.change(plan)

    def change(self, plan: FaultPlan) -> None:
        """Put *plan* in force from now on; its outages count from now."""
        self.plan = plan
        self._since_s = self._monotonic_s()
        self._since_records = self._records
        self._ends_s: dict[int, float] = {}
        self._named = frozenset(plan.refuse_records)

    def count(self, records: int) -> None:
        """Take note of *records* effects, for outages that begin after a number of them."""
        self._records += records

    def is_down(self) -> bool:
        """Whether an outage is on now."""
        if self.plan.down:
            return True
        now_s = self._monotonic_s()
        for index, outage in enumerate(self.plan.outage):
            if index not in self._ends_s and self._begins(outage, now_s):
                self._ends_s[index] = now_s + outage.for_s
        return any(now_s < end_s for end_s in self._ends_s.values())

    def _begins(self, outage: Outage, now_s: float) -> bool:
        late = outage.after_s is not None and now_s - self._since_s >= outage.after_s
        full = outage.after_records is not None and self._records - self._since_records >= outage.after_records
        return late or full

    def fate(self) -> Fate:
        """Throw the dice for one request."""
        if self.is_down():
            return Fate(before=503)
        plan, dice = self.plan, self._dice.random()
        delay_s = self._dice.uniform(*plan.latency_ms) / 1000 + plan.slow_s
        if dice < plan.p429:
            return Fate(delay_s=delay_s, before=429)
        dice -= plan.p429
        if dice < plan.p5xx:  # 503 is said at the door; 500 falls out of the machine, half of the times too late
            kind = self._dice.randrange(4)
            return (
                Fate(delay_s=delay_s, after="error")
                if kind == 0
                else Fate(delay_s=delay_s, before=(500, 503, 503)[kind - 1])
            )
        lost = dice - plan.p5xx < plan.p_drop_after
        return Fate(delay_s=delay_s, after="drop" if lost else "answer")

    def refusal(self, record_id: str, version: int) -> str | None:
        """The code with which this version of this record is refused, every time, or None."""
        if record_id in self._named or f"{record_id}@{version}" in self._named:
            return self.plan.refuse_codes[-1]
        if not self.plan.p_refuse:
            return None
        digest = hashlib.sha256(f"{self._seed}|{record_id}|{version}".encode()).digest()
        if int.from_bytes(digest[:8]) >= self.plan.p_refuse * 2.0**64:
            return None
        return self.plan.refuse_codes[digest[8] % len(self.plan.refuse_codes)]

    def retries(self) -> bool:
        """Whether one record is answered "later" this time."""
        return bool(self.plan.p_retry) and self._dice.random() < self.plan.p_retry

    def forgets(self) -> bool:
        """Whether one record is left out of the answer this time."""
        return bool(self.plan.p_missing) and self._dice.random() < self.plan.p_missing

    def faults_soap(self) -> bool:
        """Whether one SOAP request is answered by a fault of the server this time."""
        return bool(self.plan.p_soap_fault) and self._dice.random() < self.plan.p_soap_fault

    def shuffle(self, answers: list[dict[str, object]]) -> None:
        """Mix the answers, so that only a sender that reads ids understands them."""
        self._dice.shuffle(answers)
