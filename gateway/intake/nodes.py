"""YAML with lines: every scalar is text, every node knows its line and path, and every fault is collected.

YAML's own typing is not used: ``01`` must stay ``01`` and ``no`` a word.  A reader asks for what it needs (`text`,
`texts`, `keys`, `whole`); what does not fit becomes a fault with file, line and path, and reading goes on.
"""

import difflib
from collections.abc import Collection
from dataclasses import dataclass, field

import yaml

from gateway.config import Fault

MAX_NODES = 50_000
MAX_NODE_DEPTH = 50
MAX_DIGITS = 18


NOT_YAML = "is not YAML"


@dataclass(frozen=True, slots=True)
class Node:
    """A YAML node: *value* is text, None, a list or a mapping of nodes; *path* like ``record.full_name.via[0]``."""

    value: "str | list[Node] | dict[str, Node] | None"
    file: str
    line: int
    path: str


def candidates(name: str, known: Collection[str]) -> str:
    """The known names near to *name*, as the end of a sentence."""
    near = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.5)
    return f"; did you mean {', '.join(near)}?" if near else ""


@dataclass(slots=True)
class Faults:
    """Everything wrong with a connector's files, in the order found."""

    found: list[Fault] = field(default_factory=list)

    def add(self, node: Node, text: str) -> None:
        """One fault at *node*."""
        self.found.append(Fault(node.file, node.line, node.path, text))

    def parse(self, file: str, text: str) -> Node:
        """The root node of *text*; an empty mapping when it is no YAML."""
        try:
            if _depth(text) > MAX_NODE_DEPTH:  # before composing: that recurses in C, without a bound
                self.found.append(Fault(file, 1, "", "nests too deep"))
                return Node({}, file, 1, "")
            root = yaml.compose(text, Loader=yaml.CSafeLoader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 0
            self.found.append(Fault(file, line, "", f"{NOT_YAML}: {error.problem}"))
            return Node({}, file, line, "")
        except yaml.YAMLError:
            self.found.append(Fault(file, 0, "", NOT_YAML))
            return Node({}, file, 0, "")
        wrong = "" if root is None else _unbuildable(root)
        if wrong:
            self.found.append(Fault(file, 1, "", wrong))
            root = None
        return Node({}, file, 1, "") if root is None else self._node(root, file, "")

    def _node(self, node: yaml.Node, file: str, path: str) -> Node:
        line = node.start_mark.line + 1
        if isinstance(node, yaml.SequenceNode):
            return Node([self._node(item, file, f"{path}[{i}]") for i, item in enumerate(node.value)], file, line, path)
        if isinstance(node, yaml.MappingNode):
            found: dict[str, Node] = {}
            for key, item in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    self.add(Node(None, file, key.start_mark.line + 1, path), "a key must be text")
                    continue
                below = self._node(item, file, f"{path}.{key.value}".lstrip("."))
                if key.value in found:
                    self.add(Node(None, file, key.start_mark.line + 1, below.path), "stands twice")
                found[key.value] = below
            return Node(found, file, line, path)
        return Node(None if node.tag == "tag:yaml.org,2002:null" else node.value, file, line, path)

    def keys(self, node: Node | None, allowed: Collection[str], required: Collection[str] = ()) -> dict[str, Node]:
        """The mapping at *node*, with only *allowed* keys and all *required* ones."""
        if node is None:
            return {}
        found = self.mapping(node)
        for name in found.keys() - set(allowed):
            self.add(found[name], f"unknown key{candidates(name, allowed)}")
        for name in required:
            if name not in found:
                self.add(node, f"{name} is missing")
        return {name: item for name, item in found.items() if name in allowed}

    def mapping(self, node: Node) -> dict[str, Node]:
        """The mapping at *node*, whatever its keys."""
        if isinstance(node.value, dict):
            return node.value
        self.add(node, "must be a mapping")
        return {}

    def items(self, node: Node | None) -> list[Node]:
        """The list at *node*."""
        if node is None:
            return []
        if isinstance(node.value, list):
            return node.value
        self.add(node, "must be a list")
        return []

    def text(self, node: Node | None, default: str = "") -> str:
        """The text at *node*."""
        if node is None:
            return default
        if isinstance(node.value, str):
            return node.value
        self.add(node, "must be text")
        return default

    def texts(self, node: Node | None) -> tuple[str, ...]:
        """One text or a list of texts."""
        if node is None:
            return ()
        if isinstance(node.value, str):
            return (node.value,)
        return tuple(self.text(item) for item in self.items(node))

    def whole(self, node: Node | None, default: int) -> int:
        """The whole number at *node*."""
        if node is None:
            return default
        if isinstance(node.value, str) and node.value.isascii() and node.value.replace("_", "").isdecimal():
            if len(node.value) <= MAX_DIGITS:
                return int(node.value)
            self.add(node, "is too large")
            return default
        self.add(node, "must be a whole number")
        return default

    def choice(self, node: Node | None, allowed: Collection[str], default: str) -> str:
        """One of *allowed*."""
        value = self.text(node, default)
        if node is not None and value not in allowed:
            self.add(node, f"must be one of {', '.join(sorted(allowed))}{candidates(value, allowed)}")
            return default
        return value


def _depth(text: str) -> int:
    """How deep the nodes of *text* nest, aliases not followed; reading stops a little beyond the bound."""
    depth = deepest = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        deepest = max(deepest, depth)
        if deepest > MAX_NODE_DEPTH:
            break
    return deepest


def _unbuildable(root: yaml.Node) -> str:
    """Why the nodes of *root* cannot be built: aliases may hold themselves, or each other until nothing has room."""
    size = _size(root, {}, ())
    if size is None:
        return "an alias contains itself"
    return f"has more than {MAX_NODES} nodes, aliases written out" if size > MAX_NODES else ""


def _size(node: yaml.Node, known: dict[int, int], above: tuple[int, ...]) -> int | None:
    """How many nodes *node* is, aliases written out; None where one contains itself."""
    if id(node) in above:
        return None
    if id(node) not in known:
        inside = (*above, id(node))
        sizes = [_size(below, known, inside) for below in _below(node)]
        if None in sizes:
            return None
        known[id(node)] = 1 + sum(size for size in sizes if size is not None)
    return known[id(node)]


def _below(node: yaml.Node) -> list[yaml.Node]:
    match node:
        case yaml.SequenceNode():
            return list(node.value)
        case yaml.MappingNode():
            return [item for _, item in node.value]
        case _:
            return []
