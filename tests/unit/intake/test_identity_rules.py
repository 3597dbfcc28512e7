"""What the form of a citizen ID says without asking anyone."""

import pytest

from gateway.intake import Mapped
from tests.unit.intake.loaded import codes, mapped, row, secondary

OWN = secondary().citizen_id


@pytest.mark.parametrize(
    ("claimed", "found", "usable", "candidate"),
    [
        (OWN, [], OWN, None),
        (f" {OWN[:3]} {OWN[3:6]} {OWN[6:]}", [], OWN, None),
        (None, ["DQ-18:citizen_id"], None, None),
        ("-", ["DQ-18:citizen_id"], None, None),
        (int(OWN), ["DQ-19:citizen_id"], None, OWN),
        (OWN.lstrip("0"), ["DQ-19:citizen_id"], None, OWN),
        ("024999912", ["DQ-18:citizen_id", "DQ-20:citizen_id"], None, None),
        ("000000000000", ["DQ-22:citizen_id"], None, None),
        ("012345678901", ["DQ-22:citizen_id"], None, None),
        ("987654321098", ["DQ-22:citizen_id"], None, None),
        ("X0000000", ["DQ-18:citizen_id"], None, None),
        ("1234", ["DQ-18:citizen_id"], None, None),
    ],
)
def test_a_claimed_id_is_usable_a_candidate_or_missing(
    claimed: object, found: list[str], usable: str | None, candidate: str | None
) -> None:
    item = mapped(row(so_dinh_danh_ca_nhan=claimed))

    assert sorted(codes(item)) == found
    assert item.claim is not None
    assert (item.claim.citizen_id, item.claim.citizen_id_candidate) == (usable, candidate)
    assert item.body is not None
    assert item.body["citizen_id"] == usable


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"so_dinh_danh_ca_nhan": "999" + OWN[3:]}, ["DQ-21:citizen_id"]),
        ({"gioi_tinh": "Nữ" if secondary().gender == "1" else "Nam"}, ["DQ-21:gender"]),
        ({"ngay_sinh": "2005"}, ["DQ-21:birth_date"]),
        ({"ngay_sinh": f"05/{secondary().birth_date.year}"}, []),
        ({"so_dinh_danh_hieu_truong": "12"}, ["DQ-21:school_leader_citizen_id"]),
        ({"toan_gv_so_dinh_danh": "12"}, ["DQ-21:subjects[15].subject_teacher_citizen_id"]),
        ({"ho_ten": "LE VAN MAU AN"}, ["DQ-04:full_name"]),
        ({"ho_ten": "LÊ VĂN MẪU AN"}, ["DQ-04:full_name"]),
        ({"ho_ten": "Y Mẫu K’Bôr Niê"}, []),
    ],
)
def test_a_doubt_only_warns(changes: dict[str, object], found: list[str]) -> None:
    item = mapped(row(**changes))

    assert isinstance(item, Mapped)
    assert item.holds == ()
    assert codes(item) == found


@pytest.mark.parametrize(
    ("written", "birth"),
    [
        ("5/3/2012", "2012-03-05"),
        ("05-03-2012", "2012-03-05"),
        ("2012-03-05", "2012-03-05"),
        (40973, "2012-03-05"),
        ("2012-03-00", "2012-03"),
        ("03/2012", "2012-03"),
        ("2012", "2012"),
    ],
)
def test_a_birth_date_is_kept_as_precise_as_it_is_known(written: object, birth: str) -> None:
    claim = mapped(row(ngay_sinh=written)).claim

    assert claim is not None
    assert claim.birth == birth
