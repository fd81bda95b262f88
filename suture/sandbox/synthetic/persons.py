"""Who a synthetic person is: Patient with demographics, the family around, the insurance.

https://hl7.org/fhir/us/core/StructureDefinition-us-core-patient.html
"""

from __future__ import annotations

from suture.sandbox import people
from suture.sandbox.people import MEMBER_SYSTEM
from suture.sandbox.synthetic.house import payer
from suture.sandbox.synthetic.shapes import Life, Resource, address, at, coded, coding, extension, to

KIN = {"mother": ("MTH", "mother"), "father": ("FTH", "father"), "child": ("CHILD", "child"), "elder": ("GRPRN", "grandparent")}  # fmt: skip
_SEX = {"female": ("248152002", "Female"), "male": ("248153007", "Male")}
_GENDER = {
    "female": ("446141000124107", "Identifies as female gender"),
    "male": ("446151000124109", "Identifies as male gender"),
}
_DETAILS = (
    ("2028-9", "Asian", "2039-6", "Japanese"),
    ("2135-2", "Hispanic or Latino", "2148-5", "Mexican"),
)
_TRIBE = [
    {"url": "tribalAffiliation", "valueCodeableConcept": coded("v3-TribalEntityUS", "187")},
    {"url": "isEnrolled", "valueBoolean": True},
]
_BIRTH_SEX = {"female": "F", "male": "M"}


def demographics(life: Life) -> None:
    """The patient, the relatives who may speak for the person, the coverage."""
    _patient(life)
    for role, kin in life.kin.items():
        if role != life.role:
            _relative(life, role, kin)
    _coverage(life)


def _patient(life: Life) -> None:
    p = life.person
    made = people.patient(p)
    moved = life.ago(900).isoformat()
    if life.role == "child":
        _detailed(made)
    made["extension"] += _extensions(life)
    made["name"][0]["period"] = {"start": moved}
    made["name"].append(
        {"use": "old", "family": f"{p.family}-Olsen", "given": [p.given],
         "suffix": ["Jr."], "period": {"start": p.birth.isoformat(), "end": moved}}
    )  # fmt: skip
    made["address"][0]["period"] = {"start": moved}
    made["address"].append({**address(p), "use": "old", "line": ["12 Quarry Rd"], "period": {"end": moved}})
    made["telecom"][1]["use"] = "home"
    if life.role == "elder":
        made["deceasedDateTime"] = at(life.ago(3))
    elements = {name: value for name, value in made.items() if name not in {"resourceType", "id"}}
    life.add("Patient", "", "patient", **elements)["id"] = p.id


def _extensions(life: Life) -> list[Resource]:
    p = life.person
    needs = ("373066001", "Yes") if p.language[0] != "en" else ("373067005", "No")
    found = [
        extension("us-core-birthsex", valueCode=_BIRTH_SEX[p.gender]),
        extension("us-core-sex", **_sex(p.gender, life.us_core)),
        extension("us-core-genderIdentity", valueCodeableConcept=coded("snomed", *_GENDER[p.gender])),
        extension("us-core-interpreter-needed", valueCoding=coding("snomed", *needs)),
    ]
    if life.role == "mother":
        found.append(extension("us-core-tribal-affiliation", extension=_TRIBE))
    return found


def _sex(gender: str, us_core: str) -> Resource:
    """The extension's value was a code until 7.0.0 and is a Coding since."""
    code, name = _SEX[gender]
    return {"valueCode": code} if us_core < "8" else {"valueCoding": coding("snomed", code, name)}


def _detailed(made: Resource) -> None:
    """Finer categories beside the broad ones of race and ethnicity."""
    for one, (broad, name, fine, finer) in zip(made["extension"], _DETAILS, strict=False):
        one["extension"] = [
            {"url": "ombCategory", "valueCoding": coding("omb", broad, name)},
            {"url": "detailed", "valueCoding": coding("omb", fine, finer)},
            {"url": "text", "valueString": finer},
        ]


def _relative(life: Life, role: str, kin: people.Person) -> None:
    life.add(
        "RelatedPerson", role, "relatedperson",
        active=True,
        patient=life.subject,
        relationship=[coded("v3-RoleCode", *KIN[role])],
        name=[{"family": kin.family, "given": [kin.given]}],
        telecom=[{"system": "phone", "value": kin.phone, "use": "home"}],
        address=[address(kin)],
        birthDate=kin.birth.isoformat(),
    )  # fmt: skip


def _coverage(life: Life) -> None:
    p = life.person
    code, name = p.payer
    life.add(
        "Coverage", "own", "coverage",
        identifier=[{"type": coded("v2-0203", "MB", "Member Number"), "system": MEMBER_SYSTEM, "value": p.member}],
        status="active",
        type=coded("https://nahdo.org/sopt", "5", "Private health insurance"),
        subscriberId=p.member,
        beneficiary=life.subject,
        relationship=coded("subscriber-relationship", "self", "Self"),
        period={"start": life.ago(700).isoformat(), "end": life.ago(-365).isoformat()},
        payor=[to("Organization", payer(code))],
        **{"class": [
            {"type": coded("coverage-class", "group", "Group"), "value": f"G{code}", "name": f"{name} group"},
            {"type": coded("coverage-class", "plan", "Plan"), "value": f"P{code}", "name": f"{name} plan"},
        ]},
    )  # fmt: skip
