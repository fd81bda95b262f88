"""A wish is cut down to what was registered, and never widened."""

from __future__ import annotations

import pytest

from suture.access.oauth.scopes import known, narrowed


@pytest.mark.parametrize(
    ("asked", "allowed", "granted"),
    [
        ("system/Patient.rs", "system/*.rs", "system/Patient.rs"),
        ("system/Patient.read", "system/*.read", "system/Patient.read"),
        ("system/Patient.read", "system/*.rs", "system/Patient.read"),
        ("system/*.cruds", "system/*.rs", "system/*.rs"),
        ("system/*.*", "system/Patient.rs", "system/Patient.rs"),
        ("system/*.rs", "system/Patient.rs system/Observation.r", "system/Patient.rs system/Observation.r"),
        ("system/*.rs", "system/*.r system/Patient.rs", "system/*.r system/Patient.rs"),
        ("system/*.rs", "system/*.rs system/Patient.rs", "system/*.rs"),
        ("system/Patient.rs", "system/Observation.rs", ""),
        ("system/Patient.cud", "system/Patient.rs", ""),
        ("user/Patient.rs", "user/Patient.rs", ""),
        ("openid system/Patient.r", "openid system/Patient.r", "system/Patient.r"),
        ("system/Patient.rs system/Patient.rs", "system/*.rs", "system/Patient.rs"),
        ("system/Patient.dus system/Nothing.rs nonsense system/Patient", "system/*.cruds", ""),
    ],
)
def test_a_program_gets_what_lies_within_its_registration(asked: str, allowed: str, granted: str) -> None:
    assert " ".join(narrowed(asked.split(), allowed.split(), ("system",))) == granted


def test_words_of_a_person_stay_when_they_were_registered() -> None:
    asked = "openid fhirUser launch/patient offline_access patient/Patient.rs user/Patient.rs"
    allowed = "openid fhirUser launch/patient patient/*.rs"
    assert " ".join(narrowed(asked.split(), allowed.split())) == "openid fhirUser launch/patient patient/Patient.rs"


@pytest.mark.parametrize(
    "word", ["system/Patient.sr", "patient/*", "launch/", "OPENID", "system/Patient.rs ", "x" * 3000]
)
def test_a_word_that_means_nothing_is_told(word: str) -> None:
    assert not known(word)
