"""Where a học bạ XML's record, subject rows and signatures stand, found by their place (see `documents`)."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from lxml import etree

from gateway.intake.documents_verdict import Verdict

DSIG = "http://www.w3.org/2000/09/xmldsig#"
DATA_ID = "data"
RECORD_ID = "thongtinhocba"
ROW = "DIEM_TONG_KET"
MAX_SIGNATURES = 64
MAX_ROWS = 60
MAX_NAMESPACES = 256
"""Declarations in a document: canonical forms compare each with each, so that 20,000 would cost minutes."""

_SIGNATURE = f"{{{DSIG}}}Signature"
_DECLARED = tuple("xmlns".encode(encoding) for encoding in ("ascii", "utf-16-le", "utf-16-be"))
_ENCODINGS = frozenset({"UTF-8", "ASCII", "US-ASCII", "UTF-16", "UTF-16LE", "UTF-16BE"})
_IDS = etree.XPath("//@Id|//@ID|//@id|//@xml:id")
_NOT_DATA = etree.XPath("boolean(//comment()|/*//processing-instruction()|//*[count(@*) > 64])")
"""What people's programs read in different ways, and what canonical forms take long to sort."""
_XML_ATTRIBUTES = etree.XPath("boolean(//@xml:*)")


class Role(StrEnum):
    """Who signs."""

    SUBJECT_TEACHER = "subject_teacher"
    HOMEROOM = "homeroom"
    LEADER = "leader"
    SCHOOL_SEAL = "school_seal"


_INSIDE_DATA = {
    Role.SUBJECT_TEACHER: "DANH_SACH_THONG_TIN_KY/DANH_SACH_GVBM/GVBM",
    Role.HOMEROOM: "DANH_SACH_THONG_TIN_KY/GVCN",
}
_OUTSIDE = {Role.LEADER: "PHAT_HANH_HOC_BA/CBQL", Role.SCHOOL_SEAL: "PHAT_HANH_HOC_BA/KY_PHAT_HANH"}


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """The result of one subject; *teacher* is the Id of the GVBM it names."""

    index: int
    element: etree._Element
    id: str | None
    teacher: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A signature at the place of *role*; *holder* is the element it stands in, such as a GVBM."""

    role: Role
    holder: etree._Element
    element: etree._Element


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed record document."""

    size: int
    data: etree._Element
    record: etree._Element
    rows: tuple[Row, ...]
    signatures: dict[Role, list[Placed]]
    stray: bool
    """A signature stands where none belongs."""
    times: Counter[str]
    """How often each Id stands in the document."""
    _rows_of: dict[str, Row] = field(default_factory=dict)

    def signable(self, role: Role, name: str) -> etree._Element | None:
        """The element with the Id *name*, if it stands at the place that *role* signs and no other has that Id."""
        if self.times[name] != 1:
            return None
        if role is Role.SUBJECT_TEACHER:
            row = self._rows_of.get(name)
            return None if row is None else row.element
        place, due = (self.record, RECORD_ID) if role is Role.HOMEROOM else (self.data, DATA_ID)
        return place if name == due and place.get("Id") == name else None

    def has_xml_attributes(self) -> bool:
        """Whether there is xml:lang or its kind, which inclusive canonical forms of parts would inherit."""
        return bool(_XML_ATTRIBUTES(self.data))

    def row(self, name: str) -> Row:
        """The row with the Id *name*; raises KeyError."""
        return self._rows_of[name]


def open_document(value: bytes, record_path: tuple[str, ...]) -> Document | Verdict:
    """The document in *value*, or why its signatures cannot be judged."""
    root = _parsed(value)
    if root is None:
        return Verdict.UNSUPPORTED
    own = root.tag[: root.tag.index("}") + 1] if root.tag.startswith("{") else ""
    steps = [_only_child(root, record_path[0], own)]
    for name in record_path[1:]:
        steps.append(_only_child(steps[-1], name, own))
    data, record = steps[0], steps[-1]
    if data is None or record is None or data is record:
        return Verdict.UNSUPPORTED
    signatures = _signatures(root, data, own)
    placed = sum(len(found) for found in signatures.values())
    everywhere = sum(1 for _ in root.iter(_SIGNATURE))
    elements = _children(record, ROW, own)
    if everywhere > MAX_SIGNATURES or len(elements) > MAX_ROWS:
        return Verdict.UNSUPPORTED
    rows = tuple(_row(index, element, own) for index, element in enumerate(elements))
    return Document(
        size=len(value),
        data=data,
        record=record,
        rows=rows,
        signatures=signatures,
        stray=everywhere != placed,
        times=Counter(map(str, _found(_IDS(root)))),
        _rows_of={row.id: row for row in rows if row.id is not None},
    )


def _parsed(value: bytes) -> etree._Element | None:
    """The root element; comments and instructions are kept by the parser to be seen, and refused."""
    words = _DECLARED if b"\x00" in value else _DECLARED[:1]
    if max(value.count(word) for word in words) > MAX_NAMESPACES:
        return None
    parser = etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(value, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    about = root.getroottree().docinfo
    if about.internalDTD is not None or (about.encoding or "UTF-8").upper() not in _ENCODINGS or _NOT_DATA(root):
        return None
    return root


def _found(result: object) -> list[object]:
    return result if isinstance(result, list) else []


def _children(parent: etree._Element, name: str, own: str) -> list[etree._Element]:
    """The children called *name*, in the document's *own* namespace or in none, because the mapping reads both."""
    names = (name, own + name)
    return [child for child in parent if child.tag in names]


def _only_child(parent: etree._Element | None, name: str, own: str) -> etree._Element | None:
    children = [] if parent is None else _children(parent, name, own)
    return children[0] if len(children) == 1 else None


def _signatures(root: etree._Element, data: etree._Element, own: str) -> dict[Role, list[Placed]]:
    found: dict[Role, list[Placed]] = {}
    for base, places in ((data, _INSIDE_DATA), (root, _OUTSIDE)):
        for role, path in places.items():
            holders = [base]
            for name in path.split("/"):
                holders = [child for holder in holders for child in _children(holder, name, own)]
            found[role] = [
                Placed(role, holder, element) for holder in holders for element in holder.findall(_SIGNATURE)
            ]
    return found


def _row(index: int, element: etree._Element, own: str) -> Row:
    teachers = _children(element, "GVBM", own)
    return Row(index, element, element.get("Id"), teachers[0].get("Id") if len(teachers) == 1 else None)
