"""Which Avro writer schemas are taken: those whose messages cannot cost more than their bytes.

fastavro reads in C, where nothing bounds it: no type may hold itself (a deep message would end the process), nothing
may have zero width (a block count of 2^60 would cost nothing to claim), and the nesting is bounded, through named types
too.
"""

from collections.abc import Mapping
from typing import Any

MAX_SCHEMA_DEPTH = 24
_PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


class Unfit(Exception):
    """The schema is not taken; the text says why."""


def look_over(schema: object) -> None:
    """Raises `Unfit` for a schema that is not taken."""
    _Look().depth(schema, "", 1, ())


class _Look:
    """Looks a schema over; raises `Unfit`."""

    def __init__(self) -> None:
        self._depths: dict[str, int] = {}

    def depth(self, node: object, namespace: str, level: int, inside: tuple[str, ...]) -> int:
        """How deep values of *node* nest, named types of before included."""
        if level > MAX_SCHEMA_DEPTH:
            message = f"nests deeper than {MAX_SCHEMA_DEPTH}"
            raise Unfit(message)
        if isinstance(node, list):
            branches = [branch for branch in node if branch != "null"]
            return max((self.depth(branch, namespace, level, inside) for branch in branches), default=1)
        if isinstance(node, dict):
            return self._of_dict(node, namespace, level, inside)
        if node == "null":
            message = "has a null outside a union"
            raise Unfit(message)
        return 1 if node in _PRIMITIVES else self._of_name(str(node), namespace, level, inside)

    def _of_name(self, name: str, namespace: str, level: int, inside: tuple[str, ...]) -> int:
        full = _full_name(name, namespace)
        if full in inside:
            message = "has a type that holds itself"
            raise Unfit(message)
        depth = self._depths.get(full, self._depths.get(name, 1))
        if level + depth > MAX_SCHEMA_DEPTH:
            message = f"nests deeper than {MAX_SCHEMA_DEPTH}"
            raise Unfit(message)
        return depth

    def _of_dict(self, node: Mapping[str, Any], namespace: str, level: int, inside: tuple[str, ...]) -> int:
        kind = node.get("type")
        if kind == "fixed" and not int(node.get("size", 0)) > 0:
            message = "has a fixed of no size"
            raise Unfit(message)
        if kind in {"record", "error"}:
            return self._of_record(node, namespace, level, inside)
        if kind in {"array", "map"}:
            return 1 + self.depth(node.get("items" if kind == "array" else "values"), namespace, level + 1, inside)
        return 1 if kind in {"enum", "fixed"} else self.depth(kind, namespace, level + 1, inside)

    def _of_record(self, node: Mapping[str, Any], namespace: str, level: int, inside: tuple[str, ...]) -> int:
        name = str(node.get("name"))
        full = _full_name(name, str(node.get("namespace", namespace)))
        own = full.rpartition(".")[0]
        fields = node.get("fields") or []
        if not fields:
            message = "has a record without fields"
            raise Unfit(message)
        depth = 1 + max(self.depth(field["type"], own, level + 1, (*inside, full)) for field in fields)
        self._depths[full] = depth
        return depth


def _full_name(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"
