"""The text of the transcoder's generated function: a few lines a field, from the bundled schema alone.

In it *b* is the value, *i* the place in it, *n* a length, *t* a union's branch, *p* the parts of the JSON: triples
(fragment before, value, fragment after).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.national import schema

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]


def translate_lines(avro: Json) -> list[str]:
    """The body of ``translate(b, event)`` for the parsed JSON text of a LearningRecord schema."""
    return list(_Writer(avro).lines())


def _indented(lines: Iterator[str] | list[str]) -> Iterator[str]:
    return ("    " + line for line in lines)


_STRING = ("n = L[b[i]]", "if n < 0: n, i = far(b, i)", "i += 1")


class _Writer:
    """Lines for each part of the schema."""

    def __init__(self, avro: Json) -> None:
        self.fields = {field["name"]: field["type"] for field in avro["fields"]}
        self.official = {(spec.where, spec.name): spec.official for spec in schema.body_fields()}

    def lines(self) -> Iterator[str]:
        yield "i = 5"
        yield from self._head()
        yield "p = [b'', b'', b'']"
        yield "born = False"
        yield "if b[i] != 2: raise Unplain"
        yield "i += 1"
        for field in self.fields["body"][1]["fields"]:
            yield from self._results(field) if field["name"] == "results" else self._common(field)
        yield "p += (b'}', b'', b'')"
        yield from _skip(self.fields["evidence"])
        yield "if i != len(b): raise Unplain"
        yield "return p, (ref, topic, partition, offset, index, timestamp)"

    # head ...........................................................................................................

    def _head(self) -> Iterator[str]:
        kept = {"record_id": "rid", "version": "version", "occurred_at": "occurred"}
        for field in self.fields["head"]["fields"]:
            name, kind = field["name"], field["type"]
            if name in {"citizen_id", "vendor_ref"}:
                variable = "cid" if name == "citizen_id" else "ref"
                yield f"{variable} = None"
                taken = [*_STRING, f"{variable} = b[i:i + n]", "i += n"]
                yield from _nullable(taken)
            elif name in kept:
                yield from _take(kept[name], kind)
            elif name == "source":
                for inner in kind["fields"]:
                    yield from _take(inner["name"], inner["type"])
            else:
                yield from _skip(kind)
        yield "if ref is not None: ref = ref.decode()"
        yield "topic = topic.decode()"
        yield 'env = b\'"sukien":"%b","phienban":%d,"thoigiancapnhat":"%b","ngaycapnhat":"%b"\' % ('
        yield "    event, version, local(occurred // 1000), local(timestamp // 1000))"
        yield "row_env = b'\",' + env"

    # body ...........................................................................................................

    def _common(self, field: Json) -> Iterator[str]:
        name, kind = field["name"], field["type"]
        if name == "history":
            yield from self._rows("history", "history_table", "history", kind["items"]["fields"])
        elif name == "citizen_id":  # the head's, which identity confirmed; the body's is a claim
            yield from _skip(kind)
            yield f"if cid is not None: p += ({self._before('common', name, text=True)!r}, cid, b'\"')"
        elif name in {"birth_date", "birth_year_month", "birth_year"}:  # the most exact one only
            made = list(self._value("common", name, kind[1], before=["if not born:"]))
            yield from _nullable([*made, "born = True"])
        else:
            yield from self._field("common", name, kind)
            if name == "education_level":
                yield "level = b[i - n:i]"

    def _results(self, field: Json) -> Iterator[str]:
        """Both branches: their columns, then their child rows."""
        primary, secondary = field["type"]
        yield "t = b[i]"
        yield "i += 1"
        yield "if t == 0 and level == b'02':"
        yield from _indented(self._branch("primary", primary))
        yield "elif t == 2 and level != b'02':"
        yield from _indented(["short = short_03 if level == b'03' else short_04"])
        yield from _indented(self._branch("secondary", secondary))
        yield "else: raise Unplain"

    def _branch(self, level: schema.Level, record: Json) -> Iterator[str]:
        resources = schema.resources()
        table, history = resources[level], resources[f"{level}_history"]
        yield f'table = b\'"key{table}":"%b",\' % row_key(rid)'
        yield "p[:3] = b'{' + table + b'\"idbanghi\":\"', rid, row_env"
        yield f"history_table = b':{history}:'"
        yield f"history_open = b',\"{history}\":['"
        yield f'history_key = b\'"key{history}":"\''
        for field in record["fields"]:
            name, kind = field["name"], field["type"]
            if name == "subjects":
                where: schema.Where = "primary_subject" if level == "primary" else "secondary_subject"
                yield from self._named_rows(resources[where], where, kind["items"]["fields"])
            elif name == "certificates":
                yield from self._named_rows(resources["certificate"], "certificate", kind["items"]["fields"])
            else:
                yield from self._field(level, name, kind)

    def _named_rows(self, resource: str, where: schema.Where, fields: list[Json]) -> Iterator[str]:
        yield f"rows_table, rows_open, rows_key = b':{resource}:', b',\"{resource}\":[', b'\"key{resource}\":\"'"
        yield from self._rows("rows", "rows_table", where, fields)

    def _rows(self, prefix: str, table: str, where: schema.Where, fields: list[Json]) -> Iterator[str]:
        """The child rows of one list, each with its key, its id and the envelope."""
        yield f"p += ({prefix}_open, b'', b'')"
        yield "seen = set()"
        yield "comma = b'{'"
        yield "while True:"
        yield from _indented(["c = L[b[i]]", "if c < 0: c, i = far(b, i)", "i += 1", "if not c: break"])
        yield "    for _ in range(c):"
        yield from _indented(_indented(list(self._row(prefix, table, where, fields))))
        yield "p += (b']', b'', b'')"

    def _row(self, prefix: str, table: str, where: schema.Where, fields: list[Json]) -> Iterator[str]:
        if where == "certificate":  # no natural key: the place in the list
            yield "natural = b'%d' % (len(seen) + 1)"
        else:
            yield from _STRING
            yield "natural = b[i:i + n]"
        yield "if natural in seen: raise Unplain"
        yield "seen.add(natural)"
        yield f"row_id = rid + {table} + natural"
        yield f'p += (b\'%b%b%b",%b"idbanghi":"\' % (comma, {prefix}_key, row_key(row_id), table), row_id, row_env)'
        yield "comma = b',{'"
        rest = fields
        if where != "certificate":
            yield f"p += ({self._before(where, fields[0]['name'], text=True)!r}, natural, b'\"')"
            yield "i += n"
            rest = fields[1:]
        for field in rest:
            yield from self._field(where, field["name"], field["type"])
        yield "p += (b'}', b'', b'')"

    # one field ......................................................................................................

    def _field(self, where: schema.Where, name: str, kind: Any) -> Iterator[str]:
        if isinstance(kind, list):
            yield from _nullable(list(self._value(where, name, kind[1])))
        else:
            yield from self._value(where, name, kind)

    def _before(self, where: schema.Where, name: str, *, text: bool) -> bytes:
        quote = '"' if text else ""
        return f',"{self.official[where, name]}":{quote}'.encode()

    def _value(self, where: schema.Where, name: str, kind: Any, before: list[str] | None = None) -> Iterator[str]:
        """Reads a value and puts it between its fragments; *before* is a condition for the putting."""
        logical = kind.get("logicalType") if isinstance(kind, dict) else None
        text = kind == "string" or logical == "date"
        fragment, after = self._before(where, name, text=text), b'"' if text else b""
        if kind == "boolean":
            reading, value = [], "B[b[i]]"
            moving = "i += 1"
        elif logical == "date":
            reading, value, moving = ["n, i = number(b, i)"], "day(n)", ""
        else:
            reading, value, moving = list(_STRING), _worded(where, name, logical), "i += n"
        put = f"p += ({fragment!r}, {value}, {after!r})"
        yield from reading
        if name == "absences_total":  # 0 is sent as nothing (DQ-35)
            yield f"if (v := decimal(b[i:i + n])) != b'0': p += ({fragment!r}, v, b'')"
        elif before:
            yield from before
            yield "    " + put
        else:
            yield put
        if moving:
            yield moving


def _worded(where: schema.Where, name: str, logical: str | None) -> str:
    """The expression of a value whose bytes are b[i:i + n]."""
    if logical == "decimal":
        return "decimal(b[i:i + n])"
    if (where, name) == ("secondary_subject", "subject_name"):
        return "short((natural, b[i:i + n]))"
    if (where, name) == ("primary", "overall_result"):
        return "overall(b[i:i + n])"
    return "b[i:i + n]"


def _nullable(lines: list[str]) -> Iterator[str]:
    yield "t = b[i]"
    yield "i += 1"
    yield "if t == 2:"
    yield from _indented(lines)
    yield "elif t: raise Unplain"


def _take(variable: str, kind: Any) -> Iterator[str]:
    if kind == "string":
        yield from (*_STRING, f"{variable} = b[i:i + n]", "i += n")
    else:
        yield f"{variable}, i = number(b, i)"


def _skip(kind: Any) -> Iterator[str]:
    """Moves *i* behind a value."""
    match kind:
        case "string" | "bytes":
            yield from (*_STRING, "i += n")
        case ["null", other]:
            yield from _nullable(list(_skip(other)))
        case [one, other]:
            yield "t = b[i]"
            yield "i += 1"
            yield "if t == 0:"
            yield from _indented(_skip(one))
            yield "elif t == 2:"
            yield from _indented(_skip(other))
            yield "else: raise Unplain"
        case {"type": "record", "fields": fields}:
            for field in fields:
                yield from _skip(field["type"])
        case {"type": "array", "items": items}:
            yield "while True:"
            yield from _indented(["c = L[b[i]]", "if c < 0: c, i = far(b, i)", "i += 1", "if not c: break"])
            yield "    for _ in range(c):"
            yield from _indented(_indented(_skip(items)))
        case {"type": "bytes"}:
            yield from _skip("bytes")
        case _:  # int, long, enum
            yield "_, i = number(b, i)"
