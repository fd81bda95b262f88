"""Security labels that hide a row from everybody without a clearance for them: confidentiality and sensitivity.

https://hl7.org/fhir/R4/security-labels.html · https://terminology.hl7.org/ValueSet-v3-InformationSensitivityPolicy.html
"""

from __future__ import annotations

from typing import Any

from suture.errors import Invalid
from suture.standards.fhir.search_query import Token

ALL = "*"
CONSENTS = "CONSENT"  # no label: who keeps the Consents themselves sees them, whatever they say
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
# where a label may come from; without a system it counts too, since nobody who wrote one meant it for show
SYSTEMS = frozenset(
    [CONFIDENTIALITY, ACT_CODE, "http://hl7.org/fhir/v3/Confidentiality", "http://hl7.org/fhir/v3/ActCode", ""]
)
# label -> what it says; docs/access.md prints the table
TABLE = {
    "R": "restricted",
    "V": "very restricted",
    "BH": "behavioural health",
    "COGN": "cognitive disability",
    "DVD": "developmental disability",
    "EMOTDIS": "emotional disturbance",
    "ETH": "substance abuse",
    "ETHUD": "alcohol use disorder",
    "GDIS": "genetic disease",
    "HIV": "HIV or AIDS",
    "MH": "mental health",
    "MST": "military sexual trauma",
    "OPIOIDUD": "opioid use disorder",
    "PSY": "psychiatry",
    "PSYTHPN": "psychotherapy notes",
    "SCA": "sickle cell anaemia",
    "SDV": "sexual assault, abuse or domestic violence",
    "SEX": "sexuality and reproductive health",
    "SICKLE": "sickle cell disease",
    "SPI": "specially protected",
    "STD": "sexually transmitted disease",
    "SUD": "substance use disorder",
    "TBOO": "taboo",
    "VIO": "violence",
}
CODES = frozenset(TABLE)
_ORDER = "UNLMRV"  # of confidentiality; who may see V may see R


def clearance(words: str, where: str) -> frozenset[str]:
    """The labels of a clearance as it is written: codes with commas between, or *; raises Invalid for an unknown one."""
    found = frozenset(word.strip() for word in words.split(",") if word.strip())
    unknown = sorted(found - CODES - {ALL, CONSENTS})
    if unknown:
        raise Invalid("no such security label", where=where, mend=f"One of {', '.join(TABLE)}, {CONSENTS}, or *.")
    return found | {"R"} if "V" in found else found


def hidden(clearance: frozenset[str]) -> frozenset[str]:
    """The labels that hide a row from who has this clearance."""
    return frozenset() if ALL in clearance else CODES - clearance


def of(resource: dict[str, Any]) -> set[str]:
    """The labels of the table that a resource has."""
    meta = resource.get("meta")
    found = meta.get("security") if isinstance(meta, dict) else None
    return {
        str(coding.get("code", "")).upper()
        for coding in (found if isinstance(found, list) else ())
        if isinstance(coding, dict) and coding.get("system", "") in SYSTEMS
    } & CODES


def tokens(in_use: tuple[tuple[str, str], ...], codes: frozenset[str]) -> tuple[Token, ...]:
    """Those of these labels that stand on some row, for a search."""
    return tuple(Token(system, code) for system, code in in_use if system in SYSTEMS and code.upper() in codes)


def confidentiality(codes: set[str]) -> int:
    """How high the highest confidentiality stands; without one it is normal."""
    return max((_ORDER.find(code) for code in codes), default=_ORDER.index("N"))
