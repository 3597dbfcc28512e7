"""What connector.yaml says about CSV: separators, columns by their header text, and the lines that are no pupil.

csv:
delimiter: ";"
quote: '"'                                   # "" where the file knows no quotes
header_rows: 2                               # at most so many lines of heading texts
columns:                                     # our name → the heading, or several; group and heading by " / "
ma_hoc_sinh: [Mã học sinh, Mã HS]
toan_muc: Toán / Mức đạt được
required: [ma_hoc_sinh, ho_ten]              # missing in the file: the file is rejected (DQ-26)
key: ma_hoc_sinh                             # a line without it may be a total or a signature
order: tt                                    # holds a running number; anything else there is a shifted row
labels: {nam_hoc: Năm học}                   # cells above the header, read as $.nam_hoc
class_row: {column: lop, prefix: [Lớp]}      # a line "LỚP 1A" of its own gives the column of the lines below
asides: [Tổng số]                            # further first words of lines that are no pupil
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.intake.nodes import Faults, Node, candidates

DELIMITERS = (",", ";", "\t", "|")
MAX_HEADER_ROWS = 6
ROWS = "rows"
"""Where the items of a sheet stand in its tree."""

_KEYS = (
    "delimiter", "quote", "header_rows", "columns", "required", "key", "order", "labels", "class_row", "asides",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CsvLayout:
    """How a CSV file is laid out; *columns* and *labels*: our name → heading texts."""

    delimiter: str
    quote: str
    header_rows: int
    columns: Mapping[str, tuple[str, ...]]
    required: tuple[str, ...]
    key: str
    order: str
    labels: Mapping[str, tuple[str, ...]]
    class_column: str
    class_prefixes: tuple[str, ...]
    asides: tuple[str, ...]


def read_layout(faults: Faults, node: Node) -> CsvLayout:
    """The layout at *node*; what is wrong with it goes into *faults*."""
    found = faults.keys(node, _KEYS, ("columns", "required", "key"))
    columns = _texts(faults, found.get("columns"))
    class_row = faults.keys(found.get("class_row"), ("column", "prefix"), ("column", "prefix"))
    layout = CsvLayout(
        delimiter=faults.text(found.get("delimiter"), ","),
        quote=faults.text(found.get("quote"), '"'),
        header_rows=faults.whole(found.get("header_rows"), 1),
        columns=columns,
        required=faults.texts(found.get("required")),
        key=faults.text(found.get("key")),
        order=faults.text(found.get("order")),
        labels=_texts(faults, found.get("labels")),
        class_column=faults.text(class_row.get("column")),
        class_prefixes=faults.texts(class_row.get("prefix")),
        asides=faults.texts(found.get("asides")),
    )
    _check(faults, layout, found)
    return layout


def _texts(faults: Faults, node: Node | None) -> dict[str, tuple[str, ...]]:
    return {} if node is None else {name: faults.texts(item) for name, item in faults.mapping(node).items()}


def _check(faults: Faults, layout: CsvLayout, found: Mapping[str, Node]) -> None:
    for name, texts in (
        ("required", layout.required),
        ("key", (layout.key,)),
        ("order", (layout.order,)),
        ("class_row", (layout.class_column,)),
    ):
        for text in texts:
            if text and text not in layout.columns:
                faults.add(found[name], f"{text} is no column{candidates(text, layout.columns)}")
    for name, texts in {**layout.columns, **layout.labels}.items():
        if not texts:
            faults.add(found["columns" if name in layout.columns else "labels"], f"{name} names no text")
    _check_signs(faults, layout, found)


def _check_signs(faults: Faults, layout: CsvLayout, found: Mapping[str, Node]) -> None:
    if layout.delimiter not in DELIMITERS:
        faults.add(found["delimiter"], "must be a comma, a semicolon, a tab or |")
    if len(layout.quote) > 1 or layout.quote == layout.delimiter:
        faults.add(found["quote"], 'must be one character other than the delimiter, or ""')
    if not 1 <= layout.header_rows <= MAX_HEADER_ROWS:
        faults.add(found["header_rows"], f"must be 1 to {MAX_HEADER_ROWS}")
