"""What an operator asks and orders: explain, rejected, parked, replay, tail.

Exit codes are honest: 1 where what was asked for is not there, or where not every record came to the promised end;
2 (from ``cli.main``) where a person has to mend the set-up.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import msgspec
import typer
from rich.console import Console

from gateway.config import Config
from gateway.edges import operator_ledger, operator_stream, story_ledger
from gateway.edges.ledger import Pool
from gateway.edges.operator_ledger import ParkedFilter, Person, RejectedRow
from gateway.edges.proof_ledger import Proof, proof
from gateway.ops import format as show
from gateway.ops import replays
from gateway.ops.proof import document
from gateway.ops.replays import Given, Outcome, Progress, Selection
from gateway.ops.setup_commands import ConfigOption, JsonOption, read_config
from gateway.ops.story import Story, reason, shown, tell
from gateway.quarantine.plans import REVOKED, Action, NotAnId, ParkedId, Plan, parse_id
from gateway.record import Position, vendor_topic

DEFAULT_CONFIG = Path("gateway.yaml")
PARKED_COLUMNS = (
    "id",
    "vendor",
    "state",
    "code",
    "field",
    "owner",
    "target_code",
    "op",
    "version",
    "record_id",
    "parked_at",
)
REJECTED_COLUMNS = ("position", "vendor", "reason", "field", "items", "bytes", "rejected_at")
TAIL_COLUMNS = ("position", "vendor", "op", "version", "school_year", "record_id", "event_id", "size_bytes")
ORDER_COLUMNS = ("order", "id", "action", "state", "outcome", "row_state", "end_state")

VendorOption = Annotated[str | None, typer.Option("--vendor", help="Only this vendor.")]
CodeOption = Annotated[str | None, typer.Option("--code", help="Only this reason, such as TG-02.")]
TargetOption = Annotated[str | None, typer.Option("--target", help="Only this target.")]
StageOption = Annotated[str | None, typer.Option("--stage", help="Only identity or delivery.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]
IdsOption = Annotated[list[str] | None, typer.Option("--id", help="A parked record; may be given again.")]
EventsOption = Annotated[list[str] | None, typer.Option("--event", help="An event, by any id that explain takes.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept with the order.")]
ByOption = Annotated[str, typer.Option("--by", help="Who orders it; kept with the order.")]
WaitOption = Annotated[float, typer.Option("--wait", min=0.0, metavar="SECONDS", help="Wait until all are at rest.")]
RevokedOption = Annotated[
    bool, typer.Option("--although-revoked", help="TG-06 too: leave the pupil without a valid record at the target.")
]
ProofOption = Annotated[bool, typer.Option("--proof", help="The proof of delivery: hashes, keys, answers, times.")]

rejected_app = typer.Typer(no_args_is_help=True, help="Messages that went back to their vendor.")
parked_app = typer.Typer(no_args_is_help=True, help="Records held with a reason.")
replay_app = typer.Typer(no_args_is_help=True, help="Release parked records.")
Answer = TypeVar("Answer")


def ask(path: Path, question: Callable[[Config, Pool], Awaitable[Answer]]) -> Answer:
    """The answer to *question* with an open ledger; raises GatewayError when something cannot be reached."""
    config = read_config(path)

    async def answered() -> Answer:
        async with operator_ledger.opened(config.ledger.url) as pool:
            return await question(config, pool)

    return asyncio.run(answered())


def give_up(text: str) -> NoReturn:
    """Tell on standard error why there is nothing, and end with exit code 1."""
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(text)
    raise typer.Exit(1)


def explain(
    event_id: Annotated[str, typer.Argument(help="An event id, the vendor's ce_id or record id, or a record id.")],
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    as_json: JsonOption = False,
    with_proof: ProofOption = False,
) -> None:
    """Tell the way of an event: its bytes, mapping, identity, unified stream, every target, every receipt."""

    async def told(settings: Config, pool: Pool) -> tuple[list[Story], Proof]:
        events = await story_ledger.events_of(pool, event_id)
        return [await tell(settings, pool, event) for event in events], await proof(pool, events)

    stories, shown_by = ask(config, told)
    if not stories:
        give_up(f"nothing is known of {event_id}: no receipt, no parked record, no delivery")
    if with_proof:
        made = document(shown_by, {story.event_id: story.receipts for story in stories})
        show.print_json(made) if as_json else show.console().print_json(data=made)
        return
    if as_json:
        show.print_json(stories)
        return
    for story in stories:
        show.console().print(show.story_tree(story))
    if len(stories) == story_ledger.MAX_EVENTS:
        show.console().print(f"… the first {story_ledger.MAX_EVENTS} events; ask for one of them by its event id")


def tail(
    vendor: VendorOption = None,
    limit: LimitOption = 20,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the end of the unified stream: ids, versions and school years; never a pupil."""
    settings = read_config(config)
    lines = asyncio.run(operator_stream.stream_end(settings, vendor, limit))
    _print_lines(lines, as_json)
    if follow:

        async def go_on() -> None:
            async for more in operator_stream.stream_on(settings, vendor):
                _print_lines(more, as_json)

        try:
            asyncio.run(go_on())
        except KeyboardInterrupt:
            raise typer.Exit(0) from None


def _print_lines(lines: Sequence[operator_stream.StreamLine], as_json: bool) -> None:
    if as_json:
        for line in lines:
            show.print_json(line)
    elif lines:
        show.console().print(show.table("unified stream", TAIL_COLUMNS, msgspec.to_builtins(lines)))


def _plain(row: RejectedRow) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(row)
    position = Position(row.source_topic, row.source_partition, row.source_offset)
    kept = Position(vendor_topic(row.vendor, "rejected"), row.dlt_partition, row.dlt_offset)
    return {"position": str(position), **plain, "kept_at": str(kept), "problem": reason(row.reason, row.field)}


@rejected_app.command("list")
def rejected_list(
    vendor: VendorOption = None,
    code: CodeOption = None,
    limit: LimitOption = 100,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    as_json: JsonOption = False,
) -> None:
    """List rejected messages, newest first."""
    rows = ask(config, lambda _, pool: operator_ledger.rejected_rows(pool, vendor, code, limit))
    plain = [_plain(row) for row in rows]
    if as_json:
        show.print_json(plain)
    else:
        show.console().print(show.table("rejected", REJECTED_COLUMNS, plain))


def _position(text: str) -> Position:
    place, _, offset = text.rpartition("@")
    topic, _, partition = place.rpartition("-")
    if not (topic and partition.isdecimal() and offset.isdecimal()):
        give_up("a position looks like vendor.<vendor>.records-3@77")
    return Position(topic, int(partition), int(offset))


@rejected_app.command("show")
def rejected_show(
    position: Annotated[str, typer.Argument(help="Where it stood: vendor.<vendor>.records-3@77")],
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show a rejected message: reason and fix, where its bytes are kept, and what became of each item."""
    at = _position(position)

    async def found(settings: Config, pool: Pool) -> dict[str, Any] | None:
        row = await operator_ledger.rejected_at(pool, at.topic, at.partition, at.offset)
        if row is None:
            return None
        kept = Position(vendor_topic(row.vendor, "rejected"), row.dlt_partition, row.dlt_offset)
        async with operator_stream.reading(settings.kafka) as consumer:
            kept_bytes = await operator_stream.bytes_at(consumer, kept)
        return {**_plain(row), "kept": kept_bytes, "item_states": await story_ledger.items_at(pool, at)}

    plain = ask(config, found)
    if plain is None:
        give_up(f"no rejected message stood at {position}")
    if as_json:
        show.print_json(plain)
        return
    items = msgspec.to_builtins(plain.pop("item_states"))
    kept = plain.pop("kept")
    there = "no longer in the topic" if kept is None else f"{kept.size_bytes} bytes, sha256 {kept.sha256}"
    problem = plain.pop("problem") or {}
    show.console().print(show.facts("rejected message", {**plain, "kept": there, **problem}))
    show.console().print(show.table("items", ("source_index", "target", "state", "code", "field", "event_id"), items))


@parked_app.command("list")
def parked_list(
    vendor: VendorOption = None,
    code: CodeOption = None,
    target: TargetOption = None,
    stage: StageOption = None,
    limit: LimitOption = 100,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    closed: Annotated[bool, typer.Option("--closed", help="Closed ones too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List parked and waiting records, oldest first."""
    wanted = ParkedFilter(vendor=vendor, code=code, target=target, stage=stage, any_state=closed)
    plain = [shown(row) for row in ask(config, lambda _, pool: operator_ledger.parked_rows(pool, wanted, limit))]
    if as_json:
        show.print_json(plain)
    else:
        show.console().print(show.table("parked", PARKED_COLUMNS, plain))


def parked_ids(texts: Sequence[str]) -> tuple[ParkedId, ...]:
    """The ids that *texts* are; ends with exit code 1 at the first that is none."""
    try:
        return tuple(parse_id(text) for text in texts)
    except NotAnId as error:
        give_up(str(error))


@parked_app.command("show")
def parked_show(
    parked_id: Annotated[str, typer.Argument(help="delivery:sector:3:1042 or identity:3:77")],
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show a parked record: its reason, whose turn it is and what to do; never its content."""
    ids = parked_ids([parked_id])
    rows = ask(config, lambda _, pool: operator_ledger.parked_by_ids(pool, ids))
    if not rows:
        give_up(f"no record is or was parked as {parked_id}")
    plain = shown(rows[0])
    if as_json:
        show.print_json(plain)
    else:
        problem = plain.pop("problem") or {}
        show.console().print(show.facts("parked record", {**plain, **problem}))


@parked_app.command("discard")
def parked_discard(
    parked_id: Annotated[list[str], typer.Argument(help="The records to give up.")],
    reason_given: ReasonOption,
    by: ByOption,
    wait_s: WaitOption = 0.0,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    as_json: JsonOption = False,
    although_revoked: RevokedOption = False,
) -> None:
    """Order that parked records end as discarded, with your name; nothing is sent for them any more."""
    confirmed = frozenset({REVOKED} if although_revoked else ())
    selection = Selection(ids=parked_ids(parked_id), confirmed=confirmed)
    _order(config, selection, "discard", Person(by, reason_given), wait_s, as_json)


def _selection(
    ids: list[str] | None, events: list[str] | None, code: str | None, target: str | None, vendor: str | None
) -> Selection:
    by_filter = ParkedFilter(vendor=vendor, code=code, target=target) if code or target or vendor else None
    selection = Selection(parked_ids(ids or ()), tuple(events or ()), by_filter)
    if selection == Selection():
        give_up("say which records: --id, --event, --code, --target or --vendor")
    return selection


@replay_app.command("plan")
def replay_plan(
    ids: IdsOption = None,
    events: EventsOption = None,
    code: CodeOption = None,
    target: TargetOption = None,
    vendor: VendorOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show which parked records a replay would release, and which not; exit code 1 when it would release none."""
    selection = _selection(ids, events, code, target, vendor)
    made, _ = ask(config, lambda _, pool: replays.make_plan(pool, selection, "release"))
    if as_json:
        show.print_json(_plan(made))
    else:
        _print_plan(made)
    raise typer.Exit(0 if made.orders else 1)


@replay_app.command("run")
def replay_run(
    *,
    reason_given: ReasonOption,
    by: ByOption,
    ids: IdsOption = None,
    events: EventsOption = None,
    code: CodeOption = None,
    target: TargetOption = None,
    vendor: VendorOption = None,
    wait_s: WaitOption = 0.0,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Order the release of parked records; with --wait, exit code 0 means that all of them are settled."""
    selection = _selection(ids, events, code, target, vendor)
    _order(config, selection, "release", Person(by, reason_given), wait_s, as_json)


def _order(path: Path, selection: Selection, action: Action, person: Person, wait_s: float, as_json: bool) -> None:
    console = Console(stderr=True, highlight=False)

    async def ordered(_: Config, pool: Pool) -> tuple[Given, Outcome]:
        given = await replays.give(pool, selection, action, person)
        with console.status("waiting for the owners of the slots") as status:

            def tell_progress(now: Progress) -> None:
                done = f"{now.settled} settled, {now.parked_again} parked again, {now.void} void"
                status.update(f"{now.orders} orders: {now.open} not yet taken, {done}")

            return given, await replays.wait(pool, given, wait_s, tell_progress)

    given, end = ask(path, ordered)
    rows = _order_rows(end)
    if as_json:
        show.print_json({**_plan(given.plan), "orders": rows, "progress": end.progress})
    else:
        _print_plan(given.plan)
        show.console().print(show.table("orders", ORDER_COLUMNS, rows))
    named_in_vain = replays.unreached(given.plan.left_out, selection.ids)
    promised = end.progress.settled if wait_s > 0 else end.progress.orders
    raise typer.Exit(0 if promised == len(given.plan.orders) > 0 and not named_in_vain else 1)


def _order_rows(end: Outcome) -> list[dict[str, Any]]:
    rows = {row.id: row for row in end.rows}
    result = []
    for order in end.orders:
        one = ParkedId(order.stage, order.target, order.slot, order.topic_offset)
        row = rows.get(one)
        result.append(
            {
                "order": order.id,
                "id": str(one),
                "action": order.action,
                "state": order.state,
                "outcome": order.outcome,
                "row_state": row.state if row else None,
                "end_state": row.end_state if row else None,
            }
        )
    return result


def _plan(made: Plan) -> dict[str, Any]:
    return {
        "planned": [{"id": str(order.id), "action": order.action} for order in made.orders],
        "left_out": [{"id": str(one.id), "why": one.why} for one in made.left_out],
    }


def _print_plan(made: Plan) -> None:
    plain = _plan(made)
    show.console().print(show.table(f"to order: {len(made.orders)}", ("id", "action"), plain["planned"]))
    if made.left_out:
        show.console().print(show.table("left out", ("id", "why"), plain["left_out"]))
