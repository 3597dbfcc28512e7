"""Seeded faults: small patches of the code, each of which breaks one rule, and the test that must find it.

A patch names a function and replaces one piece of its text; while it is in force the function's code is that of the
patched text, everywhere.  A piece that is not found, or found twice, is an error: the list follows the code.
"""

import importlib
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FunctionType


@dataclass(frozen=True)
class Mutation:
    """*where* is ``module:function`` below ``gateway``, *found_by* a test below ``tests``; *breaks* says what."""

    name: str
    breaks: str
    where: str
    old: str
    new: str
    found_by: str


BATCHES = "property.test_delivery_machine:Deliveries"
PACKETS = "property.test_delivery_machine:PacketDeliveries"
TWO_STEPS = "property.test_delivery_machine:TwoStepDeliveries"
RULES = "unit.delivery.test_delivery_rules"
OWNERS = "property.test_delivery_shell:Owners"
STEPS = "unit.delivery.test_delivery_two_steps"
BLAME = "unit.delivery.test_delivery_fair_blame"
HELD = "unit.delivery.test_delivery_held"

MUTATIONS = (
    Mutation(
        "a record in doubt is superseded",
        "an effect at the target that the ledger does not know (rule 4)",
        "delivery.lanes:supersede",
        "and (not open_.doubt or open_.is_refused)",
        "",
        BATCHES,
    ),
    Mutation(
        "a lane sends while it is busy",
        "I3: two of a pupil in flight",
        "delivery.slot:Slot.advance",
        "lane.loading or lane.busy or",
        "lane.loading or",
        BATCHES,
    ),
    Mutation(
        "an offset passes before the end state is committed",
        "I5: an offset passes what is neither settled nor taken over",
        "delivery.slot:Slot.conclude",
        "case Accepted() | Duplicate():",
        "case Accepted() | Duplicate():\n                self.offsets.close(head.entry.offset)",
        BATCHES,
    ),
    Mutation(
        "the vendor's word decides what is asked",
        "UPDATE of what the target never had, NEW of what it holds (design section 3)",
        "delivery.values:decide",
        "return Op.UPDATE if known.in_force else Op.NEW",
        "return op",
        BATCHES,
    ),
    Mutation(
        "every cancel is sent",
        "a cancel of what the target never had",
        "delivery.values:decide",
        "return Op.CANCEL if known.in_force or known.maybe > known.held else None",
        "return Op.CANCEL",
        BATCHES,
    ),
    Mutation(
        "a missing answer is no doubt",
        "an effect that the ledger does not know (rule 4)",
        "delivery.slot:Slot.conclude",
        "head.doubt = True",
        "head.doubt = False",
        BATCHES,
    ),
    Mutation(
        "a lost answer is no doubt",
        "an effect that the ledger does not know (rule 4)",
        "delivery.flights:Flights._unanswered",
        "flight.open.doubt = True",
        "flight.open.doubt = False",
        BATCHES,
    ),
    Mutation(
        "nothing waits for the send horizon",
        "a successor cannot know what a dead owner sent (ADR 0001)",
        "delivery.slot:Slot._offer",
        "head.entry.offset >= self._horizon",
        "head.entry.offset < 0",
        BATCHES,
    ),
    Mutation(
        "a successor forgets what a dead owner may have sent",
        "an effect that the ledger does not know (ADR 0001)",
        "delivery.slot:Slot._may_be_sent",
        "return offset < self._inherited and first",
        "return offset < 0 and first",
        BATCHES,
    ),
    Mutation(
        "only the head of a blocked lane is parked",
        "I1: what waits behind has no state",
        "delivery.slot:Slot._hold",
        "for open_ in lane.queue:",
        "for open_ in lane.queue[:1]:",
        BATCHES,
    ),
    Mutation(
        "a parked record goes without its order",
        "I7: a parked lane sends only through its order",
        "delivery.lanes:_opened",
        "free = row.reason.code == BEHIND or",
        "free = row.seq > 0 or",
        BATCHES,
    ),
    Mutation(
        "an end state leaves the parked row open",
        "I1: two states of one record",
        "delivery.drafts:Drafts.settle",
        "row = open_.row or open_.parking",
        "row = False",
        BATCHES,
    ),
    Mutation(
        "the position is committed while records are open",
        "I5: an offset passes what is neither settled nor taken over",
        "delivery.offsets:Offsets.low_water",
        "return self._order[0] if self._order else self.position",
        "return self.position",
        BATCHES,
    ),
    Mutation(
        "a lane goes on before its write is committed",
        "a successor finds more than the head of a lane in doubt",
        "delivery.slot:Slot.advance",
        "elif not lane.writes:",
        "else:",
        f"{RULES}:test_the_next_record_of_a_pupil_waits_until_the_end_of_the_one_before_is_committed",
    ),
    Mutation(
        "a packet's offsets pass before its row is committed",
        "I5: an offset passes what is neither settled nor taken over",
        "delivery.packets:Packets.built",
        "if flights:",
        "for flight in flights:\n            self._slot.offsets.close(flight.open.entry.offset)\n        if flights:",
        PACKETS,
    ),
    Mutation(
        "an undecided record goes into another packet",
        "a record stands in two packets at once",
        "delivery.packets:Packets._judge",
        "if isinstance(outcome, Pending):\n                waiting.append(flight)",
        'if isinstance(outcome, Pending):\n                said.append((flight, Ambiguous("pending")))',
        PACKETS,
    ),
    Mutation(
        "a packet leaves before its row",
        "the row precedes the POST",
        "delivery.packets:Packets.built",
        'packet = Packet(event.packet, build.op, flights, "row", evidence=event.evidence)',
        'packet = Packet(event.packet, build.op, flights, "row", evidence=event.evidence)\n'
        "            self.effects.append(Submit(event.packet))",
        PACKETS,
    ),
    Mutation(
        "a portal without updates is sent one",
        "the portal knows only create and revoke",
        "delivery.values:next_step",
        "if two_steps and asked is Op.UPDATE",
        "if two_steps and asked is None",
        TWO_STEPS,
    ),
    Mutation(
        "between the two steps a record stands in no row",
        "I1: a crash there loses it, and its pupil is left without a record",
        "delivery.drafts:Drafts.revoke",
        "self.current.parks.append(",
        "list[Park]().append(",
        TWO_STEPS,
    ),
    Mutation(
        "the verdict of a revoke is looked for under the new version",
        "the update never comes to an end",
        "delivery.flights:version_of",
        "flight.revokes or flight.open.entry.version",
        "flight.open.entry.version",
        f"{STEPS}:test_an_update_revokes_the_version_in_force_and_then_registers_the_new_one",
    ),
    Mutation(
        "a target that refuses everything parks everything",
        "rule 1: an outage holds",
        "delivery.flights:halved",
        "elif slot.vouches > open_.suspected:",
        "elif slot.vouches >= 0:",
        f"{HELD}:test_a_target_that_refuses_whatever_it_is_sent_parks_nobody_and_raises_an_alarm",
    ),
    Mutation(
        "a packet is polled for ever",
        "a pupil waits without a word",
        "delivery.packets:Packets._given_up",
        "packet.waited_s += min(now - packet.heard,",
        "packet.waited_s += min(0.0,",
        f"{HELD}:test_a_packet_that_is_never_processed_is_given_up_and_its_records_park_in_doubt",
    ),
    Mutation(
        "Retry-After is not heard",
        "a target that asks for patience is stormed",
        "delivery.retry:Backoff.delay_s",
        "return max(dice * ceiling, retry_after_s or 0.0)",
        "return dice * ceiling",
        "unit.delivery.test_delivery_parts:test_the_wait_doubles_up_to_its_cap_and_never_undercuts_the_targets_wish",
    ),
    Mutation(
        "all probe at once after an outage",
        "a target that comes back is stormed",
        "delivery.retry:Gate.is_waiting",
        "return self._probing and requests > 0",
        "return False",
        f"{RULES}:test_after_an_outage_one_probe_goes_first",
    ),
    Mutation(
        "an outage burns attempts",
        "rule 1: an outage parks nobody",
        "delivery.slot:Slot.failed",
        "if self.successes > head.mark or (answered and self.is_cornered and self.vouches > head.vouched):",
        "if True:",
        f"{HELD}:test_a_hundred_lost_answers_in_an_outage_park_nobody",
    ),
    Mutation(
        "an outage that is told record by record burns attempts",
        "rule 1: an outage parks nobody",
        "delivery.slot:Slot.failed",
        "(answered and self.is_cornered and self.vouches > head.vouched)",
        "(answered and self.is_cornered)",
        f"{BLAME}:test_an_outage_told_record_by_record_parks_nobody_though_the_window_is_full",
    ),
    Mutation(
        "an outage that is told record by record leaves the gate open",
        "a target in trouble is asked as often as one that is well",
        "delivery.retry:Gate.hear",
        "case None if fruitless:",
        "case None if False:",
        f"{BLAME}:test_such_a_target_is_asked_ever_more_rarely_and_one_request_at_a_time",
    ),
    Mutation(
        "a release is kept in memory alone",
        "an order is lost with its owner",
        "delivery.slot:Slot._obey",
        "self.drafts.release(lane.queue[0])",
        "pass",
        BATCHES,
    ),
    Mutation(
        "what was refused in doubt cannot be cancelled",
        "a record stays at the target that its school took back",
        "delivery.drafts:Drafts.settle",
        "(state is State.DISCARDED or open_.is_refused)",
        "state is State.DISCARDED",
        f"{BLAME}:test_what_was_in_doubt_and_refused_can_still_be_cancelled_at_the_target",
    ),
    Mutation(
        "a row in doubt is asked for at once",
        "an effect twice, where the target does not show yet what it took",
        "delivery.slot:Slot.loaded",
        "open_.proves_at = now + self.settings.ask_after_s",
        "open_.proves_at = now",
        f"{BLAME}:test_a_row_in_doubt_is_not_asked_for_before_the_answer_proves_something",
    ),
    Mutation(
        "a closed portal counts as one that does not answer",
        "records park in doubt after a holiday",
        "delivery.packets:Packets._given_up",
        "min(now - packet.heard, MOST_POLLS_AWAY * self._slot.settings.poll_every_s)",
        "now - packet.heard",
        f"{BLAME}:test_time_in_which_a_portal_was_closed_is_no_time_of_its_own",
    ),
    Mutation(
        "a slot whose lease is lost goes on",
        "I6: a send and a write after the epoch ended",
        "delivery.machine:Machine._hear",
        "self._lost = True",
        "self._lost = False",
        f"{RULES}:test_after_the_lease_is_lost_nothing_is_sent_and_nothing_is_written",
    ),
    Mutation(
        "a worker sends without a lease",
        "I6: a send after the epoch ended",
        "workers.delivery_lease:Lease.allows",
        "return self._until - monotonic_s() > self.request_s",
        "return True",
        OWNERS,
    ),
    Mutation(
        "a successor does not wait for the lease of the owner before",
        "I6: two owners send at once",
        "workers.delivery_slot:DeliverySlot._own",
        "if left_s > 0 and",
        "if left_s < 0 and",
        OWNERS,
    ),
    Mutation(
        "a write counts as committed before it is",
        "I5: an offset passes what is neither settled nor taken over",
        "workers.delivery_pump:Pump._flush",
        'await hold_while_down(lambda: self._parts.ledger.write(flush), "delivery rows")',
        'asyncio.ensure_future(hold_while_down(lambda: self._parts.ledger.write(flush), "delivery rows"))',
        "property.test_delivery_shell:test_i5_no_offset_passes_while_the_ledger_is_down",
    ),
    Mutation(
        "fetching goes on while the window is full",
        "I11: memory grows with an outage",
        "workers.delivery_slot:DeliverySlot._fetch",
        "await self._room.wait()",
        "await asyncio.sleep(0)",
        OWNERS,
    ),
    Mutation(
        "a record is sent under another key when it is read again",
        "I4: one key for one version",
        "workers.delivery_send:BatchSender._translated",
        "entry.content_hash)",
        "str(id(entry)))",
        OWNERS,
    ),
)


@contextmanager
def in_force(mutation: Mutation) -> Iterator[None]:
    """Let the patched code be the function's until the end."""
    function = _function(mutation.where)
    before = function.__code__
    function.__code__ = _patched(mutation, function)
    try:
        yield
    finally:
        function.__code__ = before


def _function(where: str) -> FunctionType:
    module, _, path = where.partition(":")
    found: object = importlib.import_module(f"gateway.{module}")
    for name in path.split("."):
        found = inspect.getattr_static(found, name)
    if isinstance(found, property):
        found = found.fget
    assert isinstance(found, FunctionType), where
    return found


def _patched(mutation: Mutation, function: FunctionType) -> CodeType:
    source = inspect.getsource(function)
    assert source.count(mutation.old) == 1, f"{mutation.name}: the text is there {source.count(mutation.old)} times"
    code = compile(textwrap.dedent(source.replace(mutation.old, mutation.new)), mutation.where, "exec")
    made: dict[str, object] = {}
    exec(code, function.__globals__, made)  # noqa: S102  our own source with one piece replaced
    patched = made[function.__name__]
    if isinstance(patched, property):
        patched = patched.fget
    assert isinstance(patched, FunctionType)
    return patched.__code__
