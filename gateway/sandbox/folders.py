"""Where the embedded servers keep their files: the user's cache, and one data folder a run.

As root, data lies under /var/tmp: PostgreSQL refuses to run as root, so another account has to
reach its files, and root's home is closed to others and stays so.
"""

import fcntl
import os
import tempfile
import threading
import time
from pathlib import Path

from gateway.sandbox.launch import EmbeddedServerError

_POLL_S = 0.05


def is_root() -> bool:
    """Whether this process may act as any account."""
    return os.geteuid() == 0


def cache_dir() -> Path:
    """Return the user's cache folder of this project (XDG Base Directory)."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "hocba"


def default_data_dir() -> Path:
    """Return the folder in which runs without a named data folder make theirs."""
    if is_root():
        return Path("/var", "tmp", "hocba")  # `fresh_folder` checks whose it is
    return cache_dir() / "servers"


def fresh_folder(base: Path) -> Path:
    """Make a new empty data folder below *base*.

    For root, *base* lies in a folder open to everyone: refuse one that somebody else has made,
    and let the account that runs PostgreSQL pass through, without a right to list.

    Raises:
        EmbeddedServerError: if *base* belongs to somebody else.
    """
    base.mkdir(parents=True, exist_ok=True, mode=0o755)
    if base.is_symlink() or base.stat().st_uid != os.geteuid():
        message = f"{base} belongs to another account; name a data folder of your own."
        raise EmbeddedServerError(message)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=base))
    if is_root():
        folder.chmod(0o711)
    return folder


def lock_folder(folder: Path, *, timeout_s: float) -> int:
    """Take *folder* for this run alone and return the lock's descriptor; closing it gives it back.

    A keeper inherits its data folder's lock, so a start right after a kill waits for the old
    servers to stop.

    Raises:
        EmbeddedServerError: if another run still uses the folder after *timeout_s*.
    """
    lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(lock)
                message = f"The folder {folder} is in use by another run."
                raise EmbeddedServerError(message) from None
            threading.Event().wait(_POLL_S)
        else:
            return lock
