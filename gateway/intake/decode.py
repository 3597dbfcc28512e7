"""From bytes to a tree of dicts, lists and scalars, or the catalogue's code for why not.

JSON: strict, numbers with a point become `Decimal` (marks are never binary floats), a name that stands twice in an
object counts with its last value.  XML: no DTD, no entity, no network, bounded depth; text of leaves, elements of
one name as a list; elements of a foreign namespace (signatures) are left out.  A referenced Id must be unique
(facts, DQ-44).
"""

import codecs
from collections import Counter
from decimal import Decimal
from typing import Any

import msgspec
from lxml import etree

MAX_DEPTH = 32

Tree = dict[str, Any]

_URIS = etree.XPath("//@URI")
_IDS = etree.XPath("//@Id|//@ID|//@id")
_json = msgspec.json.Decoder(float_hook=Decimal)


def decode_json(value: bytes) -> object:
    """The JSON value, or None where it cannot be read (a bare null is no record either)."""
    try:
        return _json.decode(value.removeprefix(codecs.BOM_UTF8))  # Windows tools write one
    except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError):
        return None


def decode_xml(value: bytes) -> Tree | str:
    """The document as a tree below its root element, or the catalogue's code."""
    parser = etree.XMLParser(
        resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, remove_comments=True, remove_pis=True
    )
    if b"<!DOCTYPE" in value or b"<!ENTITY" in value:
        return "DQ-44"
    try:
        root = etree.fromstring(value, parser)
    except (etree.XMLSyntaxError, ValueError):
        return "DQ-45"
    if root.getroottree().docinfo.internalDTD is not None or _repeats_a_referenced_id(root):
        return "DQ-44"  # the DTD of a document in another encoding than the test on the bytes sees
    try:
        tree = _element(root, 1)
    except _TooDeep:
        return "DQ-44"
    return tree if isinstance(tree, dict) else "DQ-45"


class _TooDeep(Exception):
    """Elements nest deeper than any record does."""


def _element(element: etree._Element, depth: int) -> Tree | str | None:
    if depth > MAX_DEPTH:
        raise _TooDeep
    if not len(element):
        return element.text
    tree: Tree = {}
    for child in element:
        name = child.tag
        if name.__class__ is not str or name[0] == "{":  # an entity, or a foreign namespace
            continue
        value = _element(child, depth + 1)
        if name not in tree:
            tree[name] = value
        elif isinstance(tree[name], list):
            tree[name].append(value)
        else:
            tree[name] = [tree[name], value]
    return tree


def _repeats_a_referenced_id(root: etree._Element) -> bool:
    """A signature names what it covers by Id; two elements of that Id would leave open which one was signed."""
    referenced = {uri.removeprefix("#") for uri in _attributes(_URIS, root) if uri.startswith("#")}
    if not referenced:
        return False
    times = Counter(_attributes(_IDS, root))
    return any(times[name] > 1 for name in referenced)


def _attributes(path: etree.XPath, root: etree._Element) -> list[str]:
    found = path(root)
    return [str(value) for value in found] if isinstance(found, list) else []
