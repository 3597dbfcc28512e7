"""XML of any vendor as a tree: namespaces, attributes, lists; what is not the document's own is left out."""

from decimal import Decimal

import pytest

from gateway.intake.decode_xml import decode_xml
from gateway.intake.functions import FUNCTIONS
from gateway.intake.makers import getter, is_nothing
from gateway.intake.values import as_text

DOCUMENT = """<hs:HO_SO xmlns:hs="urn:mau" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" xmlns:x="urn:other">
 <hs:HOC_SINH MA="2499990501"><hs:TEN>Mẫu An</hs:TEN></hs:HOC_SINH>
 <hs:DIEM MON="15" x:NGUON="excel" Id="d1">7,5</hs:DIEM><hs:DIEM MON="19">8</hs:DIEM>
 <hs:GHI_CHU MAU="x"> </hs:GHI_CHU>
 <ds:Signature><ds:TEN>no</ds:TEN></ds:Signature>
</hs:HO_SO>"""

PLAIN = DOCUMENT.replace("hs:", "").replace(' xmlns:hs="urn:mau"', "")


@pytest.mark.parametrize(
    "document", [DOCUMENT, DOCUMENT.replace("hs:", "").replace(":hs=", "="), PLAIN], ids=["prefix", "default", "none"]
)  # fmt: skip
def test_names_are_the_documents_own_whatever_their_prefix(document: str) -> None:
    assert decode_xml(document.encode()) == {
        "HOC_SINH": {"@MA": "2499990501", "TEN": "Mẫu An"},
        "DIEM": [{"@MON": "15", "@x:NGUON": "excel", "@Id": "d1", "#text": "7,5"}, {"@MON": "19", "#text": "8"}],
        "GHI_CHU": {"@MAU": "x"},
    }


def test_a_text_with_attributes_still_reads_as_text_and_can_be_chosen_by_them() -> None:
    tree = decode_xml(DOCUMENT.encode())
    assert isinstance(tree, dict)

    assert as_text(getter("DIEM[@MON=19]")(tree, {})) == "8"
    assert getter("DIEM[@MON=15].#text")(tree, {}) == "7,5"
    assert getter("HOC_SINH.@MA")(tree, {}) == "2499990501"


def test_names_of_another_namespace_keep_their_prefix_and_only_signatures_are_left_out() -> None:
    tree = decode_xml(
        b"""<r xmlns="urn:a" xmlns:e="urn:e" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:b="urn:a"
            xsi:schemaLocation="urn:a a.xsd" b:nam="2025">
            <e:the e:so="1"><e:ma>x</e:ma><b:ten>y</b:ten><khac xmlns="">z</khac></e:the><ma>own</ma>
            <khac xmlns="urn:c"><ma>no prefix</ma></khac>
            <Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><Object><ma>no</ma></Object></Signature></r>"""
    )

    assert tree == {
        "@nam": "2025",
        "e:the": {"@so": "1", "ma": "x", "ten": "y", "khac": "z"},
        "ma": "own",
        ":khac": {"ma": "no prefix"},
    }


def test_an_envelope_s_content_of_another_namespace_is_read_below_it() -> None:
    tree = decode_xml(
        b'<s:Body xmlns:s="urn:s"><HoSo xmlns="urn:v"><HocSinh ma="1"><Ten>A</Ten></HocSinh></HoSo></s:Body>'
    )

    assert isinstance(tree, dict)
    assert getter(":HoSo.HocSinh.Ten")(tree, {}) == "A"


def test_an_anchor_alone_is_nothing_and_a_blank_word_stays_blank_beside_attributes() -> None:
    tree = decode_xml(b'<r><a id="1"/><b id="2">-</b><c id="3">8; 7</c></r>')
    assert isinstance(tree, dict)

    assert tree["a"] is None
    assert is_nothing(tree["b"], frozenset({"-"}))
    assert FUNCTIONS["blank"].factory(words=["-"])(tree["b"]) is None
    assert FUNCTIONS["nth"].factory(at=2)(tree["c"]) == "7"
    assert getter("b.@id")(tree, {}) == "2"


@pytest.mark.parametrize("value", [{}, [], {"#text": 3}, {"a": "b"}, Decimal("NaN"), Decimal("1.2E+11"), b"x"])
def test_what_is_deeper_or_damaged_is_no_text(value: object) -> None:
    assert not isinstance(as_text(value), str)
