"""Whatever lint accepts, `Connector.process` takes without raising; and what could not be meant is a fault."""

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.edges.connector_files import load_connectors, read_files
from gateway.intake import Connector, ConnectorFaults, Items, Mapped, Outcome, Rejected
from gateway.intake.check import EVENT_FIELDS, FACTS, specs
from gateway.intake.connector import compile_connector
from gateway.intake.functions import FUNCTIONS
from gateway.intake.nodes import Faults, Node
from gateway.national import codec
from gateway.national.schema import FieldSpec, Level
from tests.unit.intake.loaded import CONNECTORS, PLACE, PUBLISHED_MS, codes, json_of, row
from tests.unit.intake.test_language import faults_of, files_with

TEST_KEY = "d"
FLAT, YEAR = "vnedu_flat_thcs", "year_short_primary"
REGISTER = "  register_number: so_dang_bo\n"
TYPE = "type: {from: su_kien, table: event, default: NEW}"
NATIONALITY = "nationality: {from: quoc_tich, via: [upper], default: VN}"
SCHOOL_YEAR = "school_year: {from: nam_hoc, via: [school_year]}"
MARK = 'mark_year: {from: "{key}", via: [secondary_mark]}'
CODE = "{pupil_code: {width: 10, temporary: TAM-}}"
BIRTH_YEAR = "  birth_year: {from: ngay_sinh, via: [{birth_year: {excel: true}}]}\n"
BIRTH_MONTH = "  birth_year_month: {from: ngay_sinh, via: [{birth_month: {excel: true}}]}\n"
R, S, C = "record.yaml", "subjects.yaml", "connector.yaml"


def one(connector: Connector, *, changes: dict[str, Any]) -> Mapped | Rejected:
    outcome = connector.process(json_of({"rows": [row(1) | changes], "ky": "CN"}), PLACE, PUBLISHED_MS)
    assert isinstance(outcome, Items)
    item = outcome.items[0]
    assert isinstance(item, (Mapped, Rejected))
    return item


def with_changes(*changes: tuple[str, str, str]) -> Connector:
    return compile_connector(files_with(FLAT, *changes))


FAULTS: list[tuple[str, str, str, str]] = [
    (R, NATIONALITY, NATIONALITY.replace("VN}", "VNM}"), "default is no nationality (DQ-11)"),
    (R, NATIONALITY, "nationality: {value: vietnam}", "value is no nationality (DQ-11)"),
    (R, "class_name: lop", 'class_name: {value: "12345678901234"}', "value is no class_name (DQ-34)"),
    (R, "full_name: ho_ten", f"full_name: {{from: a, default: {'x' * 200}}}", "default is no full_name (DQ-34)"),
    (R, SCHOOL_YEAR, 'school_year: {value: "abcd"}', "value is no school_year (DQ-27)"),
    (R, SCHOOL_YEAR, 'school_year: {from: nam_hoc, default: "2025"}', "default is no school_year (DQ-27)"),
    (R, "absences_total: nghi_tong", "absences_total: {from: a, default: NaN}", "default is no decimal"),
    (R, "absences_total: nghi_tong", "absences_total: {from: a, default: 1E+999999}", "default is no decimal"),
    (R, "absences_total: nghi_tong", "absences_total: {from: a, default: 400}", "default is no absences_total (DQ-08)"),
    (R, "{from: [thoi_gian_cap_nhat, $.exported_at], via: [instant]}",
     '{from: a, via: [instant], default: "99999999999999999999"}', "default is no instant"),
    (R, "{from: phien_ban, via: [{whole_number: {lowest: 1}}]}",
     '{from: a, via: [whole_number], default: "-3"}', "default is no integer"),
    (R, BIRTH_YEAR, "  birth_year: {value: ab12}\n", "value is no birth_year (DQ-11)"),
    (R, REGISTER, '  register_number: {from: a, default: ""}\n', "default is empty"),
    (R, REGISTER, '  register_number: {value: " "}\n', "value is empty"),
    (S, MARK, "mark_year: {value: abcd}", "value is no mark_year (DQ-11)"),
    (S, MARK, 'mark_year: {from: "{key}", default: "7.55"}', "default is no mark_year (DQ-09)"),
    (R, TYPE, "type: su_kien", "needs a table of event_type"),
    (R, TYPE, "type: {from: su_kien, via: [upper], default: NEW}", "needs a table of event_type"),
    (R, TYPE, "type: {from: su_kien, table: gender, default: NEW}", "needs a table of event_type"),
    (R, TYPE, "type: {from: su_kien, table: event, default: CREATE}", "CREATE is no code of event_type"),
    (R, TYPE, "type: {value: REMOVE}", "REMOVE is no code of event_type"),
    (R, "temporary: TAM-", "temporary: TMP-", "temporary must be TAM-, the temporary_code of connector.yaml"),
    (C, "temporary_code: TAM-", "temporary_code: TMP-", "temporary must be TMP-"),
    (R, CODE, "{pupil_code: {width: 0}}", "width must be 1 to 20"),
    (R, CODE, "{pupil_code: {width: 40}}", "width must be 1 to 20"),
    (R, REGISTER, "  register_number: {from: []}\n", "names no path"),
    (R, REGISTER, "  register_number: {join: []}\n", "names no path"),
    (R, REGISTER, "  register_number: {from: a, when: {present: []}}\n", "names no path"),
    (R, REGISTER, "  register_number: {from: a, when: {from: b, in: []}}\n", "names no word"),
    (R, REGISTER, "  register_number: {from: a, when: {from: x, in: [a], present: y}}\n",
     "either present, or from and in"),
    (R, REGISTER, '  register_number: {value: "1", default: "2"}\n', "default has no use beside value"),
    (R, REGISTER, "  register_number: {from: a, required: true, default: x}\n", "required has no use beside default"),
    (R, REGISTER, '  register_number: "$"\n', "is no path"),
    (R, REGISTER, "  register_number: $a\n", "is no path"),
    (R, REGISTER, "  register_number: ^\n", "is no path"),
    (R, "code: DQ-27", "code: GW-01", "is no finding of a vendor's input"),
    (R, "code: DQ-27", "code: DQ-03", "is no finding of a vendor's input"),
    (R, "code: DQ-27", "code: CF-01", "is no finding of a vendor's input"),
    (R, "ignore: [stt, ghi_chu, ", 'ignore: ["a[b", ', "a[b is no path"),
    (R, "ignore: [stt, ghi_chu, ", 'ignore: ["", ', "an empty path is no path"),
    (R, "ignore: [stt, ghi_chu, ", 'ignore: ["^.a", ', "only rows found by a path have an item above them"),
    (S, '{code: "15", key: toan}', '{code: "19", key: toan}', "code 19 stands twice"),
    (S, '{code: "15", key: toan}', '{code: "15", key: van}', "key van stands twice"),
    (C, "batch: rows", 'batch: "rows..x"', "rows..x is no path"),
    (C, "batch: rows", "batch: $rows", "$rows is no path"),
    (C, "max_bytes: 1_048_576", "max_bytes: 0", "must be 1 or more"),
    (C, "max_items: 500", "max_items: 0", "must be 1 or more"),
    (C, "max_items: 500", "max_items: 500\nmax_total_rows: 0", "must be 1 or more"),
    (C, "version_epoch: 1", "version_epoch: 0", "must be 1 or more"),
    (C, 'mapping_version: "1"', 'mapping_version: ""', "mapping_version: must not be empty"),
    (C, "signatures: ignore", "signatures: ignore\nsigners: [leader]", "signers: have no use with signatures: ignore"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "says"), FAULTS, ids=[f"{new[:50]}" for _, _, new, _ in FAULTS])
def test_what_could_not_be_meant_is_a_fault(file: str, old: str, new: str, says: str) -> None:
    faults = faults_of((file, old, new))

    assert any(says in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("sent", "finding"), [("7.55", "DQ-09"), ("85", "DQ-08"), ("abc", "DQ-11"), ("7,5", None), ("Đạt", None)]
)
def test_a_mark_without_a_function_is_read_as_a_mark_or_refused(sent: str, finding: str | None) -> None:
    plain = one(with_changes((S, MARK, 'mark_year: "{key}"')), changes={"toan": sent})
    usual = one(with_changes(), changes={"toan": sent})

    assert codes(plain) == codes(usual)
    assert (f"{finding}:subjects[15].mark_year" in codes(plain)) == (finding is not None)


@pytest.mark.parametrize(("sent", "finding"), [("7.5", "DQ-09"), ("85", "DQ-08"), ("abc", "DQ-11"), ("8,0", None)])
def test_a_year_end_test_without_a_function_is_read_as_one_or_refused(sent: str, finding: str | None) -> None:
    files = {name: _without_function(text) for name, text in read_files(CONNECTORS, YEAR).items()}
    outcome = compile_connector(files).process(_primary_with(sent), PLACE, PUBLISHED_MS)

    assert isinstance(outcome, Items)
    found = {c for item in outcome.items if isinstance(item, (Mapped, Rejected)) for c in codes(item)}
    tests = {text for text in found if "periodic_test_mark" in text and text[:5] in {"DQ-08", "DQ-09", "DQ-11"}}
    assert {text[:5] for text in tests} == ({finding} if finding else set())


def _without_function(text: str) -> str:
    return text.replace("{from: d, via: [primary_test_mark]}", "d")


@pytest.mark.parametrize(
    ("rule", "sent", "finding"),
    [
        ("birth_year: ngay_sinh", "ab12", "DQ-11:birth_year"),
        ("birth_year: ngay_sinh", "1850", "DQ-14:birth_year"),
        ("birth_year: ngay_sinh", "2014", None),
        ("birth_year_month: ngay_sinh", "5/2014", None),
        ("birth_year_month: ngay_sinh", "2014", "DQ-11:birth_year_month"),
        ("birth_year_month: ngay_sinh", "13/2014", "DQ-14:birth_year_month"),
    ],
)
def test_a_birth_text_of_another_form_is_refused(rule: str, sent: str, finding: str | None) -> None:
    name = rule.partition(":")[0]
    old = BIRTH_YEAR if name == "birth_year" else BIRTH_MONTH
    item = one(with_changes((R, old, f"  {rule}\n")), changes={"ngay_sinh": sent})

    assert [text for text in codes(item) if text.endswith(f":{name}")] == ([finding] if finding else [])


@pytest.mark.parametrize("word", ["HUY BO", "thu hồi", "7"])
def test_an_unknown_event_is_refused_and_never_a_new_record(word: str) -> None:
    item = one(with_changes(), changes={"su_kien": word})

    assert isinstance(item, Rejected)
    assert "DQ-11:event_type" in codes(item)


@pytest.mark.parametrize("nothing", ["không có thông tin gì cả", "chưa rõ"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("sent", ["NFC", "NFD"])
def test_a_blank_word_counts_in_any_length_and_form_on_both_paths(nothing: str, form: Any, sent: Any) -> None:
    quoted = unicodedata.normalize(form, nothing)
    connector = with_changes((R, '"--"]', f'"--", "{quoted}"]'))
    value = unicodedata.normalize(sent, nothing)
    for changes in ({"so_dang_bo": value}, {"so_dang_bo": f" {value} "}, {"so_dang_bo": value, "ho_ten": "AN MẪU"}):
        item = one(connector, changes=changes)
        assert isinstance(item, Mapped)
        assert item.body is not None
        assert item.body["register_number"] is None


def test_the_blank_of_one_column_compares_as_the_mapping_s_blank_words_do() -> None:
    step = FUNCTIONS["blank"].factory(words=[unicodedata.normalize("NFD", "chưa rõ")])

    assert [step(text) for text in ("chưa rõ", unicodedata.normalize("NFD", " chưa  rõ"), "rõ")] == [None, None, "rõ"]


def test_a_file_that_is_no_yaml_does_not_hide_the_faults_of_others() -> None:
    faults = faults_of((S, "subjects:\n", "subjects: [\n"), (R, "table: gender", "table: gendre"),
                       (R, "via: [school_year]", "via: [schol_year]"))  # fmt: skip

    assert any("is not YAML" in fault for fault in faults)
    assert any("did you mean school_year" in fault for fault in faults)
    assert not any("subjects: no rows" in fault for fault in faults), "stands in the file that cannot be read"


def test_a_profile_that_is_no_yaml_does_not_hide_the_faults_of_others() -> None:
    faults = faults_of((C, "vendor: vnedu", "vendor: [vnedu"), (R, "full_name: ho_ten", "full_name: {from: []}"))

    assert any("is not YAML" in fault for fault in faults)
    assert any("names no path" in fault for fault in faults)
    assert not any("is missing" in fault for fault in faults)


def test_a_name_other_than_the_folder_s_does_not_hide_other_faults(tmp_path: Any) -> None:
    for shown, text in files_with(FLAT, (R, "via: [school_year]", "via: [schol_year]")).items():
        place = tmp_path / "other" / shown.split(f"{FLAT}/")[1]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")

    with pytest.raises(ConnectorFaults) as caught:
        load_connectors(tmp_path)
    said = str(caught.value)
    assert "must be the folder's name, other" in said
    assert "did you mean school_year" in said


def test_a_default_counts_where_no_rule_of_a_list_does() -> None:
    rules = "[{from: a, when: {present: a}}, {from: b, default: không, when: {present: b}}]"
    item = one(with_changes((R, REGISTER, f"  register_number: {rules}\n")), changes={})

    assert isinstance(item, Mapped)
    assert item.body is not None
    assert item.body["register_number"] == "không"


# --- any mapping lint accepts, any input ------------------------------------------------------------------------------

PLAUSIBLE = st.sampled_from([
    "", " ", "0", "1", "7", "7.5", "7,5", "10", "85", "-1", "NaN", "Infinity", "1E+99", "M", "Đ", "CĐ", "T", "K",
    "ab12", "2014", "0000", "9999", "5/2014", "2014-13", "01/02/2014", "31/02/2014", "2025-2026", "0001-0002", "abcd",
    "VN", "VNM", "01", "07", "5", "03", "04", "22", "27", "79", "99", "079214900001", "000000000000", "٣٣٣٣", "²",
    "\u0300", "TAM-1", "7999999101", "2026-05-31T00:00:00+07:00", "9999-12-31T23:59:59-23:59", "99999999999999",
    "x" * 151, "6f1d6c1e-0000-4000-8000-0000000000c1", "NEW", "CANCEL", "1.123456789", "999999999.999999999",
])  # fmt: skip
TEXTS = PLAUSIBLE | st.text(max_size=12)
WRITTEN = PLAUSIBLE | st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=12)
"""What stands in a mapping: JSON's escapes of higher letters are none of YAML's."""
VALUES = (
    TEXTS
    | st.integers(-(10**20), 10**20)
    | st.booleans()
    | st.none()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.lists(TEXTS, max_size=2)
    | st.dictionaries(st.sampled_from(["year", "month", "day", "a"]), TEXTS, max_size=3)
)
SIMPLE = sorted(name for name, found in FUNCTIONS.items() if not any(
    parameter.default is parameter.empty for parameter in found.parameters.values()
))  # fmt: skip


@st.composite
def rules(draw: st.DrawFn, spec: FieldSpec) -> dict[str, Any]:
    """A rule for *spec* as YAML would hold it; most are what lint accepts."""
    if draw(st.integers(0, 3)) == 0:
        return {"value": draw(WRITTEN)}
    rule: dict[str, Any] = {"from": f"x_{spec.name}"}
    if spec.where == "event" and spec.name == "type":  # type: ignore[comparison-overlap]
        return rule | {"table": "event", "default": draw(st.sampled_from(["NEW", "UPdate", "CANCEL"]) | WRITTEN)}
    if spec.avro_type == "boolean":
        return rule | {"table": "yes"}
    fitting = [name for name in SIMPLE if FUNCTIONS[name].gives in {spec.avro_type, "same"}]
    if draw(st.booleans()) and fitting:
        rule["via"] = [draw(st.sampled_from(fitting))]
        if rule["via"] == ["number"] and draw(st.booleans()):
            rule["via"] = [{"number": {"decimals": "9"}}]
    if draw(st.integers(0, 3)) == 0:
        rule["default"] = draw(WRITTEN)
    return rule


def _yaml(value: Any) -> str:
    """As JSON, which is YAML too."""
    return json.dumps(value, ensure_ascii=True)


def _replaced(files: Mapping[str, str], section: str, name: str, rule: dict[str, Any]) -> dict[str, str]:
    """*files* with the rule of a field replaced; the mapping files are rewritten as the nodes say."""
    changed = {}
    for shown, text in files.items():
        if shown.endswith("connector.yaml") or not shown.endswith(".yaml"):
            changed[shown] = text
            continue
        tree = _plain(Faults().parse(shown, text))
        holder = tree.get(section)
        if isinstance(holder, dict) and section in {"subjects", "history", "certificates"}:
            holder = holder["rules"]
        if isinstance(holder, dict):
            holder[name] = rule
        changed[shown] = _yaml(tree)
    return changed


def _plain(node: Node) -> Any:
    if isinstance(node.value, dict):
        return {name: _plain(item) for name, item in node.value.items()}
    return [_plain(item) for item in node.value] if isinstance(node.value, list) else node.value


def _fields(level: Level) -> list[tuple[str, FieldSpec]]:
    plain = {"event": EVENT_FIELDS, "facts": FACTS}
    some = next(iter(specs(level)["record"].values()))
    found = [
        (section, replace(some, name=name, avro_type=kind, where=section))  # type: ignore[arg-type]
        for section, kinds in plain.items()
        for name, kind in kinds.items()
    ]
    return found + [(section, spec) for section, fields in specs(level).items() for spec in fields.values()]


def _primary_with(test: str | None = None, extra: Mapping[str, Any] | None = None) -> bytes:
    file = next((CONNECTORS / YEAR / "cases").glob("01*.input.json"))
    tree = json.loads(file.read_bytes())

    def walk(node: Any) -> None:
        if isinstance(node, list):
            for item in node:
                walk(item)
        elif isinstance(node, dict):
            for key, item in list(node.items()):
                if test is not None and key == TEST_KEY:
                    node[key] = test
                else:
                    walk(item)
            node |= extra or {}

    walk(tree)
    return json_of(tree)


BASES: Mapping[Level, str] = {"primary": YEAR, "secondary": FLAT}


def _message(level: Level, inputs: dict[str, Any]) -> bytes:
    if level == "primary":
        return _primary_with(extra=inputs)
    tree = row(1) | inputs
    tree["qua_trinh_hoc_tap"] = [part | inputs for part in tree.get("qua_trinh_hoc_tap") or [{}]]
    return json_of({"rows": [tree], "ky": "CN"})


def _encodes(outcome: Outcome) -> None:
    for item in outcome.items if isinstance(outcome, Items) else ():
        if isinstance(item, Mapped) and item.body is not None:
            codec.encode_body(item.body)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_lint_accepts_never_makes_process_raise(data: st.DataObject) -> None:
    level: Level = data.draw(st.sampled_from(["primary", "secondary"]))
    chosen = data.draw(st.lists(st.sampled_from(_fields(level)), min_size=1, max_size=3, unique_by=lambda f: f[1].name))
    files: Mapping[str, str] = read_files(CONNECTORS, BASES[level])
    for section, spec in chosen:
        files = _replaced(files, section, spec.name, data.draw(rules(spec)))
    try:
        connector = compile_connector(files)
    except ConnectorFaults:
        return
    for _ in range(3):
        inputs = {f"x_{spec.name}": data.draw(VALUES) for _, spec in chosen}
        _encodes(connector.process(_message(level, inputs), PLACE, PUBLISHED_MS))
