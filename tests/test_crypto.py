"""Keys and secrets: what is sealed opens with its own key and context only; key files are private and never replaced."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture import crypto
from suture.errors import Unstartable

KEY = bytes(range(32))


@given(st.binary(max_size=200), st.binary(max_size=40))
def test_what_is_sealed_opens_with_its_key_and_context(plain: bytes, context: bytes) -> None:
    sealed = crypto.seal(KEY, plain, context)
    assert crypto.unseal(KEY, sealed, context) == plain
    assert sealed != crypto.seal(KEY, plain, context)


@pytest.mark.parametrize("change", ["key", "context", "byte", "short"])
def test_anything_else_does_not_open(change: str) -> None:
    sealed = crypto.seal(KEY, b"secret", b"here")
    key = crypto.new_key() if change == "key" else KEY
    context = b"there" if change == "context" else b"here"
    altered = {"byte": sealed[:-1] + bytes([sealed[-1] ^ 1]), "short": sealed[:5]}.get(change, sealed)
    with pytest.raises(Unstartable, match="does not open"):
        crypto.unseal(key, altered, context)


def test_derived_keys_differ_by_purpose_and_are_stable() -> None:
    assert crypto.derive(KEY, "vault") == crypto.derive(KEY, "vault")
    assert len({crypto.derive(KEY, "vault"), crypto.derive(KEY, "anchor"), KEY}) == 3


def test_tokens_are_long_different_and_kept_as_hashes() -> None:
    one, two = crypto.new_token(), crypto.new_token()
    assert one != two
    assert len(one) >= 43
    assert crypto.token_hash(one) != crypto.token_hash(two)
    assert one.encode() not in crypto.token_hash(one)


def test_a_key_file_is_private_and_never_replaced(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "key"
    key = crypto.create_key_file(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert crypto.read_key_file(file) == key
    with pytest.raises(FileExistsError):
        crypto.create_key_file(file)
    assert crypto.read_key_file(file) == key


@pytest.mark.parametrize(
    "text", ["", "suture-key/1 ", "suture-key/1 AAAA", "suture-key/2 " + "A" * 43 + "=", "\xff\xfe"]
)
def test_what_is_no_key_file_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "key"
    file.write_text(text, encoding="latin-1")
    file.chmod(0o600)
    with pytest.raises(Unstartable, match="not a Suture key file"):
        crypto.read_key_file(file)


def test_an_exchange_keeps_the_old_key(tmp_path: Path) -> None:
    file = tmp_path / "key"
    old = crypto.create_key_file(file)
    new = crypto.create_key_file(crypto.unfinished(file))
    kept = crypto.exchange_key_file(file)
    assert crypto.read_key_file(file) == new
    assert crypto.read_key_file(kept) == old
