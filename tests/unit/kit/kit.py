"""The guide's sample and a connector made of it, for the tests of the kit."""

import re
from pathlib import Path

from typer.testing import CliRunner, Result

from gateway.ops.connector_commands import app
from tests.unit.intake.loaded import ROOT

GUIDE = ROOT / "docs" / "onboard-a-vendor.md"
RUN = CliRunner()


def guide_sample() -> str:
    """The JSON of the guide's first step."""
    match = re.search(r"^```json sample.json\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert match is not None
    return match[1]


def made(folder: Path, text: str, ending: str = "json", *more: str) -> Result:
    """``hocba connector new probe`` from *text*, in *folder*."""
    sample = folder / f"sample.{ending}"
    sample.write_text(text, encoding="utf-8")
    return RUN.invoke(app, ["new", "probe", "--from", str(sample), "--path", str(folder / "connectors"), *more])
