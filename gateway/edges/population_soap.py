"""The population database's SOAP 1.1 messages: requests as bytes, replies as findings (facts section 8.3).

The rules: a request is built from elements, never from text; a reply is read with entities, DTD and network off, and a
reply with a document type is no reply.  Elements are found by local name, because answers come in several name spaces.
No parser text and no fault text leaves this file: both may repeat a person.
"""

import base64
import hashlib
import unicodedata
import uuid
from dataclasses import dataclass
from typing import Final

from lxml import etree

from gateway.config import PopulationLink
from gateway.edges.identity_link import RefusedLookup
from gateway.edges.pupil_registry import Candidate
from gateway.identity.chain import Finding, Known, People
from gateway.identity.names import unaccented
from gateway.identity.verdicts import Claim
from gateway.outcomes import Unavailable

SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
OLD_CARD_DIGITS: Final = 9
MOST_PEOPLE: Final = 50
_OPERATIONS: Final = {"confirm": "XacThucThongTinCongDan", "look_up": "TraCuuThongTinCongDan"}
_TRUTH: Final = {"true": True, "1": True, "false": False, "0": False}
_SEX: Final = {"1": "1", "2": "2"}


@dataclass(frozen=True, slots=True)
class Unaskable:
    """The question lacks what both operations need: ID, name and birth date, in characters that XML can carry."""


def request_of(question: Claim, settings: PopulationLink, request_id: uuid.UUID) -> bytes | Unaskable:
    """The envelope that asks about *question*."""
    birth = _birth(question.birth)
    if not question.citizen_id or not question.full_name.strip() or birth is None:
        return Unaskable()
    document = "SoCMND" if len(question.citizen_id) == OLD_CARD_DIGITS else "SoDinhDanh"
    code = settings.confirm_code if settings.operation == "confirm" else settings.look_up_code
    parts = [
        ("MaYeuCau", request_id.hex),
        ("MaDVC", settings.procedure_code),
        ("MaTichHop", code),
        ("MaCanBo", settings.officer_code),
        (document, question.citizen_id),
        ("HoVaTen", name_as(question.full_name, settings.name_form)),
    ]
    space = settings.namespace
    envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"soapenv": SOAP, "dan": space})
    etree.SubElement(envelope, f"{{{SOAP}}}Header")
    body = etree.SubElement(envelope, f"{{{SOAP}}}Body")
    operation = etree.SubElement(body, f"{{{space}}}{_OPERATIONS[settings.operation]}")
    try:
        for name, text in parts:
            etree.SubElement(operation, f"{{{space}}}{name}").text = text
    except ValueError:  # a control character
        return Unaskable()
    born = etree.SubElement(operation, f"{{{space}}}NgayThangNamSinh")
    etree.SubElement(born, f"{{{space}}}{birth[0]}").text = birth[1]
    return etree.tostring(envelope, encoding="UTF-8", xml_declaration=True)


def name_as(name: str, form: str) -> str:
    """A name as the database wants it: one NFC line in capitals, on request without diacritics.

    >>> name_as(" phạm  mẫu Đức ", "upper_bare")
    'PHAM MAU DUC'
    """
    text = " ".join(unicodedata.normalize("NFC", name).split()).upper()
    return unaccented(text) if form == "upper_bare" else text


def authorization(settings: PopulationLink, credentials: dict[str, str], now_ms: int) -> dict[str, str]:
    """The headers that say who asks: ``Timestamp`` and Basic of user and digest, or an API key."""
    if settings.auth == "api_key":
        return {"ApiKey": credentials["api_key"]}
    timestamp = str(now_ms if settings.timestamp_unit == "ms" else now_ms // 1000)
    user, url = credentials["user"], settings.hashed_url or settings.url
    digest = hashlib.sha256(f"{url}{user}{timestamp}{credentials['secret']}".encode()).hexdigest()
    basic = base64.b64encode(f"{user}:{digest}".encode()).decode()
    return {"Timestamp": timestamp, "Authorization": f"Basic {basic}"}


def finding_of(reply: bytes) -> Finding | Unavailable | RefusedLookup:
    """What a reply says; a fault of the server is to be asked again, one of the request is not."""
    content = _content(reply)
    if content is None:
        return RefusedLookup("unreadable")
    match etree.QName(content).localname:
        case "Fault":
            about_us = _text(content, "faultcode").rpartition(":")[2] == "Client"
            return RefusedLookup("soap-client") if about_us else Unavailable(None, "soap-server")
        case "KetQuaXacThuc":
            known = _TRUTH.get(_text(content, "TonTai").lower())
            return RefusedLookup("unreadable") if known is None else Known(known)
        case "CongdanCollection" if len(content) <= MOST_PEOPLE:
            people = tuple(_person(one) for one in content if _is(one, "CongDan"))
            return People(people) if len(people) == len(content) else RefusedLookup("unreadable")
        case _:
            return RefusedLookup("unreadable")


def _birth(text: str) -> tuple[str, str] | None:
    parts = text.split("-")
    if len(parts) == 3 and all(part.isdecimal() for part in parts):
        return "NgayThangNam", "".join(parts)
    return ("Nam", parts[0]) if parts[0].isdecimal() else None


def _content(reply: bytes) -> etree._Element | None:
    """The one element of the SOAP body; None for anything that is not such an envelope."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(reply, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    if root.getroottree().docinfo.internalDTD is not None or root.tag != f"{{{SOAP}}}Envelope":
        return None
    body = root.find(f"{{{SOAP}}}Body")
    return body[0] if body is not None and len(body) == 1 else None


def _person(element: etree._Element) -> Candidate:
    name = next((part for part in element if _is(part, "HoVaTen")), None)
    parts = [] if name is None else [name.text or "", *(_text(name, part) for part in ("Ho", "ChuDem", "Ten"))]
    born = next((part for part in element if _is(part, "NgayThangNamSinh")), None)
    return Candidate(
        citizen_id=_text(element, "SoDinhDanh") or None,
        full_name=" ".join(" ".join(parts).split()),
        birth_date="" if born is None else _dashed(_text(born, "NgayThangNam") or _text(born, "Nam")),
        gender=_SEX.get(_text(element, "GioiTinh"), "0"),
    )


def _dashed(digits: str) -> str:
    """yyyyMMdd, yyyyMM or yyyy as a date of that precision; a month or day 00 is not given."""
    parts = [digits[:4], *(part for part in (digits[4:6], digits[6:8]) if part.strip("0"))]
    return "-".join(part for part in parts if part)


def _text(element: etree._Element, name: str) -> str:
    found = next((part for part in element if _is(part, name)), None)
    return "" if found is None else (found.text or "").strip()


def _is(element: etree._Element, name: str) -> bool:
    return isinstance(element.tag, str) and etree.QName(element).localname == name
