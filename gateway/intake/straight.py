"""The straight path: a plainly clean item goes from its tree to the Avro bytes of its body in one generated function.

The closures of `compile` are the complete path and stay the only place where a value is judged.  The generated
function asks them for every value it has not met, and remembers their answer *with its Avro bytes*:

    few different values (marks, levels, schools, teachers)   raw value or values of a group → (bytes, values)
    texts of one person (names, addresses, comments)          length + UTF-8; one look at all of them: are they clean
    what is different in every item (ids, times)              the closure itself

It gives up (None) on anything that is not plainly clean: a finding of any kind, a value of an unexpected type, a text
to be cleaned.  Then the complete path decides, from the start.  So both give the same body, and their bytes are the
same (a property test).  What is remembered is bounded, and texts of one person never are.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from unicodedata import is_normalized

from gateway.intake.functions_dates import usual_instant
from gateway.intake.makers import Found, Maker, Test, Tree
from gateway.national.writer import LENGTH, MISFITS, field_bytes

REMEMBERED: Final = 4_096
LONGEST_REMEMBERED: Final = 256
SHAPES: Final = 8
SHAPES_SEEN: Final = 64
LONGEST_SHAPE: Final = 400
WORTH_WHILE: Final = 20
"""An own function costs about 30 ms to make: after so many changes to a shape, for so many shapes in all."""


class NotPlain(ValueError):
    """The complete path has to decide."""


class Made:
    """A clean item: what the complete path's mapping would have made, and its bytes but for the transcript id."""

    __slots__ = ("_before", "_gap", "_parts", "body", "event", "facts")

    def __init__(self, made: tuple[Tree, dict[str, Any], dict[str, Any], list[bytes]], gap: int) -> None:
        self.event, self.body, self.facts, self._parts = made
        self._gap = gap

    def watch(self) -> None:
        """From here on `changed` tells of changes."""
        self._before = [*self.body.values(), *self.body["results"].values()]

    def changed(self) -> bool:
        """Whether a rule has set or replaced a field since, so that the bytes are not the body's any more."""
        return self._before != [*self.body.values(), *self.body["results"].values()]

    def body_bytes(self) -> bytes:
        """The body's bytes as `codec.encode_body` would make them; only the transcript id may have been set since."""
        self._parts[self._gap] = text_bytes(LENGTH, self.body["transcript_id"])
        return b"".join(self._parts)


Function = Callable[[Tree, Tree], tuple[dict[str, Any], dict[str, Any], dict[str, Any], list[bytes]]]
Shape = tuple[str, ...]


class Straight:
    """A connector's generated function, and its variants for items whose names come in a known order.

    *write* gives the text of the function for a shape; for None it reads each input by name.
    """

    __slots__ = ("_any", "_gap", "_last", "_scope", "_seen", "_shaped", "_this", "_write", "memos")

    def __init__(
        self, write: Callable[[Shape | None], str], scope: dict[str, Any], gap: int, memos: tuple["Memo", ...]
    ) -> None:
        self._write = write
        self._scope = scope
        self._gap = gap
        self.memos = memos
        self._any = self._this = self._function(None)
        self._last: Shape = ()
        self._shaped: dict[Shape, Function] = {}
        self._seen: dict[Shape, int] = {}

    def source(self, shape: Shape | None = None) -> str:
        """The text of the function, to be read by a person."""
        return self._write(shape)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The shapes that have a function of their own."""
        return tuple(self._shaped)

    def make(self, item: Tree, root: Tree, shape: Shape) -> Made | None:
        """What *item* of the message *root*, with names *shape*, becomes; None when it is not plainly clean."""
        function = self._this
        if shape != self._last:
            function = self._of(shape)
            if function is not self._any:
                self._this, self._last = function, shape
        try:
            return Made(function(item, root), self._gap)
        except MISFITS:
            return None

    def _of(self, shape: Shape) -> Function:
        """The function for *shape*: an own one where it is not rare and there are not too many."""
        function = self._shaped.get(shape)
        if function is not None:
            return function
        if len(self._shaped) >= SHAPES or len(shape) > LONGEST_SHAPE:
            return self._any
        if len(self._seen) >= SHAPES_SEEN:
            self._seen.clear()
        times = self._seen[shape] = self._seen.get(shape, 0) + 1
        if times < WORTH_WHILE:
            return self._any
        function = self._shaped[shape] = self._function(shape)
        return function

    def _function(self, shape: Shape | None) -> Function:
        scope = dict(self._scope)
        exec(compile(self._write(shape), "<straight path>", "exec"), scope)  # noqa: S102  our own text
        function: Function = scope["straight"]
        return function


@dataclass(frozen=True, slots=True)
class Column:
    """A field: its maker, what the maker reads, its Avro type (None for what is no field of the body)."""

    name: str
    maker: Maker
    inputs: tuple[str, ...]
    kind: Any
    due: bool


class Memo:
    """Answers of the makers of neighbouring fields, by what they read; emptied when it is full.

    1, True and Decimal("1.0") are equal, and not the same input.  So only texts and None are keys of *known*; in *odd*
    a whole number stands for itself and is only looked for by a whole number, all else stands there with its class.
    The key of a *tagged* memo holds the classes too, and so may hold whole numbers.  Rows whose makers are *like* each
    other remember together.
    """

    __slots__ = ("_pieces", "_tagged", "_test", "known", "odd")

    def __init__(
        self,
        pieces: tuple[bytes | Column, ...],
        test: Test | None,
        *,
        tagged: bool = False,
        like: "Memo | None" = None,
    ) -> None:
        self._pieces = pieces
        self._test = test
        self._tagged = tagged
        self.known: dict[object, tuple[Any, ...]] = {} if like is None else like.known
        self.odd: dict[object, tuple[Any, ...]] = {} if like is None else like.odd

    def miss(self, key: object, item: Tree, root: Tree) -> tuple[Any, ...]:
        """The answer for *key*, which is not in *known*; empty where the row's test says no.  Raises NotPlain."""
        memo, name = self.odd, key
        if key.__class__ is not int:  # a number written as one stands for itself: counts, grades, versions
            memo, name = self._place(key if isinstance(key, tuple) else (key,), key)
        answer = memo.get(name)
        if answer is None:
            answer = self._answer(item, root)
            if max(map(len, _texts_of(key)), default=0) <= LONGEST_REMEMBERED:
                if len(memo) >= REMEMBERED:
                    memo.clear()
                memo[name] = answer
        return answer

    def _place(self, values: tuple[object, ...], key: object) -> tuple[dict[object, tuple[Any, ...]], object]:
        """Where the answer for *values* is or will be, and under which name."""
        classes = {value.__class__ for value in values}
        if classes <= _TEXTS or (self._tagged and classes <= _TAGGED):
            return self.known, key
        return self.odd, tuple((value.__class__, _told(value)) for value in values)

    def _answer(self, item: Tree, root: Tree) -> tuple[Any, ...]:
        if self._test is not None and not self._test(item, root):
            return ()
        out: list[bytes] = []
        values: list[object] = []
        for piece in self._pieces:
            if isinstance(piece, bytes):
                out.append(piece)
                continue
            value = value_of(piece, item, root)
            values.append(value)
            if piece.kind is not None:
                out.append(field_bytes(piece.kind, value))
        return b"".join(out), *values


def _texts_of(key: object) -> list[str]:
    return [value for value in (key if isinstance(key, tuple) else (key,)) if isinstance(value, str)]


def _told(value: object) -> str:
    """A scalar as a name of itself; nothing deeper is ever remembered."""
    if value.__class__ not in _SCALARS:
        raise NotPlain
    return str(value)


_SCALARS = frozenset({str, int, bool, Decimal, type, type(None)})
_TEXTS = frozenset({str, type(None)})
_TAGGED = frozenset({str, type(None), int, bool, type})


def value_of(column: Column, item: Tree, root: Tree) -> object:
    """The value of *column* by its maker; raises NotPlain for any finding, and where a due value is missing."""
    found: Found = []
    value = column.maker(item, root, found)
    if found or (value is None and column.due):
        raise NotPlain
    return value


def digits_test(column: Column, width: int) -> Callable[[str], object] | None:
    """A test for texts of *width* digits, where the maker leaves any such text as it is; None where it does not."""
    (path,) = column.inputs
    for text in ("7" * (width - 1) + "1", "0" * width, "1" * width, "1234567890123456"[:width]):
        found: Found = []
        if column.maker({path: text}, {}, found) != text or found:
            return None
    return re.compile(f"[0-9]{{{width}}}").fullmatch


def reads_usual_instants(column: Column) -> bool:
    """Whether the maker reads usual instants as `usual_instant` does."""
    (path,) = column.inputs
    for text in ("2026-05-27T15:00:09+07:00", "1999-12-31T23:59:59+07:00", "2024-02-29T00:00:00+07:00"):
        found: Found = []
        if column.maker({path: text}, {}, found) != usual_instant(text) or found:
            return False
    return True


def check_texts(texts: list[str]) -> None:
    """Raises NotPlain unless cleaning would leave every one of *texts*, which starts and ends with "", as it is.

    A part of a composed text is composed, so they are looked at as one; an upright bar in a text does no harm.
    """
    joined = "|".join(texts)
    if not joined.isprintable() or "  " in joined or "| " in joined or " |" in joined:
        raise NotPlain
    if not joined.isascii() and not is_normalized("NFC", joined):
        raise NotPlain


def text_bytes(lengths: list[bytes], text: str) -> bytes:
    """A text behind its length."""
    raw = text.encode()
    return lengths[len(raw)] + raw
