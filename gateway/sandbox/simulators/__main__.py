"""Start one simulator: ``python -m gateway.sandbox.simulators population --book FILE``.

The first line on stdout is JSON, ``{"ready", "port", "url", "name", "credentials"}``, written when connections are
taken; `credentials` is a file beside the book, made at its first use. The assumptions go to stderr.
"""

import argparse
import sys
from pathlib import Path

import msgspec

from gateway.edges import clock
from gateway.sandbox.simulators import c06, population, registry, sector
from gateway.sandbox.simulators.assumptions import banner
from gateway.sandbox.simulators.book import Book
from gateway.sandbox.simulators.faults import Faults, read_plan
from gateway.sandbox.simulators.serving import Options, Setting, read_credentials, serve

_CREDENTIALS = {
    "c06": c06.CREDENTIALS,
    "registry": registry.CREDENTIALS,
    "sector": sector.CREDENTIALS,
    "population": population.CREDENTIALS,
}


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m gateway.sandbox.simulators", description="Simulated neighbours.")
    parser.add_argument("name", choices=sorted(_CREDENTIALS))
    parser.add_argument("--host", default="127.0.0.1", help="its /admin asks for no credentials: private networks only")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--book", type=Path, required=True, help="the durable book (SQLite), made if missing")
    parser.add_argument("--faults", default="off", help="off, light, heavy or a plan as JSON")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--options", default="{}", help="behaviour as JSON: delays, limits, dedupe, updates")
    parser.add_argument("--data", type=Path, help="registry and c06: JSON lines of pupils")
    parser.add_argument("--until-eof", action="store_true", help="end when stdin closes, so when the starter dies")
    parser.add_argument("--quiet", action="store_true", help="no banner")
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Run the simulator that *argv* asks for until it is told to end."""
    given = _arguments(argv)
    try:
        plan, options = read_plan(given.faults), msgspec.json.decode(given.options, type=Options)
    except msgspec.MsgspecError as error:
        sys.exit(f"simulators: --faults or --options: {error}")
    credentials = given.book.with_suffix(".credentials.json")
    setting = Setting(
        book=Book(given.book, clock.now_ms),
        faults=Faults(plan, given.seed, clock.monotonic_s),
        options=options,
        credentials=read_credentials(credentials, _CREDENTIALS[given.name]),
        now_ms=clock.now_ms,
        monotonic_s=clock.monotonic_s,
    )
    if not given.quiet:
        sys.stderr.write(banner(given.name) + "\n")
        sys.stderr.flush()
    match given.name:
        case "c06":
            app = c06.c06_app(setting, given.data)
        case "registry":
            app = registry.registry_app(setting, given.data)
        case "sector":
            app = sector.sector_app(setting)
        case _:
            app = population.population_app(setting)
    serve(
        app, (given.host, given.port), {"name": given.name, "credentials": str(credentials)}, until_eof=given.until_eof
    )
    setting.book.close()


if __name__ == "__main__":
    main(sys.argv[1:])
