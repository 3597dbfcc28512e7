"""``hocba keys``: the file of keys is made, rotated, and the ledger sealed anew.  No command prints a key."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from gateway.edges.keys import load_keys, new_keys, rotate_keys
from gateway.edges.operator_ledger import opened
from gateway.edges.reseal import by_key, reseal
from gateway.errors import GatewayError
from gateway.ops.format import print_json
from gateway.ops.setup_commands import ConfigOption, JsonOption, read_config

app = typer.Typer(no_args_is_help=True, help="The keys: made, rotated, and the ledger sealed anew.")


@app.command("new")
def keys_new(
    path: Annotated[Path, typer.Argument(help="The file to make; mode 0600.")],
    if_missing: Annotated[bool, typer.Option("--if-missing", help="Leave an existing file as it is.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make fresh lane-token and ledger keys.  The lane-token key is never rotated: back the file up."""
    try:
        new_keys(path)
    except FileExistsError as error:
        if if_missing:
            _tell_keys(path, made=False, as_json=as_json)
            return
        message = f"{path} exists and is never overwritten: without its keys the ledger cannot be read"
        raise GatewayError(message) from error
    _tell_keys(path, made=True, as_json=as_json)


def _tell_keys(path: Path, *, made: bool, as_json: bool) -> None:
    """Where the keys lie, never what they are."""
    if as_json:
        print_json({"keys_file": str(path), "made": made})
    elif made:
        typer.echo(f"{path} made; keep a copy in a safe place", err=True)


@app.command("rotate")
def keys_rotate(
    path: Annotated[Path, typer.Argument(help="The file that hocba keys new made.")], *, as_json: JsonOption = False
) -> None:
    """Add a fresh ledger key and seal with it from the workers' next start on; what older keys sealed stays readable.

    The lane-token key stays: it names every pupil's slot.  Keep a copy of the file, then restart the workers.
    """
    name = rotate_keys(path)
    if as_json:
        print_json({"keys_file": str(path), "current": name})
    else:
        typer.echo(f"{path}: {name} is the current key; restart the workers", err=True)


@app.command("reseal")
def keys_reseal(config: ConfigOption = Path("gateway.yaml"), *, as_json: JsonOption = False) -> None:
    """Seal everything in the ledger under the current key, and show which keys are in use: others may be taken out.

    Run it after every worker was restarted with the rotated keys; until then some still seal with the old one.
    """
    settings = read_config(config)
    keys = load_keys(Path(settings.keys_file))

    async def done() -> tuple[int, dict[str, dict[str, int]]]:
        async with opened(settings.ledger.url) as pool:
            return await reseal(pool, keys), await by_key(pool)

    resealed, used = asyncio.run(done())
    if as_json:
        print_json({"resealed": resealed, "current": keys.current, "used": used})
    else:
        typer.echo(f"{resealed} values sealed anew; keys in use: {', '.join(sorted(used)) or 'none'}")
