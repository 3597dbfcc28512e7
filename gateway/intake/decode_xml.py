"""XML to a tree: no DTD, no entity, no network, bounded depth.

Text of leaves, elements of one name as a list, attributes as ``@name`` and a text beside them as ``#text`` (such an
element still reads as its text).  A name of another namespace than the root's keeps the document's prefix
(``ext:the``, without one ``:the``), and inside such an element its own namespace needs none.  Only signatures are left
out.  A referenced Id must be unique (facts, DQ-44).
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
        tree = _element(root, 1, ("", _namespace(root.tag)))
    except _TooDeep:
        return "DQ-44"
    return tree if isinstance(tree, dict) else "DQ-45"


ANCHORS = frozenset({"@Id", "@ID", "@id"})
"""Attributes that may say no more than where a signature points: unread ones are no drift."""
_SIGNATURES = "{http://www.w3.org/2000/09/xmldsig#}"
_OF_XML = ("{http://www.w3.org/2001/XMLSchema-instance}", "{http://www.w3.org/XML/1998/namespace}")
"""Attributes about the document's form."""

Spaces = tuple[str, ...]
"""Namespaces as lxml writes them before a name, whose names are read without a prefix; empty: no namespace."""


def _namespace(tag: object) -> str:
    """The namespace of *tag* as lxml writes it before a name; empty when it has none."""
    name = str(tag)
    return name[: name.index("}") + 1] if name[0] == "{" else ""


class _TooDeep(Exception):
    """Elements nest deeper, or have more attributes, than any record's do."""


def _element(element: etree._Element, depth: int, own: Spaces) -> Tree | str | None:
    if depth > MAX_DEPTH or len(element.attrib) > MAX_ATTRIBUTES:  # lxml lists them at the cost of their number squared
        raise _TooDeep
    named = ((_attribute(element, str(name), own), text) for name, text in element.items())
    tree: Tree = {f"@{name}": text for name, text in named if name}
    if not len(element):
        return _leaf(tree, element.text)
    for child in element:
        name, inside = _name(child, own)
        if not name:
            continue
        value = _element(child, depth + 1, inside)
        if name not in tree:
            tree[name] = value
        elif isinstance(tree[name], list):
            tree[name].append(value)
        else:
            tree[name] = [tree[name], value]
    return tree


def _leaf(attributes: Tree, text: str | None) -> Tree | str | None:
    """An element without others: its text, beside its attributes where it has any; an anchor alone is nothing."""
    if not attributes:
        return text
    if text and text.strip():
        return attributes | {TEXT: text}
    return attributes if attributes.keys() - ANCHORS else None


def _name(child: etree._Element, own: Spaces) -> tuple[str, Spaces]:
    """How *child* is called, and the namespaces inside it; no name for an entity or a signature."""
    tag = child.tag
    if not isinstance(tag, str):
        return "", own
    space = _namespace(tag)
    if space in own:
        return tag[len(space) :], own
    if space == _SIGNATURES:
        return "", own
    return f"{child.prefix or ''}:{tag[len(space) :]}", (*own[:2], space)


def _attribute(element: etree._Element, name: str, own: Spaces) -> str:
    """How the attribute *name* is called; empty for what is about the document's form."""
    if name[0] != "{":
        return name
    space = _namespace(name)
    if space in _OF_XML or space == _SIGNATURES:
        return ""
    local = name[len(space) :]
    if space in own:
        return local
    prefix = next((prefix for prefix, uri in element.nsmap.items() if prefix and f"{{{uri}}}" == space), "")
    return f"{prefix}:{local}"


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
