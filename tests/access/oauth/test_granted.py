"""What can be granted is what was asked, registered and open, in the spelling that was asked for."""

from __future__ import annotations

import random

import pytest

from suture.access import smart
from suture.access.caller import Scope
from suture.access.oauth import consent, granted, kinds

CLINICIAN, READER, PATIENT = smart.parse("user/*.cruds"), smart.parse("user/*.rs"), smart.parse("patient/*.rs")
EVERYTHING = ("openid", "launch/patient", "offline_access", "patient/*.cruds", "user/*.cruds", "system/*.cruds")


@pytest.mark.parametrize(
    ("asked", "registered", "may", "got"),
    [
        ("patient/*.read", EVERYTHING, PATIENT, "patient/*.read"),
        ("patient/*.*", EVERYTHING, PATIENT, "patient/*.read"),
        ("patient/Observation.write", EVERYTHING, READER, ""),
        ("user/Observation.cruds", EVERYTHING, READER, "user/Observation.rs"),
        ("user/*.cruds", EVERYTHING, CLINICIAN, "user/*.cruds"),
        ("patient/*.rs", ("patient/Condition.r", "patient/Observation.rs"), CLINICIAN, "patient/Condition.r patient/Observation.rs"),
        ("patient/*.rs", ("user/*.rs",), CLINICIAN, ""),
        ("system/*.rs", EVERYTHING, CLINICIAN, ""),
        ("openid fhirUser offline_access", EVERYTHING, CLINICIAN, "openid offline_access"),
        ("patient/Observation.rs?category=a|b", EVERYTHING, PATIENT, "patient/Observation.rs?category=a|b"),
        ("patient/Observation.rs", ("patient/Observation.rs?category=a|b",), PATIENT, "patient/Observation.rs?category=a|b"),
        ("patient/*.rs", EVERYTHING, (), ""),
    ],
)  # fmt: skip
def test_three_limits(asked: str, registered: tuple[str, ...], may: tuple[Scope, ...], got: str) -> None:
    assert " ".join(granted.grantable(granted.words(asked), registered, may)) == got


def test_unknown_words_are_passed_over() -> None:
    words = granted.words(
        "openid  patient/Observation.sr patient/Nothing.r launch/x PATIENT/*.rs patient/*.rs?x=\u2028 openid"
    )
    assert words == ("openid",)


def test_a_user_scope_of_somebody_with_one_record_is_a_patient_scope() -> None:
    assert granted.effective(("user/*.rs",), EVERYTHING, PATIENT) == (Scope("patient", "*", "rs"),)
    assert granted.effective(("patient/*.rs",), EVERYTHING, CLINICIAN) == (Scope("patient", "*", "rs"),)
    assert granted.effective(("user/*.rs",), ("user/Patient.r",), CLINICIAN) == (Scope("user", "Patient", "r"),)
    assert granted.effective(("user/*.rs", "openid", "system/*.rs"), EVERYTHING, ()) == ()


def test_nothing_granted_ever_reaches_further_than_any_of_the_three() -> None:
    chance = random.Random(11)
    types, queries = ("*", "Observation", "Condition", "Patient"), ("", "", "?category=a|b", "?_tag=x|y")

    def word() -> str:
        letters = "".join(letter for letter in "cruds" if chance.random() < 0.6) or "r"
        type = chance.choice(types)
        return f"{chance.choice(('patient', 'user'))}/{type}.{letters}{chance.choice(queries) if type != 'Patient' else ''}"

    for _ in range(2000):
        asked, registered = [word() for _ in range(3)], [word() for _ in range(3)]
        may = smart.parse(chance.choice(("user/*.cruds", "user/*.rs", "patient/*.rs", "user/Observation.rs")))
        for one in granted.grantable(asked, registered, may):
            scope = granted.resource(one)
            assert scope is not None
            assert granted.subset([one], asked)
            assert granted.subset([one], registered)
            assert granted.subset([one], [str(limit._replace(context=scope.context)) for limit in may])


def test_a_subset_is_judged_letter_by_letter() -> None:
    had = ("openid", "patient/Observation.r", "patient/Observation.s", "patient/Condition.rs")
    assert granted.subset(("patient/Observation.rs",), had)
    assert granted.subset(("openid", "patient/Condition.r?category=a|b"), had)
    for wrong in ("patient/Observation.rsu", "patient/*.rs", "user/Condition.r", "fhirUser", "nonsense"):
        assert not granted.subset((wrong,), had)


def test_no_set_of_ticks_reaches_further_than_what_was_offered() -> None:
    chance = random.Random(5)
    words = ("openid", "patient/*.rs", "patient/Condition.r", "user/Observation.cruds", "offline_access")
    made = consent.offers(words)
    ids = (
        [offer.id for offer in made]
        + [part.id for offer in made for part in offer.parts]
        + ["keep", "made-up", "9.rest"]
    )
    for _ in range(300):
        left = consent.chosen(words, set(chance.sample(ids, chance.randrange(len(ids)))))
        assert granted.subset(left, words)
    assert consent.chosen(words, set(ids)) == words
    assert consent.chosen(words, set()) == ("openid",)


def test_every_finer_kind_is_a_scope_that_can_be_kept() -> None:
    for type, values in kinds.FINER.items():
        for value, _ in values:
            assert granted.resource(f"patient/{type}.rs?category={value}") is not None
