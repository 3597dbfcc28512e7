"""XML to a tree: no DTD, no entity, no network, bounded depth.

Text of leaves, elements of one name as a list, attributes as ``@name`` and a text beside them as ``#text`` (such an
element still reads as its text).  Elements of another namespace than the root's (signatures) are left out.  A
referenced Id must be unique (facts, DQ-44).
"""

from collections import Counter
from typing import Any

from lxml import etree

from gateway.intake.values import TEXT

MAX_DEPTH = 32
MAX_ATTRIBUTES = 200

Tree = dict[str, Any]

_URIS = etree.XPath("//@URI")
_IDS = etree.XPath("//@Id|//@ID|//@id")


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
        tree = _element(root, 1, _namespace(root))
    except _TooDeep:
        return "DQ-44"
    return tree if isinstance(tree, dict) else "DQ-45"


_ANCHORS = frozenset({"Id", "ID", "id"})
"""Attributes that say where a signature points, nothing about the pupil."""


def _namespace(root: etree._Element) -> str:
    """The document's own namespace as lxml writes it before a name; empty when it has none."""
    name = str(root.tag)
    return name[: name.index("}") + 1] if name[0] == "{" else ""


class _TooDeep(Exception):
    """Elements nest deeper, or have more attributes, than any record's do."""


def _element(element: etree._Element, depth: int, own: str) -> Tree | str | None:
    if depth > MAX_DEPTH or len(element.attrib) > MAX_ATTRIBUTES:  # lxml lists them at the cost of their number squared
        raise _TooDeep
    attributes = ((str(name), text) for name, text in element.items())
    tree: Tree = {f"@{name}": text for name, text in attributes if name not in _ANCHORS and name[0] != "{"}
    if not len(element):
        if not tree:
            return element.text
        return tree | ({TEXT: element.text} if element.text and element.text.strip() else {})
    for child in element:
        name = _local(child.tag, own)
        if not name:
            continue
        value = _element(child, depth + 1, own)
        if name not in tree:
            tree[name] = value
        elif isinstance(tree[name], list):
            tree[name].append(value)
        else:
            tree[name] = [tree[name], value]
    return tree


def _local(tag: object, own: str) -> str:
    """The name of an element of the document's own namespace; empty for an entity or a foreign one."""
    if not isinstance(tag, str):
        return ""
    if tag[0] != "{":
        return tag
    return tag[len(own) :] if own and tag.startswith(own) else ""


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
