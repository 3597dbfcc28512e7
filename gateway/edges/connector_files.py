"""Reads connectors from their folders and compiles them; every fault of every folder is collected before raising.

A folder is a connector when it has a ``connector.yaml``.  Files shown in faults are named from the folder's parent,
so that a line can be opened in an editor.
"""

from collections.abc import Collection
from pathlib import Path

from gateway.config import Fault
from gateway.intake.connector import Connector, compile_connector
from gateway.intake.language import SCHEMA_ENDING, ConnectorFaults, read_definition
from gateway.intake.nodes import candidates
from gateway.intake.reference import NO_TABLES, Reference
from gateway.intake.reference_tables import read_reference

REFERENCE = "reference"
"""The folder beside the connectors that holds the installation's dated tables; no connector, for it has no yaml."""


def connector_names(path: Path) -> list[str]:
    """The folders below *path* that are connectors."""
    return sorted(file.parent.name for file in path.glob("*/connector.yaml"))


def read_files(path: Path, name: str) -> dict[str, str]:
    """Shown name → text of the files of connector *name*: connector.yaml, its mappings, its Avro schemas.

    Raises ConnectorFaults with every file that cannot be read.
    """
    folder = path / name
    files = [
        folder / "connector.yaml",
        *sorted((folder / "mappings").glob("*.yaml")),
        *sorted((folder / "schemas").glob(f"*{SCHEMA_ENDING}")),
    ]
    texts, faults = {}, []
    for file in files:
        found = _text(file)
        if isinstance(found, Fault):
            faults.append(found)
        else:
            texts[str(file)] = found
    if faults:
        raise ConnectorFaults(faults)
    return texts


def _text(file: Path) -> str | Fault:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = file.read_bytes()[: error.start].count(b"\n") + 1
        return Fault(str(file), line, "", "is not UTF-8 (save it as UTF-8 in the editor)")
    except OSError as error:
        return Fault(str(file), 0, "", f"cannot be read: {error.strerror}")


def load_connectors(path: Path, names: Collection[str] | None = None) -> dict[str, Connector]:
    """Name → compiled connector of the folders *names* below *path* (None or none named: all of them).

    Raises ConnectorFaults with all faults of all folders: reading, static check, and two connectors on one topic.
    """
    known = connector_names(path)
    faults: list[Fault] = []
    found: dict[str, Connector] = {}
    tables = NO_TABLES
    try:
        tables = load_reference(path / REFERENCE)
    except ConnectorFaults as error:
        faults += error.faults
    for name in names or known:
        if name not in known:
            faults.append(Fault(str(path), 0, name, f"no such connector{candidates(name, known)}"))
            continue
        try:
            found[name] = _load(path, name, tables)
        except ConnectorFaults as error:
            faults += error.faults
    faults += _shared_topics(path, found)
    if not known:
        faults.append(Fault(str(path), 0, "", "holds no connector (a folder with a connector.yaml)"))
    if faults:
        raise ConnectorFaults(faults)
    return found


def load_reference(folder: Path) -> Reference:
    """The dated tables of an installation in *folder*, those that are there; raises ConnectorFaults with all faults."""
    files: dict[str, str] = {}
    for file in sorted(folder.glob("*.csv")):
        found = _text(file)
        if isinstance(found, Fault):
            raise ConnectorFaults([found])
        files[str(file)] = found
    return read_reference(files)


def _load(path: Path, name: str, tables: Reference) -> Connector:
    shown = str(path / name / "connector.yaml")
    files, faults = read_files(path, name), []
    connector: Connector | None = None
    try:
        connector = compile_connector(files, tables)
    except ConnectorFaults as error:
        faults += error.faults
    stated = read_definition(files).profile.name if connector is None else connector.name
    if stated not in {"", name}:
        faults.append(Fault(shown, 1, "name", f"must be the folder's name, {name}"))
    if connector is None or faults:
        raise ConnectorFaults(faults)
    return connector


def _shared_topics(path: Path, found: dict[str, Connector]) -> list[Fault]:
    """One topic, one connector: otherwise nobody could say which mapping a message is read by."""
    owners: dict[str, str] = {}
    faults = []
    for name, connector in found.items():
        first = owners.setdefault(connector.vendor, name)
        if first != name:
            shown = str(path / name / "connector.yaml")
            faults.append(Fault(shown, 1, "vendor", f"vendor {connector.vendor} already has the connector {first}"))
    return faults
