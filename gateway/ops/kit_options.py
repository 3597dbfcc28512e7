"""Options that the connector commands share."""

from pathlib import Path
from typing import Annotated

import typer

PathOption = Annotated[Path, typer.Option("--path", help="The folder of the connectors.")]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]
OneName = Annotated[str, typer.Argument(help="The connector.", metavar="NAME")]

DEFAULT_PATH = Path("connectors")
