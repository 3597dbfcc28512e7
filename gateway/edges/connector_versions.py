"""Another version of a connector's files: in a folder beside this one, or in git at a commit, tag or branch.

Reading from git changes nothing: ``git ls-tree`` and ``git show`` of one folder.
"""

import subprocess
from pathlib import Path

from gateway.edges.connector_files import read_files
from gateway.errors import GatewayError

GIT_S = 30


class NoSuchVersion(GatewayError):
    """Neither a folder with the connector nor a commit that has it."""


def other_files(path: Path, name: str, against: str) -> dict[str, str]:
    """Shown name → text of connector *name* as *against* (a folder or a git revision) has it, connector.yaml first.

    A folder may be the connector's own or one of connectors.  Raises NoSuchVersion.
    """
    folder = Path(against)
    for parent, inside in ((folder.parent, folder.name), (folder, name)):
        if (parent / inside / "connector.yaml").is_file():
            return read_files(parent, inside)
    return _from_git(path, name, against)


def _from_git(path: Path, name: str, revision: str) -> dict[str, str]:
    listed = _git(path, "ls-tree", "--name-only", "-r", "--end-of-options", revision, f"{name}/")
    wanted = [line for line in listed.splitlines() if _is_source(line, name)]
    wanted.sort(key=lambda line: (line != f"{name}/connector.yaml", line))
    if not wanted or wanted[0] != f"{name}/connector.yaml":
        message = f"neither the folder nor the git revision given with --against has the connector {name}"
        raise NoSuchVersion(message)
    return {f"{revision}:{line}": _git(path, "show", "--end-of-options", f"{revision}:./{line}") for line in wanted}


def _is_source(line: str, name: str) -> bool:
    return line == f"{name}/connector.yaml" or (line.startswith(f"{name}/mappings/") and line.endswith(".yaml"))


def _git(path: Path, *arguments: str) -> str:
    command = ["git", "-C", str(path), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=GIT_S)  # noqa: S603  fixed verbs of git
    except (OSError, subprocess.SubprocessError) as error:
        message = "--against is no folder with the connector, and git does not know it as a revision"
        raise NoSuchVersion(message) from error
    return done.stdout.decode("utf-8", "replace")
