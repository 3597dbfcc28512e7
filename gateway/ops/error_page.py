"""The page of all reasons, ``docs/errors.md``, made from the catalogue and the table of rules.

``python -m gateway.ops.error_page`` rewrites it; a test fails while it is not up to date.
"""

from collections.abc import Iterable
from pathlib import Path

from gateway.errors import Entry, Rulebook, Variant, catalogue, rulebook

PAGE = Path(__file__).resolve().parents[2] / "docs" / "errors.md"

_GROUPS = {
    "DQ": "Dữ liệu của nhà trường và nhà cung cấp / The data of schools and vendors",
    "ID": "Định danh học sinh / The pupil's identity",
    "CF": "Tranh chấp / Conflicts",
    "TG": "Nơi nhận / Targets",
    "GW": "Cổng / The gateway itself",
}
_SEVERITIES = {
    "reject": "trả lại để sửa / rejected",
    "park": "giữ lại, không mất / parked",
    "warn": "vẫn chuyển, có cảnh báo / delivered with a warning",
}
_OWNERS = {
    "vendor": "nhà cung cấp phần mềm / vendor",
    "school": "nhà trường / school",
    "identity_office": "cơ quan định danh / identity office",
    "target": "nơi nhận / target",
    "operator": "đơn vị vận hành / operator",
    "gateway": "cổng / gateway",
}
_HEAD = """\
# Mã lý do / Reasons

<!-- Made by `python -m gateway.ops.error_page` from gateway/catalogue*.yaml and gateway/rules.yaml: do not edit. -->

Mỗi lý do nêu mã, trường dữ liệu và cách sửa, không bao giờ nêu giá trị.  Một hồ sơ có thể có nhiều lý do; lý do nặng
nhất quyết định: trả lại, giữ lại, cảnh báo.

Every reason names a code, a field and a fix, never a value.  A record may have several; the strongest decides:
rejected, parked, warning.  "Again" says whether the same record may be taken later without being sent anew.
"""


def page() -> str:
    """The whole page."""
    groups = (_group(name, title) for name, title in _GROUPS.items())
    return "\n".join([_HEAD, *groups, _rules(rulebook())])


def _group(prefix: str, title: str) -> str:
    entries = (entry for code, entry in catalogue().items() if code.startswith(prefix))
    return "\n".join([f"## {title}", "", *(line for entry in entries for line in _entry(entry))])


def _entry(entry: Entry) -> Iterable[str]:
    yield f"### {entry.code} {entry.title_vi} / {entry.title_en}"
    yield ""
    yield _weight(entry)
    yield ""
    yield from _texts(entry, "")
    for variant in entry.variants:
        what = f"rule `{variant.rule}`" if variant.rule else f"field {', '.join(map(_field, variant.fields))}"
        changed = [text for text in (_SEVERITIES.get(variant.severity or ""), _OWNERS.get(variant.owner or "")) if text]
        yield f"- {what}{': ' if changed else ''}{'; '.join(changed)}"
        yield from _texts(variant, "  ")
    yield ""


def _field(name: str) -> str:
    return "any" if name == "*" else f"`{name}`"


def _weight(entry: Entry) -> str:
    if entry.silent:
        return "Cổng tự chuẩn hóa, không báo / normalised without being reported"
    if entry.reported_as:
        return f"Được báo bằng mã {entry.reported_as} / told as {entry.reported_as}"
    again = "có / yes" if entry.retryable else "không / no"
    return f"**{_SEVERITIES[entry.severity]}** · {_OWNERS[entry.owner]} · gửi lại được / again: {again}"


def _texts(told: Entry | Variant, indent: str) -> Iterable[str]:
    yield f"{indent}- Cách sửa: {told.fix_vi}"
    yield f"{indent}- Fix: {told.fix_en}"
    yield f"{indent}- Ví dụ: {told.example_vi}"
    yield f"{indent}- Example: {told.example_en}"


def _rules(book: Rulebook) -> str:
    lines = [
        "## Quy tắc của các thông tư / Rules of the circulars",
        "",
        "Hồ sơ của năm học trước thời điểm áp dụng không bị xét theo quy tắc mới.",
        "A record of an earlier year is never judged by a newer rule.",
        "",
        "| thông tư / circular | lớp: từ năm học / grade: from school year |",
        "|---|---|",
    ]
    for circular in book.circulars:
        since = ", ".join(f"{grade}: {year}-{year + 1}" for grade, year in sorted(circular.since.items()))
        lines.append(f"| {circular.name} | {since} |")
    before = ", ".join(f"{one.name} ({'/'.join(one.levels)}: {one.since}-{one.since + 1})" for one in book.earlier)
    lines += ["", f"Trước đó hồ sơ ghi / before, a record states: {before}."]
    lines += ["", "| rule | mã / code | nguồn / source | nội dung / content |", "|---|---|---|---|"]
    lines += [
        f"| {rule.rule} | {rule.code} {rule.severity} | {rule.source} | {rule.title_vi} / {rule.title_en} |"
        for rule in book.rules
    ]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
