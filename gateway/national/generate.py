"""Write `schemas/avro/*.avsc` from the dictionary: `python -m gateway.national.generate`.

Running it changes nothing unless the dictionary or the envelope changed; a test compares. Released copies are
written by hand-over (`--release`), only for schemas that have no copy of their version yet.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from gateway.national import dictionary, envelope

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"


def generated(dictionary_csv: Path = SCHEMAS / "reference" / "dictionary.csv") -> dict[str, str]:
    """File name → text of the three schemas."""
    body = dictionary.body_type(dictionary.read_rows(dictionary_csv))
    schemas = {
        "mapped-record.avsc": envelope.mapped_type(body),
        "learning-record.avsc": envelope.record_type(body),
        "receipt.avsc": envelope.receipt_type(),
    }
    return {name: json.dumps(schema, ensure_ascii=False, indent=2) + "\n" for name, schema in schemas.items()}


def released(texts: dict[str, str], ids: dict[str, dict[str, object]]) -> dict[str, str]:
    """Released file name → text, for the version that `ids.json` calls current."""
    current = {str(entry["file"]): int(str(entry["version"])) for entry in ids.values() if entry["current"]}
    return {name.replace(".avsc", f".v{current[name]}.avsc"): text for name, text in texts.items()}


def main(arguments: list[str]) -> int:
    """Write the schemas; with `--release` also the released copies that do not exist yet."""
    texts = generated()
    for name, text in texts.items():
        (SCHEMAS / "avro" / name).write_text(text, encoding="utf-8")
    if "--release" in arguments:
        ids = json.loads((SCHEMAS / "avro" / "ids.json").read_text(encoding="utf-8"))
        for name, text in released(texts, ids).items():
            copy = SCHEMAS / "avro" / "released" / name
            if not copy.exists():
                copy.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
