"""Reads connectors from their folders and compiles them; every fault of every folder is collected before raising.

A folder is a connector when it has a ``connector.yaml``.  Files shown in faults are named from the folder's parent,
so that a line can be opened in an editor.
"""

from collections.abc import Collection
from pathlib import Path

from gateway.config import Fault
from gateway.intake.connector import Connector, compile_connector
from gateway.intake.language import ConnectorFaults
from gateway.intake.nodes import candidates


def connector_names(path: Path) -> list[str]:
    """The folders below *path* that are connectors."""
    return sorted(file.parent.name for file in path.glob("*/connector.yaml"))


def read_files(path: Path, name: str) -> dict[str, str]:
    """Shown name → text of the YAML files of connector *name*, connector.yaml first."""
    folder = path / name
    files = [folder / "connector.yaml", *sorted((folder / "mappings").glob("*.yaml"))]
    return {str(file): file.read_text(encoding="utf-8") for file in files}


def load_connectors(path: Path, names: Collection[str] | None = None) -> dict[str, Connector]:
    """Name → compiled connector of the folders *names* below *path* (None or none named: all of them).

    Raises ConnectorFaults with all faults of all folders: reading, static check, and two connectors on one topic.
    """
    known = connector_names(path)
    faults: list[Fault] = []
    found: dict[str, Connector] = {}
    for name in names or known:
        if name not in known:
            faults.append(Fault(str(path), 0, name, f"no such connector{candidates(name, known)}"))
            continue
        try:
            found[name] = _load(path, name)
        except ConnectorFaults as error:
            faults += error.faults
    faults += _shared_topics(path, found)
    if not known:
        faults.append(Fault(str(path), 0, "", "holds no connector (a folder with a connector.yaml)"))
    if faults:
        raise ConnectorFaults(faults)
    return found


def _load(path: Path, name: str) -> Connector:
    shown = str(path / name / "connector.yaml")
    try:
        files = read_files(path, name)
    except UnicodeDecodeError as error:
        raise ConnectorFaults([Fault(shown, 0, "", "a file is not UTF-8")]) from error
    except OSError as error:
        raise ConnectorFaults([Fault(shown, 0, "", f"cannot be read: {error.strerror}")]) from error
    connector = compile_connector(files)
    if connector.name != name:
        raise ConnectorFaults([Fault(shown, 1, "name", f"must be the folder's name, {name}")])
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
