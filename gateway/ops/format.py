"""How commands speak: rich tables and a tree for people, JSON for programs; the same content in both.

Texts that are not ours (a target's code, a reason an operator typed) are printed without markup.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from gateway.edges.operator_stream import BytesFound, HeadFound
from gateway.ops.story import AtTarget, Source, Story

PIPED_COLUMNS = 240

_COLOURS: Mapping[str, str] = {
    "accepted": "green",
    "duplicate": "green",
    "superseded": "green",
    "nothing_to_cancel": "green",
    "parked": "yellow",
    "waiting": "yellow",
    "rejected": "red",
    "discarded": "red",
}


def print_json(value: object) -> None:
    """*value* as one JSON document on standard output."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def console() -> Console:
    """Where people read; a pipe or a file gets rows that are not broken."""
    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPED_COLUMNS)


def text(value: object) -> str:
    """*value* in a cell; nothing is a dash."""
    return "–" if value is None or value == "" else escape(str(value))


def table(title: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Table:
    """A table of *rows*, one column a key."""
    result = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        result.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        result.add_row(*(coloured(str(row[c])) if c == "state" else text(row[c]) for c in columns))
    return result


def facts(title: str, values: Mapping[str, Any]) -> Tree:
    """Names and values below a title; what is nothing is left out."""
    tree = Tree(f"[bold]{escape(title)}[/bold]")
    add_facts(tree, values)
    return tree


def add_facts(tree: Tree, values: Mapping[str, Any]) -> None:
    """The *values* that are something, as leaves."""
    for name, value in values.items():
        if value not in (None, "", (), []):
            tree.add(f"[dim]{escape(name.replace('_', ' '))}[/dim] {coloured(str(value))}")


def coloured(state: str) -> str:
    """A state in its colour; any other text as it is."""
    colour = _COLOURS.get(state)
    return f"[{colour}]{state}[/{colour}]" if colour else text(state)


def story_tree(story: Story) -> Tree:
    """The way of an event from its vendor to the targets."""
    tree = Tree(f"[bold]event {story.event_id}[/bold]")
    names = {"vendor": story.vendor, "ce_id": story.vendor_event_id, "vendor_ref": story.vendor_ref}
    add_facts(tree, {**names, "record_id": story.record_id})
    _add_source(tree.add("[bold]source[/bold]"), story.source)
    if story.mapped or story.identity:
        _add_identity(tree.add("[bold]mapped, held by identity[/bold]"), story)
    if story.national:
        _add_head(tree.add("[bold]unified stream[/bold]"), story.national)
    for at in story.targets:
        _add_target(tree, at)
    if story.orders:
        branch = tree.add("[bold]orders[/bold]")
        for order in story.orders:
            said = (order["action"], order["state"], order["outcome"], f"by {order['ordered_by']}: {order['reason']}")
            branch.add(escape(" · ".join(part for part in said if part)))
    branch = tree.add(f"[bold]receipts[/bold] ({len(story.receipts)})")
    for receipt in story.receipts:
        codes = ", ".join(_problem(problem) for problem in receipt.problems)
        where = receipt.target or "every target"
        line = f"{receipt.stage} → {where}: {coloured(receipt.state)} [dim]seq {receipt.seq}[/dim] {escape(codes)}"
        branch.add(f"{line} [dim]{escape(receipt.position)}[/dim]")
    return tree


def _problem(problem: Mapping[str, str]) -> str:
    return f"{problem['code']} {problem['field']}".strip()


def _add_source(branch: Tree, source: Source | None) -> None:
    if source is None:
        branch.add("[dim]not known yet: no receipt has told of it[/dim]")
        return
    branch.add(f"{escape(source.position)} [dim]item {source.index}[/dim]")
    _add_bytes(branch, source.bytes)
    if source.rejected:
        row = source.rejected
        add_facts(branch, {"rejected at": row.stage, "reason": row.reason, "field": row.field, "items": row.items})


def _add_bytes(branch: Tree, found: BytesFound | None) -> None:
    if found is None:
        branch.add("[dim]the vendor's bytes are no longer in the topic[/dim]")
    else:
        branch.add(f"{found.size_bytes} bytes, sha256 {found.sha256}")


def _add_identity(branch: Tree, story: Story) -> None:
    if story.mapped:
        _add_head(branch, story.mapped)
    for row in story.identity:
        held = branch.add(f"{row['id']} {coloured(row['state'])}")
        add_facts(held, {"code": row["code"], "field": row["field"], "owner": row["owner"], "end": row["end_state"]})
        if row["problem"]:
            add_facts(held, {"vi": row["problem"]["fix_vi"], "en": row["problem"]["fix_en"]})


def _add_head(branch: Tree, head: HeadFound) -> None:
    branch.add(escape(head.position))
    values = msgspec.to_builtins(head)
    del values["position"]
    add_facts(
        branch,
        {name: ", ".join(value) if isinstance(value, (list, tuple)) else value for name, value in values.items()},
    )


def _add_target(tree: Tree, at: AtTarget) -> None:
    branch = tree.add(f"[bold]{escape(at.target)}[/bold] {coloured(at.state)}")
    values = msgspec.to_builtins(at)
    del values["target"], values["state"]
    add_facts(branch, {name: value for name, value in values.items() if value != 0})
