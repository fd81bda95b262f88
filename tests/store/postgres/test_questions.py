"""Statements that go to a session by libpq itself: prepared when they come again, and anew when the session has lost them."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from suture.store.postgres import questions, session
from suture.store.postgres.questions import Questions
from tests import postgres, stores

pytestmark = pytest.mark.slow


@pytest.fixture(params=stores.BACKENDS[1:])
def raw(request: pytest.FixtureRequest) -> Iterator[session.Raw]:
    opened = session.connect(postgres.server(request.param).empty())
    opened.execute("CREATE TABLE thing (id bigint PRIMARY KEY, text text, body bytea)")
    yield opened
    opened.close()


def prepared(raw: session.Raw) -> int:
    row = raw.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()
    assert row
    return int(row[0])


def test_values_come_back_as_they_were_sent(raw: session.Raw) -> None:
    asked = Questions(raw)
    for number, row in enumerate([(1, "é\u4e2d", b"\0\xff"), (2, None, None), (3, "", b"")]):
        assert asked.rows("INSERT INTO thing VALUES ($1, $2, $3)", row) == []
        assert (asked.changed, number) == (1, row[0] - 1)
    assert asked.rows("SELECT * FROM thing ORDER BY id", ()) == [
        (1, "é\u4e2d", b"\0\xff"), (2, None, None), (3, "", b""),
    ]  # fmt: skip
    assert asked.rows("UPDATE thing SET text = 'x'", ()) == []
    assert asked.changed == 3


def test_what_comes_again_is_prepared_and_never_more_than_so_many(
    raw: session.Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "STATEMENTS", 3)
    asked = Questions(raw)
    for _ in range(3):
        for number in range(6):
            assert asked.rows(f"SELECT $1::bigint + {number}", (1,)) == [(1 + number,)]
    assert prepared(raw) == 3


def test_another_session_s_change_of_a_table_and_a_lost_statement_are_not_noticed(raw: session.Raw) -> None:
    asked, sql = Questions(raw), "SELECT * FROM thing WHERE id = $1"
    for _ in range(3):
        assert asked.rows(sql, (1,)) == []
    raw.execute("ALTER TABLE thing ADD COLUMN later bigint")
    raw.execute("INSERT INTO thing (id) VALUES (1)")
    assert asked.rows(sql, (1,)) == [(1, None, None, None)]
    raw.execute("DEALLOCATE ALL")
    assert asked.rows(sql, (1,)) == asked.rows(sql, (1,)) == [(1, None, None, None)]


def test_inside_a_transaction_a_lost_statement_is_an_error_once(raw: session.Raw) -> None:
    asked, sql = Questions(raw), "SELECT id FROM thing WHERE id = $1"
    asked.rows(sql, (1,))
    asked.rows(sql, (1,))
    raw.execute("DEALLOCATE ALL")
    raw.execute("BEGIN")
    with pytest.raises(psycopg.errors.InvalidSqlStatementName):
        asked.rows(sql, (1,))
    raw.execute("ROLLBACK")
    assert asked.rows(sql, (1,)) == []


def test_errors_are_psycopg_s_and_leave_the_session_usable(raw: session.Raw) -> None:
    asked = Questions(raw)
    asked.rows("INSERT INTO thing (id) VALUES ($1)", (1,))
    with pytest.raises(psycopg.errors.UniqueViolation):
        asked.rows("INSERT INTO thing (id) VALUES ($1)", (1,))
    with pytest.raises(psycopg.errors.SyntaxError):
        asked.rows("SELEKT", ())
    assert asked.rows("SELECT 1", ()) == [(1,)]


def test_two_on_one_session_do_not_take_each_other_s_names(raw: session.Raw) -> None:
    one, two = Questions(raw), Questions(raw)
    for _ in range(3):
        assert one.rows("SELECT $1::bigint", (1,)) == [(1,)]
        assert two.rows("SELECT $1::bigint + 1", (1,)) == [(2,)]
