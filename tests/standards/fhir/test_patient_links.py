"""Patient.link: what is tied can be read, and is as before when it is untied."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from suture.standards.fhir import patient_links as links

BASE = "https://house.example/fhir/"
IDS = st.text("abc123-.", min_size=1, max_size=12)
OTHERS = st.lists(
    st.fixed_dictionaries(
        {
            "other": st.one_of(
                IDS.map(lambda id: {"reference": f"Patient/{id}"}),
                IDS.map(lambda id: {"reference": f"{BASE}Patient/{id}"}),
                IDS.map(lambda id: {"reference": f"RelatedPerson/{id}"}),
                st.just({"reference": "https://elsewhere.example/fhir/Patient/a"}),
                st.just({"identifier": {"value": "1"}}),
            ),
            "type": st.sampled_from(("refer", "seealso", "replaces", "replaced-by")),
        }
    ),
    min_size=1,
    max_size=5,
)


@given(OTHERS, IDS, st.sampled_from(("replaces", "replaced-by", "seealso")))
def test_untied_is_as_before(before: list[dict[str, Any]], id: str, kind: str) -> None:
    kept = [link for link in before if id not in links.targets({"link": [link]}, BASE)]
    patient = {"resourceType": "Patient", "id": "me", **({"link": kept} if kept else {})}
    tied = links.tied(patient, id, kind)
    assert id in links.targets(tied, BASE, kind)
    assert links.linked(tied, {"id": id}, BASE)
    assert links.linked({"id": id}, tied, BASE)
    assert (tied.get("active") is False) == (kind == "replaced-by")
    untied = links.untied(tied, id, BASE)
    assert {name: value for name, value in untied.items() if name != "active"} == patient


def test_only_patients_of_this_house_count() -> None:
    others = (
        "RelatedPerson/a",
        "https://elsewhere.example/fhir/Patient/a",
        "#a",
        "Patient/",
        "Patient/a/_history/1",
        "",
    )
    assert not list(links.targets({"link": [{"other": {"reference": r}, "type": "seealso"} for r in others]}, BASE))
    own = {"link": [{"other": {"reference": f"{BASE}Patient/a"}, "type": "replaced-by"}]}
    assert list(links.targets(own, BASE)) == ["a"]
    assert links.replaced(own)
    assert not links.replaced({"link": [{"other": {}, "type": "replaces"}]})
