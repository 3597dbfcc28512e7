"""The population database's messages: the samples' requests and replies, and replies that no database should send."""

import base64
import hashlib
import uuid

import pytest
from lxml import etree

from gateway.config import PopulationLink
from gateway.edges.identity_link import RefusedLookup
from gateway.edges.population_registry import PopulationRegistry
from gateway.edges.population_soap import Unaskable, authorization, finding_of, request_of
from gateway.edges.pupil_registry import Candidate
from gateway.identity.chain import Known, People
from gateway.identity.verdicts import Claim
from gateway.outcomes import Unavailable
from tests.fakes.raw_server import answer, raw_server

DUC = Claim("4899990201", "048209999921", "Phạm Mẫu Đức", "2009-08-19", "1")
REQUEST = uuid.UUID(int=7)
SETTINGS = PopulationLink(
    url="http://c06.invalid/service",
    credentials_file="unused",
    procedure_code="MAU-DVC",
    officer_code="mau.canbo",
)
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
YES = ("<KetQuaXacThuc><TonTai>", "</TonTai></KetQuaXacThuc>")
MATCH = """<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>
<ns1:CongdanCollection xmlns:ns1="http://www.mic.gov.vn/dancu/1.0"><ns1:CongDan>
<ns1:SoDinhDanh>048209999921</ns1:SoDinhDanh><ns1:SoCMND/>
<ns1:HoVaTen><ns1:Ho/><ns1:ChuDem/><ns1:Ten>Phạm Mẫu Đức</ns1:Ten></ns1:HoVaTen><ns1:GioiTinh>1</ns1:GioiTinh>
<ns1:NgayThangNamSinh><ns1:NgayThangNam>20090819</ns1:NgayThangNam></ns1:NgayThangNamSinh>
</ns1:CongDan></ns1:CongdanCollection></soapenv:Body></soapenv:Envelope>"""


def enveloped(content: str) -> bytes:
    return f'<s:Envelope xmlns:s="{SOAP}"><s:Header/><s:Body>{content}</s:Body></s:Envelope>'.encode()


def parts(content: bytes) -> tuple[str, dict[str, str]]:
    body = etree.fromstring(content).find(f"{{{SOAP}}}Body")
    assert body is not None
    operation = body[0]
    return str(operation.tag), {
        etree.QName(one).localname: "".join(str(text) for text in one.itertext()) for one in operation
    }


def test_a_confirmation_names_request_procedure_officer_and_person_in_the_samples_order() -> None:
    made = request_of(DUC, SETTINGS, REQUEST)
    assert isinstance(made, bytes)
    tag, given = parts(made)

    assert tag == "{http://dancuquocgia.bca}XacThucThongTinCongDan"
    assert list(given.items()) == [
        ("MaYeuCau", REQUEST.hex),
        ("MaDVC", "MAU-DVC"),
        ("MaTichHop", "003"),
        ("MaCanBo", "mau.canbo"),
        ("SoDinhDanh", "048209999921"),
        ("HoVaTen", "PHẠM MẪU ĐỨC"),
        ("NgayThangNamSinh", "20090819"),
    ]


def test_a_look_up_without_diacritics_of_an_old_card_and_a_year() -> None:
    settings = PopulationLink(
        url="u",
        credentials_file="f",
        procedure_code="MAU-DVC",
        officer_code="mau.canbo",
        operation="look_up",
        name_form="upper_bare",
    )
    made = request_of(Claim("1", "019999921", "Phạm Mẫu Đức", "2009", "1"), settings, REQUEST)
    assert isinstance(made, bytes)
    tag, given = parts(made)

    assert tag == "{http://dancuquocgia.bca}TraCuuThongTinCongDan"
    assert (given["MaTichHop"], given["SoCMND"], given["HoVaTen"]) == ("037", "019999921", "PHAM MAU DUC")
    assert b"<dan:Nam>2009</dan:Nam>" in made


def test_markup_in_a_name_stays_text() -> None:
    made = request_of(Claim("1", "048209999921", "Mẫu </dan:HoVaTen>&", "2009", "1"), SETTINGS, REQUEST)
    assert isinstance(made, bytes)

    assert parts(made)[1]["HoVaTen"] == "MẪU </DAN:HOVATEN>&"


@pytest.mark.parametrize(
    "question",
    [
        Claim("1", None, "Phạm Mẫu", "2009", "1"),
        Claim("1", "048209999921", " ", "2009", "1"),
        Claim("1", "048209999921", "Phạm Mẫu", "", "1"),
        Claim("1", "048209999921", "Phạm Mẫu\x00", "2009", "1"),
    ],
)
def test_a_question_without_id_name_or_birth_is_not_made(question: Claim) -> None:
    assert request_of(question, SETTINGS, REQUEST) == Unaskable()


@pytest.mark.parametrize(("unit", "timestamp"), [("ms", "1780000000123"), ("s", "1780000000")])
def test_the_authorization_hashes_url_user_time_and_secret(unit: str, timestamp: str) -> None:
    settings = PopulationLink(
        url="http://proxy.invalid/x",
        hashed_url="http://c06.invalid/service",
        credentials_file="f",
        procedure_code="p",
        officer_code="o",
        timestamp_unit="s" if unit == "s" else "ms",
    )
    digest = hashlib.sha256(f"http://c06.invalid/servicemau{timestamp}geheim".encode()).hexdigest()

    found = authorization(settings, {"user": "mau", "secret": "geheim"}, 1_780_000_000_123)

    assert found["Timestamp"] == timestamp
    assert base64.b64decode(found["Authorization"].removeprefix("Basic ")).decode() == f"mau:{digest}"


def test_the_samples_replies() -> None:
    found = finding_of(MATCH.encode())

    assert found == People((Candidate("048209999921", "Phạm Mẫu Đức", "2009-08-19", "1"),))
    empty = '<n:CongdanCollection xmlns:n="http://www.mic.gov.vn/dancu/1.0"/>'
    assert finding_of(enveloped(empty)) == People(())
    for text, known in (("true", True), ("false", False), (" 1 ", True)):
        yes_no = f'<n:KetQuaXacThuc xmlns:n="http://dancuquocgia.bca"><n:TonTai>{text}</n:TonTai></n:KetQuaXacThuc>'
        assert finding_of(enveloped(yes_no)) == Known(known)


def test_a_name_in_three_parts_and_a_year_of_birth_are_read() -> None:
    content = (
        '<c:CongdanCollection xmlns:c="urn:x"><c:CongDan><c:SoDinhDanh>1</c:SoDinhDanh><c:HoVaTen><c:Ho>Phạm</c:Ho>'
        "<c:ChuDem>Mẫu</c:ChuDem><c:Ten>Đức</c:Ten></c:HoVaTen><c:NgayThangNamSinh><c:Nam>2009</c:Nam>"
        "</c:NgayThangNamSinh></c:CongDan></c:CongdanCollection>"
    )

    assert finding_of(enveloped(content)) == People((Candidate("1", "Phạm Mẫu Đức", "2009", "0"),))


@pytest.mark.parametrize(
    ("code", "expected"),
    [("s:Server", Unavailable(None, "soap-server")), ("s:Client", RefusedLookup("soap-client"))],
)
def test_a_fault_of_the_server_is_asked_again_and_its_text_is_dropped(code: str, expected: object) -> None:
    fault = f"<s:Fault><faultcode>{code}</faultcode><faultstring>Mẫu 048209999921</faultstring></s:Fault>"
    found = finding_of(enveloped(fault))

    assert found == expected
    assert "9999" not in repr(found)


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"<html>",
        b"not xml at all",
        b"\xff\xfe\x00",
        b"<Envelope/>",
        enveloped(""),
        enveloped("<a/><b/>"),
        enveloped("<KetQuaXacThuc><TonTai>perhaps</TonTai></KetQuaXacThuc>"),
        enveloped("<KetQuaXacThuc/>"),
        enveloped("<CongdanCollection><Unknown/></CongdanCollection>"),
        enveloped("<CongdanCollection>" + "<CongDan/>" * 51 + "</CongdanCollection>"),
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + enveloped(f"{YES[0]}&e;{YES[1]}"),
        b'<!DOCTYPE x [<!ENTITY a "1"><!ENTITY b "&a;&a;&a;&a;">]>' + enveloped(f"{YES[0]}1{YES[1]}"),
        enveloped("<a>" * 400 + "</a>" * 400),
    ],
    ids=range(14),
)  # fmt: skip
def test_what_is_no_reply_is_refused(reply: bytes) -> None:
    assert finding_of(reply) == RefusedLookup("unreadable")


def link_to(url: str) -> PopulationRegistry:
    settings = PopulationLink(
        url=url, credentials_file="unused", procedure_code="p", officer_code="o", timeout_s=5.0, clock_limit_s=60.0
    )
    return PopulationRegistry(settings, {"user": "mau", "secret": "geheim"})


CONFIRMED = enveloped("<KetQuaXacThuc><TonTai>true</TonTai></KetQuaXacThuc>").decode()
LONG_AGO = "date: Tue, 01 Jan 2019 00:00:00 GMT"


async def test_a_clock_far_off_holds_what_names_a_person_until_a_request_without_one_shows_agreement() -> None:
    script = [answer("200 OK", CONFIRMED, LONG_AGO), answer("200 OK", "", LONG_AGO), answer("200 OK", ""),
              answer("200 OK", "", "date: nonsense")]  # fmt: skip
    async with raw_server(*script) as server:
        link = link_to(server.url)
        first = await link.ask([DUC], uuid.uuid4())
        held = [await link.ask([DUC], uuid.uuid4()) for _ in range(3)]
        await link.aclose()

    assert first == [Known(True)]
    assert held == [Unavailable(None, "clock")] * 3
    assert [line.split()[0] for line in server.asked] == ["POST", "HEAD", "HEAD", "HEAD"]


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        ("500 Internal Server Error", "<html>", Unavailable(None, "HTTP-500")),
        ("503 Service Unavailable", "", Unavailable(None, "HTTP-503")),
        ("403 Forbidden", "", Unavailable(None, "HTTP-403")),
        ("404 Not Found", "", Unavailable(None, "HTTP-404")),
        ("413 Content Too Large", "", RefusedLookup("HTTP-413")),
        ("200 OK", "x" * 300_000, RefusedLookup("size")),
        ("200 OK", "<html>", RefusedLookup("unreadable")),
    ],
)
async def test_every_http_error_is_sorted_once(status: str, body: str, expected: object) -> None:
    async with raw_server(answer(status, body)) as server:
        link = link_to(server.url)
        found = await link.ask([DUC], uuid.uuid4())
        await link.aclose()

    assert found == expected
