"""Hostile messages, each with the codes of which one must be its answer.  No person stands in any of them."""

import json
import random
from functools import cache
from typing import Any

from gateway.sandbox.payloads import hocba_xml, synthetic_pupil, vnedu_message, vnedu_row

MIB = 1024 * 1024
Zoo = dict[str, tuple[bytes, frozenset[str]]]

UNREADABLE = frozenset({"DQ-45"})
TOO_MUCH = frozenset({"GW-01"})
HOSTILE_XML = frozenset({"DQ-44"})
VALUES = frozenset({"DQ-08", "DQ-11", "DQ-33", "DQ-34", "DQ-01", "DQ-02", "DQ-28", "DQ-45", "DQ-52", "DQ-09", "DQ-10"})
"""A value that fits no field: which code depends on the field."""


def good_json() -> dict[str, Any]:
    """A clean message of the flat JSON vendor."""
    child = synthetic_pupil(random.Random(5), level="secondary", number=5)
    found: dict[str, Any] = json.loads(vnedu_message([vnedu_row(child, version=1)]))
    return found


def good_xml() -> bytes:
    """A clean primary document."""
    return hocba_xml(synthetic_pupil(random.Random(6), level="primary", number=6), version=1)


def _row(**changes: Any) -> bytes:
    message = good_json()
    message["rows"][0] |= changes
    return json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _text(old: bytes, new: bytes) -> bytes:
    value = json.dumps(good_json(), ensure_ascii=False).encode()
    assert old in value
    return value.replace(old, new, 1)


@cache
def json_zoo() -> Zoo:
    """For the flat JSON connector (UTF-8, batch in ``rows``)."""
    good = json.dumps(good_json(), ensure_ascii=False)
    huge = b"9" * 100_000
    version = b'"phien_ban": 1'
    return {
        "nothing": (b"", UNREADABLE),
        "null": (b"null", UNREADABLE),
        "a number": (b"1", UNREADABLE),
        "arrays 10,000 deep": (b"[" * 10_000 + b"]" * 10_000, UNREADABLE),
        "objects 10,000 deep": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, UNREADABLE),
        "unclosed, 500,000 deep": (b"[" * 500_000, UNREADABLE),
        "deep inside of a row": (_row(x=None).replace(b'"x": null', b'"x":' + b"[" * 900 + b"]" * 900), frozenset()),
        "5 MiB": (_row(x="a" * 5 * MIB), TOO_MUCH),
        "NUL": (b"\0" * 100, UNREADABLE),
        "NUL inside": (good.encode() + b"\0", UNREADABLE),
        "invalid UTF-8": (_text(b"vnedu", b"\xff\xfe\xfa"), UNREADABLE),
        "lone surrogate": (_row(ho_ten="\ud800"), UNREADABLE),
        "lone surrogate, escaped": (_text(b'"vnedu"', b'"\\ud800"'), UNREADABLE),
        "NaN": (_text(version, b'"phien_ban": NaN'), UNREADABLE),
        "Infinity": (_text(version, b'"phien_ban": -Infinity'), UNREADABLE),
        "a name twice": (_text(version, b'"phien_ban": 1, "phien_ban": 2'), UNREADABLE),
        "a name twice, escaped": (_text(version, b'"phien_ban": 1, "phien\\u005fban": 2'), UNREADABLE),
        "1e999999": (_text(version, b'"phien_ban": 1e999999'), VALUES),
        "1e99999999999999999999": (_text(version, b'"phien_ban": 1e99999999999999999999'), VALUES),
        "100,000 digits": (_text(version, b'"phien_ban": ' + huge), UNREADABLE),
        "100,000 digits in a text": (_text(version, b'"phien_ban": "' + huge + b'"'), VALUES),
        "100,000 digits behind the point": (_text(version, b'"phien_ban": 0.' + huge), VALUES),
        "UTF-16": (good.encode("utf-16"), frozenset({"DQ-02"})),
        "UTF-16 without BOM": (good.encode("utf-16-le"), frozenset({"DQ-02"})),
        "UTF-32": (good.encode("utf-32"), frozenset({"DQ-02"})),
        "two BOMs": (b"\xef\xbb\xbf\xef\xbb\xbf" + good.encode(), UNREADABLE),
        "a BOM alone": (b"\xef\xbb\xbf", UNREADABLE),
        "200,000 empty items": (b'{"rows":[' + b"{}," * 200_000 + b"{}]}", TOO_MUCH),
        "200,000 numbers as items": (b'{"rows":[' + b"1," * 200_000 + b"1]}", TOO_MUCH),
        "a tree of 60,000 small objects": (_row(x=[{"a": {}}] * 60_000), frozenset()),
        "60,000 unknown fields": (_row(**{f"x{number}": 1 for number in range(60_000)}), frozenset()),
        "a name of 900 KiB": (_row(ho_ten="Mẫu " * 150_000), frozenset({"DQ-34", "DQ-05"})),
        "combining marks without end": (_row(ho_ten="a" + "\u0301\u0323" * 100_000), frozenset({"DQ-34", "DQ-05"})),
        "ligatures that grow": (_row(ho_ten="\ufdfa" * 100_000), frozenset({"DQ-34", "DQ-05"})),
        "cut off": (good.encode()[:-40], UNREADABLE),
        "two messages": ((good + good).encode(), UNREADABLE),
        "a schema id": (b"\0\0\0\0\x07" + bytes(40), UNREADABLE | {"GW-05"}),
        "gzip": (b"\x1f\x8b\x08\0" + bytes(100), UNREADABLE),
    }


@cache
def xml_zoo() -> Zoo:
    """For the primary document's connector."""
    good = good_xml()
    start = good.index(b"<", good.index(b"?>") + 2)
    head, body = good[:start], good[start:]
    entities = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10))
    laughs = b'<!DOCTYPE a [<!ENTITY l0 "lol">' + entities + b"]><a>&l9;</a>"
    blow_up = b'<!DOCTYPE a [<!ENTITY x "' + b"x" * 100_000 + b'">]><a>' + b"&x;" * 100_000 + b"</a>"
    include = b'<a xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///etc/passwd" parse="text"/></a>'
    deep = b"<a>" * 100_000 + b"</a>" * 100_000
    wide = b"<a>" + b"<b/>" * 150_000 + b"</a>"
    attributes = b"<a " + b" ".join(b'x%d="1"' % number for number in range(50_000)) + b"/>"
    names = b"<a " + b" ".join(b'xmlns:n%d="u%d"' % (number, number) for number in range(20_000)) + b"/>"
    return {
        "nothing": (b"", UNREADABLE),
        "billion laughs": (laughs, HOSTILE_XML),
        "billion laughs in UTF-16": (laughs.decode().encode("utf-16"), HOSTILE_XML | UNREADABLE),
        "quadratic blow-up": (blow_up, HOSTILE_XML),
        "external entity": (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', HOSTILE_XML),
        "parameter entity": (b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x">%x;]><a/>', HOSTILE_XML),
        "external DTD": (b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/x.dtd"><a/>', HOSTILE_XML),
        "DTD before a clean document": (head + b"<!DOCTYPE HocBa>" + body, HOSTILE_XML),
        "unknown entity": (b"<a>&x;</a>", UNREADABLE),
        "XInclude": (include, UNREADABLE | VALUES),
        "stylesheet": (b'<?xml-stylesheet href="http://127.0.0.1:9/"?><a/>', UNREADABLE | VALUES),
        "100,000 deep": (deep, HOSTILE_XML | UNREADABLE),
        "60 deep": (b"<a>" * 60 + b"</a>" * 60, HOSTILE_XML),
        "150,000 elements": (wide, UNREADABLE | VALUES | TOO_MUCH),
        "50,000 attributes": (attributes, HOSTILE_XML),
        "20,000 name spaces": (names, UNREADABLE | VALUES | TOO_MUCH),
        "5 MiB": (good + b" " * 5 * MIB, TOO_MUCH),
        "NUL": (good.replace(b"<HoTen>", b"<HoTen>\0", 1) + b"\0", UNREADABLE),
        "character 0": (good.replace(b"</", b"&#0;</", 1), UNREADABLE),
        "invalid UTF-8": (good[:200] + b"\xff\xfe" + good[200:], UNREADABLE),
        "UTF-7": (b'<?xml version="1.0" encoding="UTF-7"?>+ADw-a+AD4-', UNREADABLE),
        "an encoding of no name": (b'<?xml version="1.0" encoding="hocba"?><a/>', UNREADABLE),
        "JSON": (b'{"a": 1}', UNREADABLE),
        "cut off": (good[: len(good) // 2], UNREADABLE),
        "two documents": (good + good, UNREADABLE),
        "a referenced Id twice": (
            b'<a><b Id="x"/><b Id="x"/><s xmlns="http://www.w3.org/2000/09/xmldsig#" URI="#x"/></a>',
            HOSTILE_XML,
        ),
        "10,000 references and Ids": (
            b"<a>" + b"".join(b'<b Id="x%d" URI="#x%d"/>' % (n, n) for n in range(10_000)) + b"</a>",
            UNREADABLE | VALUES | TOO_MUCH | HOSTILE_XML,
        ),
    }
