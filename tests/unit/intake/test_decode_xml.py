"""XML of any vendor as a tree: namespaces, attributes, lists; what is not the document's own is left out."""

from decimal import Decimal

import pytest

from gateway.intake.decode_xml import decode_xml
from gateway.intake.makers import getter
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
        "DIEM": [{"@MON": "15", "#text": "7,5"}, {"@MON": "19", "#text": "8"}],
        "GHI_CHU": {"@MAU": "x"},
    }


def test_a_text_with_attributes_still_reads_as_text_and_can_be_chosen_by_them() -> None:
    tree = decode_xml(DOCUMENT.encode())
    assert isinstance(tree, dict)

    assert as_text(getter("DIEM[@MON=19]")(tree, {})) == "8"
    assert getter("DIEM[@MON=15].#text")(tree, {}) == "7,5"
    assert getter("HOC_SINH.@MA")(tree, {}) == "2499990501"


@pytest.mark.parametrize("value", [{}, [], {"#text": 3}, {"a": "b"}, Decimal("NaN"), Decimal("1.2E+11"), b"x"])
def test_what_is_deeper_or_damaged_is_no_text(value: object) -> None:
    assert not isinstance(as_text(value), str)
