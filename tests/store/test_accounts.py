"""People and programs: hashes only, once means once, back-off grows."""

from __future__ import annotations

import pytest

from suture.crypto import new_token
from suture.errors import Conflict, NotFound
from suture.store import accounts, vault
from suture.store.database import Database

HOUR = 3600.0


def test_a_session_ends_by_time_by_idleness_and_with_a_new_password(store: Database) -> None:
    user = store.write_now(lambda tx: accounts.create_user(tx, "Ada", "Ada L.", "hash", roles=["admin"]))
    token = new_token()
    made = store.write_now(lambda tx: accounts.create_session(tx, token, user.id, HOUR))
    second = 1_000_000
    assert accounts.session(store.read, token, made.created + second, 60) == made
    assert accounts.session(store.read, token, made.created + 61 * second, 60) is None
    assert accounts.session(store.read, token, made.expires, 2 * HOUR) is None
    assert accounts.session(store.read, "another", made.created, HOUR) is None
    store.write_now(lambda tx: accounts.change_user(tx, user.id, password="other"))
    assert accounts.session(store.read, token, made.created + 1, HOUR) is None


def test_login_names_are_taken_whatever_their_case(store: Database) -> None:
    store.write_now(lambda tx: accounts.create_user(tx, "ada", "Ada", "hash"))
    with pytest.raises(Conflict, match="taken"):
        store.write_now(lambda tx: accounts.create_user(tx, "ADA", "Ada", "hash"))


def test_a_link_works_once_and_only_the_newest_first_run_link(store: Database) -> None:
    old, new = new_token(), new_token()
    store.write_now(lambda tx: accounts.create_link(tx, old, "first-run", HOUR))
    store.write_now(lambda tx: accounts.create_link(tx, new, "first-run", HOUR))
    assert store.write_now(lambda tx: accounts.use_link(tx, old, "first-run")) is None
    assert store.write_now(lambda tx: accounts.use_link(tx, new, "invite")) is None
    assert store.write_now(lambda tx: accounts.use_link(tx, new, "first-run")) == {}
    assert store.write_now(lambda tx: accounts.use_link(tx, new, "first-run")) is None


def test_a_client_is_found_by_its_key_while_it_is_active(store: Database) -> None:
    key = new_token()
    made = store.write_now(lambda tx: accounts.create_client(tx, "lab", key=key, scopes=["system/*.rs"]))
    assert accounts.client_by_key(store.read, key) == made
    store.write_now(lambda tx: accounts.change_client(tx, made.id, active=False))
    assert accounts.client_by_key(store.read, key) is None


def test_failed_logins_wait_longer_each_time_and_a_good_one_clears(store: Database) -> None:
    ends = []
    for _ in range(5):
        before = store.write_now(lambda tx: tx.now)
        end = store.write_now(lambda tx: accounts.login_failed(tx, "ada", 3))
        ends.append(round((end - before) / 1_000_000) if end else 0)
    assert ends == [0, 0, 1, 2, 4]
    store.write_now(lambda tx: accounts.login_worked(tx, "ada"))
    assert accounts.blocked_until(store.read, "ada") == 0


def test_a_jti_is_new_once(store: Database) -> None:
    assert store.write_now(lambda tx: accounts.first_time(tx, "jti:1", HOUR)) is True
    assert store.write_now(lambda tx: accounts.first_time(tx, "jti:1", HOUR)) is False


def test_a_secret_opens_only_for_its_origin(store: Database) -> None:
    store.write_now(lambda tx: vault.put(tx, "lakeside", "s3cret", "https://ehr.example"))
    assert vault.get(store.read, "lakeside", "https://ehr.example") == "s3cret"
    with pytest.raises(NotFound, match="another address"):
        vault.get(store.read, "lakeside", "https://ehr.example.evil.test")
    with pytest.raises(NotFound, match="no such secret"):
        vault.get(store.read, "elsewhere", "https://ehr.example")


def test_what_has_expired_is_swept_and_nothing_else(store: Database) -> None:
    user = store.write_now(lambda tx: accounts.create_user(tx, "ada", "Ada", "hash"))
    for token, life in (("old", -1.0), ("new", HOUR)):
        store.write_now(lambda tx, t=token, n=life: accounts.create_session(tx, t, user.id, n))
        store.write_now(lambda tx, t=token, n=life: accounts.create_link(tx, t, "invite", n))
        store.write_now(lambda tx, t=token, n=life: accounts.first_time(tx, t, n))
    store.upkeep.sweep()
    now = store.write_now(lambda tx: tx.now)
    assert accounts.session(store.read, "new", now, HOUR) is not None
    assert accounts.link(store.read, "new", "invite", now) == {}
    left = [store.read.one(f"SELECT count(*) FROM {table}") for table in ("session", "link", "once")]
    assert left == [(1,), (1,), (1,)]
