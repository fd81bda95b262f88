"""Grants and what hangs on them: hashes only, an end is an end for all, and what was used is recognised."""

from __future__ import annotations

from suture.crypto import new_token
from suture.store import grants, launches
from suture.store.database import Database
from suture.store.grants import ACCESS, REFRESH, Code, Grant, Wanted
from suture.store.launches import Launch

WANTED = Wanted(
    "app", ("patient/*.rs", "offline_access"), "https://here/fhir", "u1", "p1", "Patient/p1", "offline",
    context={"intent": "look"},
)  # fmt: skip
DAY = 86_400.0


def granted(store: Database, **changes: str) -> Grant:
    wanted = Wanted(**{**{name: getattr(WANTED, name) for name in WANTED.__slots__}, **changes})
    return store.write_now(lambda tx: grants.create(tx, wanted, 60))


def token_of(store: Database, grant: Grant, kind: str = ACCESS, life: float = 3600) -> str:
    text = new_token()
    store.write_now(lambda tx: grants.issue(tx, grant.id, kind, text, life, grant.scopes))
    return text


def now(store: Database) -> int:
    return store.clock.micros()


def test_a_grant_comes_back_as_it_was_wanted(store: Database) -> None:
    made = granted(store)
    assert all(getattr(made, name) == getattr(WANTED, name) for name in WANTED.__slots__)
    assert (made.expires - made.created, made.used, made.ended) == (60_000_000, 0, 0)
    assert grants.get(store.read, made.id) == made
    assert grants.get(store.read, "another") is None


def test_tokens_carry_the_grant_further_and_are_kept_as_hashes(store: Database) -> None:
    made = granted(store)
    text = token_of(store, made)
    found = grants.live_token(store.read, text, ACCESS, now(store))
    assert found is not None
    grant, token = found
    assert (token.scopes, token.grant, grant.id) == (made.scopes, made.id, made.id)
    assert grant.expires == token.expires > made.expires
    assert grants.live_token(store.read, text, REFRESH, now(store)) is None
    assert grants.live_token(store.read, text, ACCESS, token.expires) is None
    assert grants.live_token(store.read, "x" + text, ACCESS, now(store)) is None
    rows = store.read.all("SELECT * FROM oauth_token") + store.read.all("SELECT * FROM oauth_grant")
    assert text not in repr(rows)


def test_the_end_of_a_grant_is_the_end_of_its_tokens(store: Database) -> None:
    mine, other = granted(store), granted(store, client="other")
    texts = [token_of(store, mine), token_of(store, mine, REFRESH), token_of(store, other)]
    assert store.write_now(lambda tx: grants.revoke(tx, mine.id, "person"))
    assert not store.write_now(lambda tx: grants.revoke(tx, mine.id, "again"))
    kinds = [ACCESS, REFRESH, ACCESS]
    live = [grants.live_token(store.read, t, k, now(store)) is not None for t, k in zip(texts, kinds, strict=True)]
    assert live == [False, False, True]
    ended = grants.get(store.read, mine.id)
    assert ended is not None
    assert (ended.why, ended.ended > 0, ended.live(now(store))) == ("person", True, False)


def test_grants_are_found_and_ended_by_person_patient_and_client(store: Database) -> None:
    mine, theirs, program = granted(store), granted(store, user="u2"), granted(store, user="", patient="")
    for grant in (mine, theirs, program):
        token_of(store, grant)
    unused = granted(store)
    assert [g.id for g in grants.of_user(store.read, "u1", now(store))] == [mine.id]
    assert [g.id for g in grants.of_patient(store.read, "p1", now(store))] == [theirs.id, mine.id]
    assert [g.id for g in grants.of_client(store.read, "app", now(store))] == [program.id, theirs.id, mine.id]
    assert grants.of_user(store.read, "", now(store)) == []
    assert store.write_now(lambda tx: grants.revoke_user(tx, "u1")) == 2  # the unused one too
    assert grants.get(store.read, unused.id).ended  # type: ignore[union-attr]
    assert store.write_now(lambda tx: grants.revoke_user(tx, "")) == 0
    assert store.write_now(lambda tx: grants.revoke_client(tx, "app")) == 2
    assert grants.of_client(store.read, "app", now(store)) == []


def test_a_code_is_known_as_used_afterwards(store: Database) -> None:
    made, text = granted(store), new_token()
    kept = Code(made.id, "https://app/after", "challenge", {"nonce": "n"})
    store.write_now(lambda tx: grants.add_code(tx, text, kept, 60))
    found = grants.code(store.read, text)
    assert found is not None
    assert (found.grant, found.redirect, found.details, found.used) == (made.id, kept.redirect, {"nonce": "n"}, 0)
    store.write_now(lambda tx: grants.use_code(tx, text))
    assert grants.code(store.read, text).used > 0  # type: ignore[union-attr]
    assert grants.code(store.read, "another") is None


def test_a_used_refresh_token_is_recognised_and_a_dropped_one_is_not(store: Database) -> None:
    made = granted(store)
    first, second = token_of(store, made, REFRESH), token_of(store, made, REFRESH)
    store.write_now(lambda tx: grants.use_token(tx, first))
    store.write_now(lambda tx: grants.drop_token(tx, second))
    assert grants.live_token(store.read, first, REFRESH, now(store)) is None
    assert grants.token(store.read, first)[1].used > 0  # type: ignore[index]
    assert grants.token(store.read, second) is None


def test_a_launch_counts_once(store: Database) -> None:
    text, launch = new_token(), Launch("app", "u1", {"patient": "p1"})
    store.write_now(lambda tx: launches.create(tx, text, launch, 60))
    assert launches.find(store.read, text, now(store)) == launch
    assert launches.find(store.read, text, now(store) + 61_000_000) is None
    assert store.write_now(lambda tx: launches.use(tx, text))
    assert not store.write_now(lambda tx: launches.use(tx, text))
    assert launches.find(store.read, text, now(store)) is None


def test_what_ended_long_ago_is_deleted_and_what_lives_stays(store: Database) -> None:
    live, person, program = granted(store), granted(store), granted(store, user="")
    token_of(store, live, REFRESH, 100 * DAY)
    token_of(store, person, life=-2 * DAY)
    token_of(store, program, life=-2 * DAY)
    store.write_now(lambda tx: tx.execute("UPDATE oauth_grant SET expires = expires - ?", (int(2 * DAY * 1e6),)))
    assert store.write_now(grants.sweep) == 3  # two tokens and the program's grant
    assert grants.get(store.read, program.id) is None
    assert grants.get(store.read, person.id) is not None
    store.write_now(lambda tx: tx.execute("UPDATE oauth_grant SET expires = expires - ?", (int(30 * DAY * 1e6),)))
    assert store.write_now(grants.sweep) == 1
    assert grants.get(store.read, live.id) is not None
