"""Avro writers made from a schema: straight-line Python, one function a record type, byte-identical to fastavro.

    {"name": "grade", "type": ["null", "string"]}    v3 = d.get("grade")
                                              ──►    if v3 is None: p3 = NULL; x3 = EMPTY
                                                     else: x3 = v3.encode(); p3 = SOME[len(x3)]

A writer takes what is plainly right and raises `Misfit` (or what Python raises on a wrong type) for anything else;
fastavro then decides, and words the error.  So a writer may refuse more than fastavro, and never writes other bytes (a
property test holds it).  Nothing but field names, positions and constants of a bundled schema gets into the source.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Json = dict[str, Any]

MISFITS: Final = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError)
"""What a writer raises where fastavro has to decide."""

_TABLE: Final = 8_192
_EPOCH: Final = date(1970, 1, 1).toordinal()
_DIGITS, _SCALE = 18, 4
NULL, VALUE, EMPTY, END = b"\x00", b"\x02", b"", b"\x00"


class Misfit(ValueError):
    """Not plainly right: fastavro decides."""


def long_bytes(number: int) -> bytes:
    """Avro's int and long: zigzag, seven bits a byte."""
    if number.__class__ is not int or not -(1 << 63) <= number < 1 << 63:
        raise Misfit
    rest = number << 1 if number >= 0 else ~(number << 1)
    if rest < 0x80:
        return _BYTES[rest]
    out = EMPTY
    while rest >= 0x4000:
        out += _PAIRS[rest & 0x3FFF]
        rest >>= 14
    return out + (_BYTES[rest] if rest < 0x80 else _LAST[rest])


_BYTES = [bytes([number]) for number in range(256)]
_PAIRS = [bytes([number & 0x7F | 0x80, number >> 7 | 0x80]) for number in range(0x4000)]
_LAST = [bytes([number & 0x7F | 0x80, number >> 7]) for number in range(0x4000)]
"""Fourteen bits of a longer number: with more to come, and the last ones."""

LENGTH: Final = [long_bytes(length) for length in range(_TABLE)]
"""In front of a text of so many bytes; a longer one raises IndexError, and fastavro writes it."""
SOME: Final = [VALUE + length for length in LENGTH]
"""The same in a nullable field."""


def day_bytes(day: date) -> bytes:
    """A date as days since 1970."""
    if day.__class__ is not date:
        raise Misfit
    return long_bytes(day.toordinal() - _EPOCH)


def decimal_bytes(number: Decimal) -> bytes:
    """decimal(18, 4): the unscaled number in the fewest bytes."""
    if number.__class__ is not Decimal:
        raise Misfit
    _, digits, exponent = number.as_tuple()
    if exponent.__class__ is not int or exponent < -_SCALE or len(digits) > _DIGITS:
        raise Misfit
    unscaled = int(number.scaleb(_SCALE)) if number else 0
    raw = unscaled.to_bytes((abs(unscaled).bit_length() + 8) // 8, "big", signed=True)
    return LENGTH[len(raw)] + raw


def flag_byte(flag: bool) -> bytes:
    """A boolean; fastavro would take anything for its truth."""
    if flag.__class__ is not bool:
        raise Misfit
    return b"\x01" if flag else b"\x00"


def no_items(items: object) -> bytes:
    """An empty array; fastavro decides about None."""
    if items.__class__ not in {list, tuple}:
        raise Misfit
    return END


_LOGICAL = {"date": "day_bytes", "decimal": "decimal_bytes"}
_PLAIN = {"int": "long_bytes", "long": "long_bytes", "boolean": "flag_byte"}


def writer_of(record: Json) -> Callable[[Mapping[str, Any]], bytes]:
    """The writer of *record*, a schema as fastavro parsed it.  A union of records takes (full name, dict)."""
    source = _Source()
    name = source.record(record)
    scope: Json = {
        "NULL": NULL, "VALUE": VALUE, "EMPTY": EMPTY, "END": END, "LENGTH": LENGTH, "SOME": SOME, "Misfit": Misfit,
        "long_bytes": long_bytes, "day_bytes": day_bytes, "decimal_bytes": decimal_bytes, "flag_byte": flag_byte,
        "no_items": no_items,
    }  # fmt: skip
    exec(compile("\n".join(source.lines), f"<writer of {record['name']}>", "exec"), scope)  # noqa: S102  our own text
    made: Callable[[Mapping[str, Any]], bytes] = scope[name]
    return made


def attempt(write: Callable[[Mapping[str, Any]], bytes], datum: Json) -> bytes | None:
    """What *write* makes of *datum*; None where fastavro has to decide (and nothing is left that quotes a value)."""
    try:
        return write(datum)
    except MISFITS:
        return None


def field_bytes(kind: Any, value: Any) -> bytes:
    """One field of a plain type, nullable or not; raises one of `MISFITS`."""
    if isinstance(kind, list):
        return NULL if value is None else VALUE + field_bytes(kind[1], value)
    if kind == "string":
        raw = value.encode()
        return LENGTH[len(raw)] + bytes(raw)
    if isinstance(kind, str):
        return _PLAIN_WRITERS[kind](value)
    return _LOGICAL_WRITERS[kind["logicalType"]](value)


_PLAIN_WRITERS: dict[str, Callable[[Any], bytes]] = {"int": long_bytes, "long": long_bytes, "boolean": flag_byte}
_LOGICAL_WRITERS: dict[str, Callable[[Any], bytes]] = {"date": day_bytes, "decimal": decimal_bytes}


class _Source:
    """The text of the writers: one function a record type."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.functions: dict[str, str] = {}

    def record(self, record: Json) -> str:
        """The name of the function of *record*, written when it is met first."""
        full = str(record["name"])
        if full in self.functions:
            return self.functions[full]
        name = self.functions[full] = f"write_{len(self.functions)}"
        body: list[str] = []
        parts: list[str] = []
        for number, field in enumerate(record["fields"]):
            self._field(str(number), field, body, parts)
        self.lines += [f"def {name}(d):", "    g = d.get", *body, f"    return EMPTY.join(({', '.join(parts)},))"]
        return name

    def _field(self, n: str, field: Json, body: list[str], parts: list[str]) -> None:
        default = f", {field['default']!r}" if field.get("default") is not None else ""
        body.append(f"    v{n} = g({field['name']!r}{default})")
        kind = field["type"]
        if kind == "string":
            body.append(f"    x{n} = v{n}.encode()")
            parts += [f"LENGTH[len(x{n})]", f"x{n}"]
        elif not isinstance(kind, list):
            parts.append(self._value(kind, f"v{n}"))
        elif len(kind) == 2 and kind[0] == "null":
            self._nullable(n, kind[1], body, parts)
        else:
            self._named(n, kind, body, parts)

    def _nullable(self, n: str, kind: Any, body: list[str], parts: list[str]) -> None:
        parts += [f"p{n}", f"x{n}"]
        some = f"x{n} = v{n}.encode(); p{n} = SOME[len(x{n})]"
        if kind != "string":
            some = f"x{n} = {self._value(kind, f'v{n}')}; p{n} = VALUE"
        body += [f"    if v{n} is None: p{n} = NULL; x{n} = EMPTY", f"    else: {some}"]

    def _named(self, n: str, kinds: list[Any], body: list[str], parts: list[str]) -> None:
        """A union of records; its value names the branch."""
        body.append(f"    b{n}, r{n} = v{n}")
        for index, kind in enumerate(kinds):
            if not isinstance(kind, dict) or kind["type"] != "record":
                body.append("    raise Misfit")  # a union with other branches is fastavro's
                break
            word = "elif" if index else "if"
            written = f"x{n} = {self.record(kind)}(r{n}); p{n} = LENGTH[{index}]"
            body.append(f"    {word} b{n} == {kind['name']!r}: {written}")
        body.append("    else: raise Misfit") if body[-1] != "    raise Misfit" else None
        parts += [f"p{n}", f"x{n}"]

    def _value(self, kind: Any, value: str) -> str:
        """An expression for the bytes of *value*, which is not null and no text."""
        if isinstance(kind, str):
            return f"{_PLAIN[kind]}({value})" if kind in _PLAIN else f"{self.functions[kind]}({value})"
        if kind["type"] == "record":
            return f"{self.record(kind)}({value})"
        if kind["type"] == "enum":
            codes = {symbol: long_bytes(index) for index, symbol in enumerate(kind["symbols"])}
            return f"{codes!r}[{value}]"
        if kind["type"] == "array":
            return self._array(kind["items"], value)
        function = _LOGICAL[kind["logicalType"]] if "logicalType" in kind else _PLAIN[kind["type"]]
        return f"{function}({value})"

    def _array(self, items: Any, value: str) -> str:
        write = self.functions[items] if isinstance(items, str) else self.record(items)
        items_bytes = f"EMPTY.join((long_bytes(len({value})), *[{write}(e) for e in {value}], END))"
        return f"({items_bytes} if {value} else no_items({value}))"
