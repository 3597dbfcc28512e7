"""The keys: the lane-token key (never rotated) and the ledger's encryption keys (rotated); no default.

They stand in a file of mode 0600, or, where ``keys_file`` is ``env:NAME``, in that variable of the environment.
Rotating adds a key and makes it the current one: what is sealed names its key, so old ones stay until nothing is
sealed with them any more (``hocba keys status``).

The key of claims is derived from the lane-token key, and like it never changes.
Shape: ``{"lane_token": base64(32), "ledger": {"current": "k1", "keys": {"k1": base64(32)}}}``.
"""

import base64
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import GatewayError

KEY_BYTES = 32
NONCE_BYTES = 12
MAX_OPEN_BYTES = 16 * 1024 * 1024


ENVIRONMENT: Final = "env:"


class _LedgerKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    current: str
    keys: dict[str, bytes]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    lane_token: bytes
    ledger: _LedgerKeys


@dataclass(frozen=True, slots=True)
class Sealed:
    """Compressed and encrypted bytes with the name of their key."""

    key_id: str
    data: bytes


class Keys:
    """The loaded keys; seals what stands at rest in the ledger."""

    def __init__(self, content: _File) -> None:
        self.lane_token = content.lane_token
        self.claim = hmac.digest(content.lane_token, b"claim", hashlib.sha256)
        self.current = content.ledger.current
        self._ciphers = {name: AESGCM(key) for name, key in content.ledger.keys.items()}

    def __repr__(self) -> str:
        """Names only; a key never reaches a log."""
        return f"Keys(current={self.current!r}, known={sorted(self._ciphers)})"

    def seal(self, data: bytes, context: bytes) -> Sealed:
        """*data* compressed (zstd) and encrypted (AES-GCM), bound to *context* (its row's identity)."""
        nonce = os.urandom(NONCE_BYTES)
        packed = zstandard.compress(data, level=3)
        return Sealed(self.current, nonce + self._ciphers[self.current].encrypt(nonce, packed, context))

    def open(self, sealed: Sealed, context: bytes) -> bytes:
        """The bytes that were sealed; raises GatewayError when key or context do not fit."""
        cipher = self._ciphers.get(sealed.key_id)
        if cipher is None:
            message = f"the ledger needs encryption key {sealed.key_id!r}, which the keys file does not hold"
            raise GatewayError(message)
        try:
            packed = cipher.decrypt(sealed.data[:NONCE_BYTES], sealed.data[NONCE_BYTES:], context)
        except InvalidTag as error:
            message = "a sealed value of the ledger does not fit its key"
            raise GatewayError(message) from error
        return zstandard.ZstdDecompressor().decompress(packed, max_output_size=MAX_OPEN_BYTES)


def load_keys(path: Path) -> Keys:
    """The keys in *path* (``env:NAME``: in that variable); raises GatewayError for missing, open or malformed ones."""
    return Keys(_load(path))


def _load(path: Path) -> _File:
    text = _from_environment(path) if str(path).startswith(ENVIRONMENT) else _from_file(path)
    try:
        content = msgspec.json.decode(text, type=_File)
    except msgspec.DecodeError:
        message = f"keys file {path} is malformed (expected lane_token and ledger.current, ledger.keys)"
        raise GatewayError(message) from None  # the cause may quote a key
    sizes = {len(content.lane_token), *(len(key) for key in content.ledger.keys.values())}
    if sizes != {KEY_BYTES} or content.ledger.current not in content.ledger.keys:
        message = f"keys file {path}: every key has {KEY_BYTES} bytes and ledger.current names one of ledger.keys"
        raise GatewayError(message)
    return content


def _from_file(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode & 0o777
        text = path.read_bytes()
    except FileNotFoundError as error:
        message = f"keys file {path} does not exist; make one with: hocba keys new {path}"
        raise GatewayError(message) from error
    if mode & 0o077:
        message = f"keys file {path} has mode {mode:04o}; only its owner may read it: chmod 600 {path}"
        raise GatewayError(message)
    return text


def _from_environment(path: Path) -> bytes:
    name = str(path).removeprefix(ENVIRONMENT)
    text = os.environ.get(name)
    if not text:
        message = (
            f"keys_file names the environment variable {name}, which is not set; it holds what hocba keys new writes"
        )
        raise GatewayError(message)
    return text.encode()


def write_private(path: Path, data: bytes) -> None:
    """Create *path* with mode 0600; never overwrites (raises FileExistsError)."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)


def new_keys(path: Path) -> None:
    """Write fresh random keys to *path* with mode 0600."""
    fresh = {
        "lane_token": base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode(),
        "ledger": {"current": "k1", "keys": {"k1": base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}},
    }
    write_private(path, msgspec.json.encode(fresh))


def rotate_keys(path: Path) -> str:
    """Add a fresh ledger key to the file *path* and make it the current one; its name.  The old ones stay."""
    content = _load(path)
    known = content.ledger.keys
    number = len(known) + 1
    while f"k{number}" in known:
        number += 1
    name = f"k{number}"
    ledger = _LedgerKeys(name, {**known, name: secrets.token_bytes(KEY_BYTES)})
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    write_private(fresh, msgspec.json.encode(_File(content.lane_token, ledger)))
    fresh.replace(path)
    return name
