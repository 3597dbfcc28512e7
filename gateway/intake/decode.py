"""From bytes to a tree of dicts, lists and scalars, or the problems for why not: one decoder a connector.

    json, csv   text in a declared encoding      `decode_json`, `decode_csv`, `encodings`
    xml         says its own encoding            `decode_xml`
    avro        by writer schema                 `decode_avro`; a schema of the registry comes with `Given`

A decoder gives the root (a dict, or for ``batch: $`` a list), or a tuple of problems that refuse the whole message.
"""

from collections.abc import Callable, Mapping

from gateway.errors import Problem
from gateway.intake.decode_avro import WriterSchema, bundled_headers, decode_avro, header_of
from gateway.intake.decode_csv import decode_csv
from gateway.intake.decode_json import decode_json
from gateway.intake.decode_xml import MAX_DEPTH, decode_xml
from gateway.intake.encodings import decode_text, disguised, undeclared
from gateway.intake.given import Given
from gateway.intake.language_profile import Profile
from gateway.intake.unreadable import unreadable, why_no_json, why_no_xml
from gateway.intake.values import composed

__all__ = ["MAX_DEPTH", "Decoder", "decode_json", "decode_xml", "decoder"]

Decoder = Callable[[bytes, Given], object]

_UNREADABLE = (unreadable("syntax"),)
_UNKNOWN_SCHEMA = (Problem("GW-05", "schema"),)


def decoder(profile: Profile, schemas: Mapping[str, WriterSchema]) -> Decoder:
    """The decoder of a connector; *schemas* are its own, by file name."""
    match profile.format:
        case "xml":
            return _xml
        case "avro":
            return _avro(bundled_headers(schemas, profile.schema_ids))
        case "csv":
            return _csv(profile)
        case _:
            return _json if profile.encoding == "utf-8" else _json_in(profile.encoding)


def _xml(value: bytes, given: Given) -> object:
    tree = decode_xml(value)
    if tree == "DQ-45":
        return (unreadable(why_no_xml(value)),)
    return (Problem(tree),) if isinstance(tree, str) else tree


def _json(value: bytes, given: Given) -> object:
    problem = disguised(value)
    if problem is not None:
        return (problem,)
    tree = decode_json(value)
    if tree is None:
        return (unreadable(why_no_json(value)) if _is_utf8(value) else undeclared(value),)
    return _composed(value, tree)


def _composed(value: bytes, tree: object) -> object:
    """*tree* with composed names, as mappings have them (DQ-01); two names that become one refuse the message.

    Only a text with marks of its own, U+0300 to U+036F, has other names: their bytes begin with CC or CD.
    """
    if b"\xcc" not in value and b"\xcd" not in value and b"\\u03" not in value:
        return tree
    nodes: list[object] = [tree]
    for node in nodes:
        if isinstance(node, dict):
            names = {name: composed(name) for name in node if not name.isascii()}
            if names and len({names.get(name, name) for name in node}) < len(node):
                return (unreadable("duplicate_name"),)
            for name, better in names.items():
                if name != better:
                    node[better] = node.pop(name)
            nodes += [below for below in node.values() if isinstance(below, (dict, list))]
        elif isinstance(node, list):
            nodes += [below for below in node if isinstance(below, (dict, list))]
    return tree


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in value[:64]


def _json_in(encoding: str) -> Decoder:
    def decode(value: bytes, given: Given) -> object:
        text = decode_text(value, encoding)
        if isinstance(text, Problem):
            return (text,)
        again = text.removeprefix("\ufeff").encode("utf-8", "surrogatepass")
        tree = decode_json(again)
        return (unreadable(why_no_json(again)),) if tree is None else _composed(again, tree)

    return decode


def _csv(profile: Profile) -> Decoder:
    layout, encoding = profile.csv, profile.encoding
    if layout is None:  # the static check has said so
        return lambda value, given: _UNREADABLE

    def decode(value: bytes, given: Given) -> object:
        problem = disguised(value) if encoding == "utf-8" else None
        text = problem or decode_text(value, encoding)
        return (text,) if isinstance(text, Problem) else decode_csv(text.removeprefix("\ufeff"), layout)

    return decode


def _avro(known: Mapping[bytes, WriterSchema]) -> Decoder:
    def decode(value: bytes, given: Given) -> object:
        header = header_of(value)
        if not header:
            return _UNREADABLE if value else (unreadable("empty"),)
        schema = known.get(header) or given.schema
        if not isinstance(schema, WriterSchema):
            return _UNKNOWN_SCHEMA
        tree = decode_avro(value, len(header), schema)
        return _UNREADABLE if tree is None else tree

    return decode
