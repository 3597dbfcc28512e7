"""Keys come from a private file, never from a default; what they seal opens only in its own place."""

from pathlib import Path

import pytest

from gateway.edges.keys import Keys, Sealed, load_keys, new_keys, rotate_keys
from gateway.errors import GatewayError


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    new_keys(tmp_path / "keys.json")
    return load_keys(tmp_path / "keys.json")


def test_sealed_bytes_come_back(keys: Keys) -> None:
    sealed = keys.seal(b"body" * 1000, b"row 1")

    assert keys.open(sealed, b"row 1") == b"body" * 1000
    assert len(sealed.data) < 200
    assert b"body" not in sealed.data


def test_a_sealed_value_moved_to_another_row_does_not_open(keys: Keys) -> None:
    sealed = keys.seal(b"body", b"row 1")

    with pytest.raises(GatewayError, match="does not fit"):
        keys.open(sealed, b"row 2")


def test_an_unknown_key_is_named(keys: Keys) -> None:
    with pytest.raises(GatewayError, match="'k0'"):
        keys.open(Sealed("k0", b"x" * 40), b"")


def test_a_file_others_may_read_is_refused(tmp_path: Path) -> None:
    new_keys(tmp_path / "keys.json")
    (tmp_path / "keys.json").chmod(0o644)

    with pytest.raises(GatewayError, match="chmod 600"):
        load_keys(tmp_path / "keys.json")


def test_fresh_keys_are_private_and_never_overwritten(tmp_path: Path) -> None:
    new_keys(tmp_path / "keys.json")

    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        new_keys(tmp_path / "keys.json")


@pytest.mark.parametrize("content", ["{}", "no", '{"lane_token":"AA==","ledger":{"current":"k","keys":{"k":"AA=="}}}'])
def test_a_malformed_file_is_one_clear_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    path.chmod(0o600)

    with pytest.raises(GatewayError, match="keys file"):
        load_keys(path)


def test_after_a_rotation_old_values_open_and_new_ones_name_the_new_key(keys: Keys, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    old = keys.seal(b"body", b"row 1")

    name = rotate_keys(path)
    rotated = load_keys(path)
    new = rotated.seal(b"body", b"row 1")

    assert (old.key_id, new.key_id, name) == ("k1", "k2", "k2")
    assert rotated.open(old, b"row 1") == rotated.open(new, b"row 1") == b"body"
    assert (rotated.lane_token, rotated.claim) == (keys.lane_token, keys.claim)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(GatewayError, match="needs encryption key 'k2'"):
        keys.open(new, b"row 1")


def test_keys_may_stand_in_the_environment_and_there_is_no_default(
    keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOCBA_KEYS_MAU", raising=False)
    with pytest.raises(GatewayError, match="HOCBA_KEYS_MAU, which is not set"):
        load_keys(Path("env:HOCBA_KEYS_MAU"))

    monkeypatch.setenv("HOCBA_KEYS_MAU", (tmp_path / "keys.json").read_text())
    given = load_keys(Path("env:HOCBA_KEYS_MAU"))

    assert given.open(keys.seal(b"body", b"row 1"), b"row 1") == b"body"


def test_a_repr_shows_no_key(keys: Keys) -> None:
    assert keys.lane_token.hex() not in repr(keys)
    assert "k1" in repr(keys)
