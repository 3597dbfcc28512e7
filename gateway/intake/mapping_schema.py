"""JSON Schema (draft 7) of the files of a connector, for editors: what `language` reads, with the national fields.

Made from the language's own keys, the register of functions, the code lists and the national schema; a key without a
shape here raises KeyError, so the schema cannot fall behind unseen.  It helps while typing; `check` decides.
"""

import inspect
from collections.abc import Mapping
from typing import Any, Final

from gateway.errors import catalogue
from gateway.intake import check, functions
from gateway.intake.encodings import ENCODINGS
from gateway.intake.language import KEYS, ROW_SECTIONS
from gateway.intake.language_csv import DELIMITERS
from gateway.intake.language_profile import EVIDENCE, FORMATS, LEVELS, ROLES, SIGNATURES
from gateway.intake.registry import Function, first_sentence
from gateway.national.schema import FieldSpec, Level, code_lists

Json = dict[str, Any]

_DRAFT: Final = "http://json-schema.org/draft-07/schema#"
_TEXT: Final[Json] = {"type": "string"}
_WORD: Final[Json] = {"type": ["string", "number", "boolean"]}
"""A scalar: every scalar of the language is read as the text that stands there."""
_WORDS: Final[Json] = {"anyOf": [_WORD, {"type": "array", "items": _WORD}]}
_TEXTS: Final[Json] = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}
_FLAG: Final[Json] = {"type": "boolean"}
_MANY_CODES: Final = 70
_ARGUMENTS: Final[Mapping[str, Json]] = {"int": {"type": "integer"}, "bool": _FLAG, "list[str]": _WORDS}


def connector_schema() -> Json:
    """Of connector.yaml."""
    shapes = _connector_shapes()
    return {
        "$schema": _DRAFT,
        "title": "connector.yaml: who a vendor is and how its messages look",
        **_object({key: shapes[key] for key in KEYS["connector"]}, _CONNECTOR_DUE),
        "allOf": [{"if": {"properties": {"format": {"const": "csv"}}}, "then": {"required": ["csv"]}}],
    }


_CONNECTOR_DUE = ("name", "vendor", "title", "format", "level", "version_epoch", "mapping_version", "schools")


def _connector_shapes() -> dict[str, Json]:
    day = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
    school = _object({"code": _WORD, "from": day, "to": {"anyOf": [day, {"type": "null"}]}}, ("code", "from"))
    count = {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "^[0-9_]+$"}]}
    number = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9_]+$"}]}
    return {
        "name": _said(_TEXT, "The folder's name."),
        "vendor": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]*$", "description": "Names the vendor's topics."},
        "title": _said(_TEXT, "The vendor's product and this export, for people."),
        "format": {"enum": sorted(FORMATS)},
        "level": {"enum": sorted(LEVELS), "description": "primary: TT 27/2020; secondary: TT 22/2021."},
        "batch": _said(
            _TEXT,
            "Where the list of records stands; $: the message is the list; a.*: an object holds them by key.",
        ),
        "version_epoch": _said(count, "Raised when a vendor's versions begin anew (migration): later epochs win."),
        "mapping_version": _said(_WORD, "Raised with every change of a result; records name it."),
        "max_bytes": _said(count, "Of one message; above it GW-01."),
        "max_items": _said(count, "Records of one message; above it GW-01."),
        "max_rows": _said(count, "Rows of one list of a record; above it GW-01."),
        "max_total_rows": _said(count, "Rows of all records of a message together; above it GW-01."),
        "weight": _said(count, "The vendor's share when several wait."),
        "temporary_code": _said(_TEXT, "How a temporary pupil code begins."),
        "programme": {"enum": ["GDPT", "GDTX"]},
        "signatures": {"enum": sorted(SIGNATURES), "description": "What a missing or bad signature means."},
        "signers": {"type": "array", "items": {"enum": sorted(ROLES)}},
        "severities": _object({"DQ-32": {"enum": ["warn", "reject"]}}),
        "schools": {"type": "array", "items": school, "description": "The schools this vendor speaks for."},
        "encoding": {"enum": sorted(ENCODINGS), "description": "Of json and csv."},
        "csv": _csv(),
        "schema_ids": {"type": "object", "additionalProperties": number},
        "evidence": {
            "enum": sorted(EVIDENCE),
            "description": "Of xml. message: its bytes are the evidence of its one record; none: it may hold several.",
        },
        "optional_subjects": {"enum": ["counted", "left_out"]},
    }


def _csv() -> Json:
    named: Json = {"type": "object", "additionalProperties": _TEXTS}
    return _object(
        {
            "delimiter": {"enum": list(DELIMITERS)},
            "quote": {"type": "string", "maxLength": 1},
            "header_rows": {"type": "integer", "minimum": 1},
            "columns": _said(named, "Our name of a column → its heading, or several spellings."),
            "required": _said(_TEXTS, "Columns without which the file is rejected."),
            "key": _said(_TEXT, "A line without it may be a total or a signature."),
            "order": _said(_TEXT, "The column of running numbers."),
            "labels": _said(named, "Cells above the header, read as $.name."),
            "class_row": _object({"column": _TEXT, "prefix": _TEXTS}, ("column", "prefix")),
            "asides": _said(_TEXTS, "Further first words of lines that are no pupil."),
        },
        ("columns", "required", "key"),
    )


def mapping_schema(level: Level) -> Json:
    """Of mappings/*.yaml of a connector of *level*."""
    shapes = _mapping_shapes(level)
    due = {key for key in KEYS["mapping"] if key not in ROW_SECTIONS or key in check.specs(level)}
    return {
        "$schema": _DRAFT,
        "title": f"mappings/*.yaml of a {level} connector: how each national field is made",
        **_object({key: shapes[key] for key in sorted(due)}),
        "definitions": _definitions(),
    }


def _mapping_shapes(level: Level) -> dict[str, Json]:
    specs = check.specs(level)
    shapes: dict[str, Json] = {
        "tables": {"type": "object", "additionalProperties": {"$ref": "#/definitions/table"}},
        "event": _object({name: _rule(f"{kind}.") for name, kind in check.EVENT_FIELDS.items()}),
        "facts": _object({name: _rule("For the rules only; not part of the record.") for name in check.FACTS}),
        "expect": {"type": "array", "items": {"$ref": "#/definitions/expectation"}},
        "ignore": _said({"type": "array", "items": _TEXT}, "Inputs known and not needed: not counted as drift."),
        "evidence": _evidence(),
        "blank": _said({"type": "array", "items": _WORD}, "Words that mean nothing, in any field."),
    }
    for section in ("record", "results"):
        shapes[section] = _object({name: _field(spec, level) for name, spec in specs[section].items()})
    for section in ROW_SECTIONS & specs.keys():
        rules = _object({name: _field(spec, level) for name, spec in specs[section].items()})
        each = {"type": "array", "items": {"type": "object", "additionalProperties": _WORD}}
        condition = {"$ref": "#/definitions/condition"}
        shapes[section] = {
            **_object({"each": each, "path": _TEXT, "when": condition, "rules": rules}, ("rules",)),
            "oneOf": [{"required": ["each"]}, {"required": ["path"]}],
        }
    return shapes


def _evidence() -> Json:
    shape = _object(
        {
            "document": _said(_TEXT, "The path of the signed document in the record."),
            "encoding": {"enum": ["text", "base64"]},
            "sha256": _said(_TEXT, "The path of the hash the vendor states."),
            "compare": _said(
                {"type": "object", "additionalProperties": _TEXT}, "National field → path in the document."
            ),
        },
        ("document",),
    )
    return _said(shape, "Where a record holds its signed document, and what is compared with it.")


def _field(spec: FieldSpec, level: Level) -> Json:
    rule = spec.rule(level)
    said = [f"{spec.official}: {spec.avro_type}" if spec.official else spec.avro_type]
    if rule is not None:
        said += [
            {"yes": "mandatory", "cond": "mandatory unless the note says otherwise", "no": "optional"}[rule.required]
        ]
        said += [f"at most {rule.max_length} characters"] if rule.max_length and spec.avro_type == "string" else []
        said += [rule.codes] if rule.codes else []
    shape = _rule(f"{', '.join(said)}. {spec.doc}".strip())
    codes = check.allowed_codes(spec, level)
    if codes is not None and len(codes) <= _MANY_CODES and spec.name not in check.JUDGED_AS_ONE:
        shape["allOf"].append({"properties": {"default": {"enum": sorted(codes)}}})
    return shape


def _rule(said: str) -> Json:
    return {"description": said, "allOf": [{"$ref": "#/definitions/rule"}]}


def _definitions() -> dict[str, Json]:
    rule = _object({key: shape for key, shape in _RULE_SHAPES.items() if key in KEYS["rule"]})
    missing = set(KEYS["rule"]) - _RULE_SHAPES.keys()
    if missing:
        raise KeyError(*sorted(missing))
    whole = {**rule, "oneOf": [{"required": [one]} for one in ("from", "join", "value")]}
    conditional = {"allOf": [{"$ref": "#/definitions/oneRule"}], "description": "The first whose condition holds."}
    condition = _object({"present": _TEXTS, "from": _TEXTS, "in": _WORDS})
    expectation = _object(
        {"from": _TEXT, "in": _WORDS, "code": {"enum": sorted(filter(check.is_of_input, catalogue()))}, "field": _TEXT},
        ("from", "in", "code", "field"),
    )
    return {
        "oneRule": whole,
        "rule": {"anyOf": [_said(_TEXT, "A path."), whole, {"type": "array", "minItems": 1, "items": conditional}]},
        "condition": {**condition, "oneOf": [{"required": ["present"]}, {"required": ["from", "in"]}]},
        "expectation": expectation,
        "table": _table(),
        "call": {"anyOf": [one for found in functions.FUNCTIONS.values() for one in _call(found)]},
    }


_RULE_SHAPES: Final[Mapping[str, Json]] = {
    "from": {**_TEXTS, "description": "A path, or several: the first that holds something."},
    "join": {**_TEXTS, "description": "Paths whose texts are parts of one, with a space between."},
    "via": {"type": "array", "items": {"$ref": "#/definitions/call"}, "description": "Functions, one after the other."},
    "table": {"type": "string", "description": "A table of this connector."},
    "then": {"type": "array", "items": {"$ref": "#/definitions/call"}, "description": "Functions on the table's code."},
    "value": {**_WORD, "description": "The same for every record."},
    "default": {**_WORD, "description": "The national value where nothing stands."},
    "required": {"type": "boolean", "description": "Mandatory for this vendor although optional nationally."},
    "when": {"$ref": "#/definitions/condition"},
}


def _call(found: Function) -> list[Json]:
    needed = [name for name, one in found.parameters.items() if one.default is inspect.Parameter.empty]
    arguments = {name: _argument(name, one) for name, one in found.parameters.items()}
    said = f"{first_sentence(found)} Gives {found.gives}."
    calls: list[Json] = [] if needed else [{"const": found.name, "description": said}]
    if arguments:
        calls.append({**_object({found.name: _object(arguments, needed)}, (found.name,)), "description": said})
    return calls


def _argument(name: str, parameter: inspect.Parameter) -> Json:
    if name == "list":
        return {"enum": sorted(code_lists())}
    kind = inspect.formatannotation(parameter.annotation)
    return dict(_ARGUMENTS.get(kind, _WORD))


def _table() -> Json:
    shape = _object(
        {
            "official": {"enum": sorted(code_lists())},
            "words": _said({"type": "object", "additionalProperties": _WORDS}, "Official code → the vendor's words."),
            "nothing": _said(_WORDS, "Words that mean nothing here."),
            "unused": _said(_WORDS, "Codes this vendor never sends."),
            "names": _said(_FLAG, "The list's own names and codes count as words, compared without diacritics."),
        },
        ("official",),
    )
    lists = [(name, sorted(codes)) for name, codes in code_lists().items() if len(codes) <= _MANY_CODES]
    shape["allOf"] = [
        {
            "if": {"properties": {"official": {"const": name}}},
            "then": {"properties": {"words": {"propertyNames": {"enum": codes}}}},
        }
        for name, codes in lists
    ]
    return shape


def _object(properties: Mapping[str, Json], required: "tuple[str, ...] | list[str]" = ()) -> Json:
    shape: Json = {"type": "object", "additionalProperties": False, "properties": dict(properties)}
    return shape | ({"required": list(required)} if required else {})


def _said(shape: Json, text: str) -> Json:
    return {**shape, "description": text}
