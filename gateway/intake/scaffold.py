"""A connector's first files, guessed from one sample payload: what is found is mapped, what is not is marked TODO.

Nothing here is certain and nothing is hidden: a rule whose name is only near says so, a constant that was assumed says
so, and every mandatory output without an input is listed with the inputs that come nearest.  `lint` counts the rest.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from gateway.intake import check
from gateway.intake.functions import FUNCTIONS
from gateway.intake.scaffold_match import FITS, Match, candidates, matches
from gateway.intake.scaffold_sample import Leaf, Sample
from gateway.intake.scaffold_subjects import Columns, RowList, columns, row_list
from gateway.intake.scaffold_tables import tables_text
from gateway.intake.scaffold_words import NAMES
from gateway.national.schema import FieldSpec, Level

SCHEMA_LINE: Final = "# yaml-language-server: $schema=../../schemas/connector/connector.schema.json\n"
MAPPING_LINE: Final = "# yaml-language-server: $schema=../../../schemas/connector/mapping-{level}.schema.json\n"
_PLAIN = re.compile(r"[A-Za-z_$][A-Za-z0-9_.$-]*")
_YAML_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
_BIRTH = {"birth_date": "birth_day", "birth_year_month": "birth_month", "birth_year": "birth_year"}
_TIMES = {"created_date": "occurred_at", "occurred_at": "created_date"}
"""Where one of the two is not in the sample, the other is a beginning."""
_FUNCTIONS: Mapping[str, str] = {
    "pupil_code": "[{pupil_code: {width: %d, temporary: TAM-}}]",
    "citizen_id": "[identity_number]",
    "grade_code": "[grade]",
    "circular": "[circular]",
    "transcript_id": "[uuid]",
    "school_year": "[school_year]",
    "nationality": "[upper]",
    "created_date": "[day_of]",
    "issue_date": "[day_of]",
    "version": "[{whole_number: {lowest: 1}}]",
    "occurred_at": "[instant]",
    "mark_term1": "[secondary_mark]",
    "mark_term2": "[secondary_mark]",
    "mark_year": "[secondary_mark]",
    "mark_retest": "[secondary_mark]",
    "periodic_test_mark": "[primary_test_mark]",
}
_TABLES: Mapping[str, str] = {
    "gender": "gender",
    "ethnic_group": "ethnic",
    "type": "event",
    "overall_result": "overall",
}
_CODES: Mapping[str, str] = {"T|K|Đ|CĐ": "level", "T|Đ|C": "trait", "T|H|C|M": "subject_level"}
_MOMENTS = {"occurred_at": "instant", "created_date": "day_of", "issue_date": "day_of"}
_SERIAL = re.compile(r"[34]\d{4}")
_SERIAL_TIME = re.compile(r"[34]\d{4}(?:[.,]\d+)?")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the person at the keyboard says."""

    name: str
    vendor: str
    level: Level | None = None


@dataclass(frozen=True, slots=True)
class Scaffold:
    """The files of a new connector (path below its folder → text), and what is left for a person."""

    files: Mapping[str, str]
    level: Level
    todo: tuple[str, ...]
    assumed: tuple[str, ...]
    unused: tuple[str, ...]


def scaffold(sample: Sample, wanted: Wanted) -> Scaffold:
    """The first files for *sample*."""
    return _Scaffolder(sample, wanted).run()


class _Scaffolder:
    def __init__(self, sample: Sample, wanted: Wanted) -> None:
        self.sample, self.wanted = sample, wanted
        self.level: Level = wanted.level or _level(sample)
        self.specs = check.specs(self.level)
        self.listed = self._subject_list()
        self.todo: list[str] = []
        self.assumed: list[str] = []
        self.tables: dict[str, list[str]] = {}
        """Table → the sample's words for it."""
        default = "achievement_level" if self.level == "primary" else "mark_year"
        self.rows = row_list(sample, self.listed, list(self.specs["subjects"]))
        self.columns = None if self.rows else columns(sample.leaves, self.listed, default)
        used = self.columns.used if self.columns else frozenset()
        self.leaves = [leaf for leaf in sample.leaves if leaf.path not in used]
        self.found = matches(self._names(), self.leaves)

    def _names(self) -> dict[str, tuple[str, ...]]:
        """Field → its known names, the dictionary's among them; keys carry their section."""
        sections = {"record": "record", "results": self.level, "event": "event", "facts": "facts"}
        names: dict[str, tuple[str, ...]] = {}
        for section, words in sections.items():
            if section == "facts" and self.level == "primary":
                continue
            for name, known in NAMES[words].items():
                spec = self.specs.get(section, {}).get(name)
                if spec is not None or section in {"event", "facts"}:
                    names[name] = (*known, spec.official) if spec else known
        return names

    def _subject_list(self) -> str:
        if self.level == "primary":
            return "subject_primary"
        grades = _grades(self.sample)
        return "subject_thpt" if grades and 2 * sum(grade >= 10 for grade in grades) > len(grades) else "subject_thcs"

    def run(self) -> Scaffold:
        record = self._section("event") + self._section("record") + self._section("results")
        record += self._section("facts") if self.level == "secondary" else ""
        subjects, history = self._subjects(), self._history()
        line = MAPPING_LINE.format(level=self.level)
        unused = tuple(self._unused())
        notes = "".join(f"#   {path}\n" for path in unused)
        tables = tables_text(self.tables, self._subject_words(), self.listed, self.todo)
        notes = f"\n# Inputs no rule reads; name those that are not needed under ignore:\n{notes}" if unused else ""
        files = {
            "connector.yaml": self._profile(),
            "mappings/record.yaml": f"{line}# Guessed from the sample: read every line.\n{record}{notes}",
            "mappings/subjects.yaml": f"{line}{subjects}{history}",
            "mappings/tables.yaml": f"{line}{tables}",
            "CHANGELOG.md": "# Changelog\n\n## 1\n\n- First mapping, made from a sample by `hocba connector new`.\n",
        }
        return Scaffold(files, self.level, tuple(self.todo), tuple(self.assumed), unused)

    def _subject_words(self) -> RowList | None:
        return self.rows if self.rows and self.rows.words else None

    def _unused(self) -> Iterator[str]:
        used = {match.leaf.path for match in self.found.values()}
        yield from (leaf.path for leaf in self.leaves if leaf.path not in used)
        mapped = {self.rows.path if self.rows else "", self._history_path() or ""}
        yield from (path for path in self.sample.lists if path not in mapped)

    # ------------------------------------------------------------ connector.yaml

    def _profile(self) -> str:
        sample, match = self.sample, self.found.get("school_code")
        codes = match.leaf.values if match else ()
        schools = "".join(f"  - {{code: {_quoted(code)}, from: 2020-07-01}}\n" for code in codes)
        if not codes:
            self.todo.append("schools: list the codes of the schools this vendor speaks for in connector.yaml")
        batch = f"batch: {_text(sample.batch)}\n" if sample.batch else ""
        batch += self._evidence()
        avro = "# TODO put the writer's schema into schemas/*.avsc\n" if sample.format == "avro" else ""
        return (
            f"{SCHEMA_LINE}name: {self.wanted.name}\nvendor: {self.wanted.vendor}\n"
            f"title: {self.wanted.name}  # TODO the vendor's product and this export, for people\n"
            f"format: {sample.format}\n{avro}{self._csv()}level: {self.level}\n{batch}"
            'version_epoch: 1\nmapping_version: "1"\n'
            "# The schools this vendor speaks for, each since when; those of the sample are a beginning.\n"
            f"schools:{'' if codes else ' []  # TODO'}\n{schools}"
        )

    def _evidence(self) -> str:
        """XML is evidence of one record, or holds several: which of the two is for a person to say."""
        if self.sample.format != "xml":
            return ""
        if self.sample.several:
            self.assumed.append("evidence: none, for the sample holds several pupils; signed XML holds one a message")
            return "evidence: none  # assumed: several pupils a message, so its bytes are kept for none of them\n"
        self.assumed.append("evidence: message: one pupil a message; say none where a message holds a class")
        return "evidence: message  # assumed: one pupil a message; none: a message may hold a class\n"

    def _csv(self) -> str:
        layout = self.sample.layout
        if layout is None:
            return _encoding(self.sample) if self.sample.encoding != "utf-8" else ""
        lines = "".join(f"    {name}: {_quoted(texts[0])}\n" for name, texts in layout.columns.items())
        labels = "".join(f"    {name}: {_quoted(texts[0])}\n" for name, texts in layout.labels.items())
        rows = f"  header_rows: {layout.header_rows}\n" if layout.header_rows > 1 else ""
        order = f"  order: {layout.order}\n" if layout.order else ""
        return (
            f"{_encoding(self.sample)}csv:\n  delimiter: {_quoted(layout.delimiter)}\n{rows}  columns:\n{lines}"
            f"  required: [{', '.join(layout.required)}]\n  key: {layout.key}\n{order}"
            + (f"  labels:\n{labels}" if labels else "")
        )

    # ------------------------------------------------------------ sections of single fields

    def _section(self, section: str) -> str:
        if section == "event":
            fields: Mapping[str, FieldSpec | None] = dict.fromkeys(check.EVENT_FIELDS)
        elif section == "facts":
            fields = dict.fromkeys(check.FACTS)
        else:
            fields = dict(self.specs[section])
        lines = [line for name, spec in fields.items() if (line := self._field(name, spec))]
        if not lines:
            return ""
        mark = "" if any(line[0] != "#" for line in lines) else "# "  # a section of remarks alone is no mapping
        return f"\n{mark}{section}:\n" + "".join(f"  {line}\n" for line in lines)

    def _field(self, name: str, spec: FieldSpec | None) -> str:
        source = "birth_date" if name in _BIRTH else name
        match = self.found.get(source)
        if match is not None:
            return self._mapped(name, spec, match)
        if name in _TIMES and (other := self.found.get(_TIMES[name])) is not None:
            self.assumed.append(f"{name} from {other.leaf.path}, like {_TIMES[name]}")
            via = self._functions(name, other.leaf)
            return f"{name}: {{from: {_text(other.leaf.path)}, via: {via}}}  # assumed: check it"
        if name == "grade_code" and (named := self.found.get("class_name")) is not None and _begin_with_grades(named):
            self.assumed.append(f"grade_code from {named.leaf.path}: the grade a class name begins with")
            return f"grade_code: {{from: {_text(named.leaf.path)}, via: [grade_of_class]}}  # assumed: check it"
        if (constant := self._constant(name)) is not None:
            self.assumed.append(f"{name}: {constant}")
            return f"{name}: {{value: {_quoted(constant)}}}  # assumed: no input looks like it"
        return self._missing(name, spec)

    def _missing(self, name: str, spec: FieldSpec | None) -> str:
        if name == "occurred_at" and "version" in self.found:
            return ""
        rule = spec.rule(self.level) if spec else None
        due = (rule is not None and rule.required != "no" and name != "transcript_id") or name == "citizen_id"
        if name in {"version", "type"} or not (due or name == "occurred_at"):
            return "type: {value: NEW}  # assumed: no input says what kind of event it is" if name == "type" else ""
        if name in _BIRTH and name != "birth_date":
            return ""
        used = {match.leaf.path for match in self.found.values()}
        free = [leaf for leaf in self.leaves if leaf.path not in used]
        near = candidates(name, (*self._names().get(name, ()), *((spec.official,) if spec else ())), free)
        said = f"; nearest inputs: {', '.join(near)}" if near else "; nothing in the sample looks like it"
        meaning = f" ({spec.official})" if spec else " (the time of the business change, or map event.version)"
        meaning += "; may stay without, then every pupil is looked up" if name == "citizen_id" else ""
        self.todo.append(f"{name}{meaning}{said}")
        return f"# TODO {name}:{meaning}{said}"

    def _constant(self, name: str) -> str | None:
        level = {"primary": "02"}.get(self.level, "04" if self.listed == "subject_thpt" else "03")
        return {
            "record_status": "1",
            "is_extract_from_paper": "0",
            "record_template_version": "1.0",
            "circular": "27" if self.level == "primary" else "22",
            "education_level": level,
            "disability_not_assessed": "0",
            "nationality": "VN",
        }.get(name)

    def _mapped(self, name: str, spec: FieldSpec | None, match: Match) -> str:
        via, table = self._functions(name, match.leaf), self._table(name, spec, match.leaf)
        parts = [f"from: {_text(match.leaf.path)}"]
        parts += [f"via: {via}"] if via else []
        parts += [f"table: {table}"] if table else []
        parts += (
            ['default: "0"'] if spec is not None and name.startswith("absences_") and name != "absences_total" else []
        )
        note = "" if match.sure else "  # a guess: check it"
        if not match.sure:
            self.assumed.append(f"{name} from {match.leaf.path}: a guess by name")
        return f"{name}: {_text(match.leaf.path) if len(parts) == 1 else '{' + ', '.join(parts) + '}'}{note}"

    def _functions(self, name: str, leaf: Leaf) -> str:
        if name in _BIRTH:
            serial = any(_SERIAL.fullmatch(value) for value in leaf.values)
            return f"[{{{_BIRTH[name]}: {{excel: true}}}}]" if serial else f"[{_BIRTH[name]}]"
        if name == "pupil_code":
            widths = sorted({len(value) for value in leaf.values if value.isdigit()})
            return _FUNCTIONS[name] % (widths[-1] if widths else 10)
        if name.endswith("province_code"):
            return "[province_code]"
        if name.endswith("_citizen_id"):
            return "[identity_number]"
        if name in _MOMENTS and any(_SERIAL_TIME.fullmatch(value) for value in leaf.values):
            return f"[{{{_MOMENTS[name]}: {{excel: true}}}}]"
        return _FUNCTIONS.get(name, "")

    def _table(self, name: str, spec: FieldSpec | None, leaf: Leaf) -> str:
        rule = spec.rule(self.level) if spec else None
        table = _TABLES.get(name) or _CODES.get(rule.codes if rule else "") or ""
        if spec is not None and spec.avro_type == "boolean":
            table = "yes"
        if table:
            words = self.tables.setdefault(table, [])
            words += [value for value in leaf.values if value not in words]
        return table

    # ------------------------------------------------------------ rows

    def _subjects(self) -> str:
        if self.rows:
            return self._subject_rows(self.rows)
        if self.columns:
            return self._subject_columns(self.columns)
        self.todo.append("subjects: no list of subjects and no columns named by subject were recognised")
        return (
            "# TODO subjects: how does the vendor send them?  A list: path and rules; columns: each, when and rules.\n"
            "# See docs/mapping-language.md, Rows.\n"
        )

    def _subject_rows(self, rows: RowList) -> str:
        lines = [f"\nsubjects:\n  path: {_text(rows.path)}\n  rules:\n"]
        for name, spec in self.specs["subjects"].items():
            match = rows.fields.get(name)
            if name == "subject_code" and match is None:
                match = rows.fields["subject_name"]
            if name == "subject_code" and match is not None and rows.words:
                lines.append(f"    subject_code: {{from: {_text(match.leaf.path)}, table: subject}}\n")
            elif name == "subject_name" and match is None:
                code = _text(rows.fields["subject_code"].leaf.path)
                call = f"[{{subject_name: {{list: {self.listed}}}}}]"
                step = f"table: subject, then: {call}" if rows.words else f"via: {call}"
                lines.append(f"    subject_name: {{from: {code}, {step}}}\n")
            elif match is not None:
                lines.append(f"    {self._mapped(name, spec, match)}\n")
            elif missing := self._missing_row(name, spec, rows):
                lines.append(f"    {missing}\n")
        return "".join(lines)

    def _missing_row(self, name: str, spec: FieldSpec, rows: RowList) -> str:
        rule = spec.rule(self.level)
        if rule is None or rule.required != "yes":
            return ""
        near = candidates(name, NAMES["subjects"].get(name, ()), self.sample.lists[rows.path])
        said = f"; nearest inputs: {', '.join(near)}" if near else "; nothing in the rows looks like it"
        self.todo.append(f"subjects.{name} ({spec.official}){said}")
        return f"# TODO {name}: ({spec.official}){said}"

    def _subject_columns(self, found: Columns) -> str:
        each = "".join(f"    - {{code: {_quoted(code)}, key: {_text(key)}}}\n" for code, key in found.each)
        marks = ", ".join(_quoted(path) for name, path in found.paths.items() if name in _MARKS)
        lines = [f"\nsubjects:\n  each:\n{each}  when: {{present: [{marks}]}}\n  rules:\n"]
        lines.append('    subject_code: {value: "{code}"}\n')
        lines.append(f'    subject_name: {{value: "{{code}}", via: [{{subject_name: {{list: {self.listed}}}}}]}}\n')
        for name, spec in self.specs["subjects"].items():
            path = found.paths.get(name)
            if path is not None:
                leaf = Leaf(path, ())
                table, via = self._table(name, spec, leaf), self._functions(name, leaf)
                step = f", table: {table}" if table else f", via: {via}" if via else ""
                lines.append(f"    {name}: {{from: {_quoted(path)}{step}}}\n")
            elif name not in {"subject_code", "subject_name"}:
                rule = spec.rule(self.level)
                if rule is not None and rule.required == "yes":
                    self.todo.append(f"subjects.{name} ({spec.official}); no column of a subject looks like it")
                    lines.append(f"    # TODO {name}: ({spec.official}); no column of a subject looks like it\n")
        return "".join(lines)

    def _history_path(self) -> str | None:
        for path, leaves in self.sample.lists.items():
            found = matches(NAMES["history"], leaves)
            if {"school_year", "school_name"} <= found.keys():
                return path
        return None

    def _history(self) -> str:
        path = self._history_path()
        if path is None:
            return ""
        found = matches(NAMES["history"], self.sample.lists[path])
        lines = [f"\nhistory:\n  path: {_text(path)}\n  rules:\n"]
        lines += [
            f"    {self._mapped(name, spec, found[name])}\n"
            if name in found
            else f"    # TODO {name}: ({spec.official})\n"
            for name, spec in self.specs["history"].items()
            if name in found or name != "transfer_in_date"
        ]
        self.todo += [
            f"history.{name} ({spec.official})"
            for name, spec in self.specs["history"].items()
            if name not in found and name != "transfer_in_date"
        ]
        return "".join(lines)


def _encoding(sample: Sample) -> str:
    if sample.format not in {"json", "csv"}:  # the others say their own
        return ""
    said = "as the sample is" if sample.encoding == "utf-8" else "found in the sample"
    return f"encoding: {sample.encoding}  # {said}\n"


_MARKS = frozenset({"mark_term1", "mark_term2", "mark_year", "achievement_level", "periodic_test_mark"})


def _begin_with_grades(match: Match) -> bool:
    read = FUNCTIONS["grade_of_class"].factory()
    return bool(match.leaf.values) and all(isinstance(read(value), str) for value in match.leaf.values)


def _grades(sample: Sample) -> list[int]:
    found = matches({"grade_code": NAMES["record"]["grade_code"]}, sample.leaves).get("grade_code")
    values = found.leaf.values if found else ()
    numbers = [int(match[0]) for value in values if FITS["grade_code"](value) and (match := re.search(r"\d+", value))]
    return [number for number in numbers if 1 <= number <= 12]


def _level(sample: Sample) -> Level:
    """By the grades; without them by whether marks of terms are named."""
    grades = _grades(sample)
    if grades:
        return "primary" if max(grades) <= 5 else "secondary"
    names = {**NAMES["primary"]}
    return (
        "primary"
        if len(matches(names, sample.leaves)) > len(matches(NAMES["secondary"], sample.leaves))
        else "secondary"
    )


def _text(value: str) -> str:
    return value if _PLAIN.fullmatch(value) and value.casefold() not in _YAML_WORDS else _quoted(value)


def _quoted(value: str) -> str:
    """A JSON string is a YAML string too."""
    return msgspec.json.encode(value).decode()
