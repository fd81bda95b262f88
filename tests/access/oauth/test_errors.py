"""Refusals carry their code and status, and descriptions that fit into a header and a URL."""

from __future__ import annotations

from suture.access.oauth.answer import TokenAnswer
from suture.access.oauth.errors import OAuthRefused, plain


def test_a_refusal_names_its_code_status_and_mend() -> None:
    refused = OAuthRefused("invalid_client", "the secret is wrong", 401, mend="Ask for a new one.")
    assert refused.status == 401
    assert refused.body() == {
        "error": "invalid_client",
        "error_description": "the secret is wrong. Ask for a new one.",
    }
    assert OAuthRefused("invalid_grant", "used").status == 400


def test_a_description_holds_only_what_is_allowed_in_one() -> None:
    assert plain('a "b" \\ \r\nü') == "a 'b' '  '''".replace("'  '''", "' '''")
    assert len(plain("x" * 1000)) == 300


def test_an_answer_leaves_out_what_is_not_there() -> None:
    assert TokenAnswer("t", 60, "").body() == {
        "access_token": "t", "token_type": "Bearer", "expires_in": 60, "scope": "",
    }  # fmt: skip
    full = TokenAnswer("t", 60, "openid", "r", "i", {"patient": "p", "need_patient_banner": False}).body()
    assert (full["refresh_token"], full["id_token"], full["patient"], full["need_patient_banner"]) == (
        "r",
        "i",
        "p",
        False,
    )
