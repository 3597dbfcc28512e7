"""Each way to break a reader of old bytes is found and named; each lawful change passes."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import fastavro
import pytest

from gateway.national import compatibility, schema

Json = dict[str, Any]

DECIMAL: Json = {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 4}
DATE: Json = {"type": "int", "logicalType": "date"}


def record(*fields: Json, name: str = "R") -> Json:
    return {"type": "record", "name": name, "namespace": "n", "fields": list(fields)}


def field(kind: object, name: str = "f", **more: object) -> Json:
    return {"name": name, "type": kind} | more


def enum(*symbols: str, **more: object) -> Json:
    return {"type": "enum", "name": "E", "symbols": list(symbols)} | more


def fixed(size: int) -> Json:
    return {"type": "fixed", "name": "F", "size": size}


def inner(*fields: Json, name: str = "I") -> Json:
    return {"type": "record", "name": name, "fields": list(fields)}


BREACHES = {
    "new field without default": (record(), record(field("int")), ["R.f: new field without default"]),
    "type changed": (record(field("string")), record(field("int")), ["R.f: type string became int"]),
    "type narrowed": (record(field("long")), record(field("int")), ["R.f: type long became int"]),
    "null no longer allowed": (record(field(["null", "int"])), record(field("int")), ["R.f: type null became int"]),
    "union branch removed": (
        record(field(["null", "int", "string"])),
        record(field(["null", "int"])),
        ["R.f: union branch string was removed"],
    ),
    "union branch narrowed": (
        record(field(["null", "long"])),
        record(field(["null", "int"])),
        ["R.f: union branch long was removed"],
    ),
    "enum symbol removed": (
        record(field(enum("A", "B"))),
        record(field(enum("A"))),
        ["R.f: enum symbol B was removed"],
    ),
    "record renamed": (record(), record(name="S"), ["R: name n.R became n.S"]),
    "inner record renamed": (
        record(field(inner())),
        record(field(inner(name="J"))),
        ["R.f: name n.I became n.J"],
    ),
    "record in a union renamed": (
        record(field(["null", inner()])),
        record(field(["null", inner(name="J")])),
        ["R.f: union branch n.I was removed"],
    ),
    "fixed size": (record(field(fixed(8))), record(field(fixed(9))), ["R.f: fixed size 8 became 9"]),
    "decimal scale": (
        record(field(DECIMAL)),
        record(field(DECIMAL | {"scale": 2})),
        ["R.f: logical type decimal 18 4 became decimal 18 2"],
    ),
    "date became a plain int": (record(field(DATE)), record(field("int")), ["R.f: logical type date became none"]),
    "date became a long": (record(field(DATE)), record(field("long")), ["R.f: type int became long"]),
    "array items": (
        record(field({"type": "array", "items": "string"})),
        record(field({"type": "array", "items": "int"})),
        ["R.f[]: type string became int"],
    ),
    "map values": (
        record(field({"type": "map", "values": "string"})),
        record(field({"type": "map", "values": "int"})),
        ["R.f{}: type string became int"],
    ),
    "deep inside": (
        record(field({"type": "array", "items": ["null", inner(field("int"))]})),
        record(field({"type": "array", "items": ["null", inner(field("int"), field("int", "g"))]})),
        ["R.f[].g: new field without default"],
    ),
    "by a name defined earlier": (
        record(field(inner(field("int"))), field("I", "g")),
        record(field(inner(field("string"))), field("I", "g")),
        ["R.f.f: type int became string"],
    ),
}

LAWFUL = {
    "nothing changed": (record(field("int")), record(field("int"))),
    "field removed": (record(field("int")), record()),
    "field with default": (record(), record(field(["null", "int"], default=None))),
    "field renamed with alias": (record(field("int")), record(field("int", "g", aliases=["f"]))),
    "record renamed with alias": (record(field("int")), record(field("int"), name="S") | {"aliases": ["R"]}),
    "int widened": (record(field("int")), record(field("double"))),
    "made nullable": (record(field("int")), record(field(["null", "int"]))),
    "made nullable and wider": (record(field("int")), record(field(["null", "long"]))),
    "branch added": (record(field(["null", "int"])), record(field(["null", "string", "int"]))),
    "enum symbol added": (record(field(enum("A"))), record(field(enum("A", "B")))),
    "enum symbol removed, with default": (
        record(field(enum("A", "B"))),
        record(field(enum("A", default="A"))),
    ),
    "docs and our own properties": (record(field("int")), record(field("int", doc="d", official="o", maxLength=3))),
    "decimal made nullable": (record(field(DECIMAL)), record(field(["null", DECIMAL]))),
}


@pytest.mark.parametrize("case", BREACHES)
def test_a_breach_is_named_with_its_path(case: str) -> None:
    released, current, breaches = BREACHES[case]

    assert compatibility.check(released, current) == breaches


@pytest.mark.parametrize("case", LAWFUL)
def test_a_lawful_change_is_no_breach(case: str) -> None:
    released, current = LAWFUL[case]

    assert compatibility.check(released, current) == []


VALUES: dict[str, object] = {
    "nothing changed": 1,
    "field removed": 1,
    "field renamed with alias": 1,
    "int widened": 1,
    "made nullable": 1,
    "made nullable and wider": 1,
    "branch added": 1,
    "enum symbol added": "A",
    "enum symbol removed, with default": "B",
    "docs and our own properties": 1,
}


@pytest.mark.parametrize("case", VALUES)
def test_fastavro_agrees_that_a_lawful_change_reads_old_bytes(case: str) -> None:
    released, current = LAWFUL[case]
    out = BytesIO()
    fastavro.schemaless_writer(out, released, {"f": VALUES[case]})
    out.seek(0)

    assert isinstance(fastavro.schemaless_reader(out, released, current), dict)


def test_a_type_that_holds_itself_is_compared_once() -> None:
    linked = record(field(["null", "R"], "next", default=None), field("int"))
    changed = record(field(["null", "R"], "next", default=None), field("string"))

    assert compatibility.check(linked, linked) == []
    assert compatibility.check(linked, changed) == ["R.f: type int became string"]


def test_transitive_means_every_released_copy_and_each_sentence_once() -> None:
    first, second = record(field("int")), record(field("int"), field("long", "g", default=0))
    current = record(field("string"), field("int", "g", default=0))

    assert compatibility.check_all([first, second], current) == [
        "R.f: type int became string",
        "R.g: type long became int",
    ]


@pytest.mark.parametrize("name", [schema.MAPPED, schema.RECORD, schema.RECEIPT])
def test_the_working_schema_reads_every_released_copy(name: str) -> None:
    released = [json.loads(entry.text) for entry in schema.bundled().values() if entry.name == name]

    assert released
    assert compatibility.check_all(released, json.loads(schema.working_text(name))) == []
