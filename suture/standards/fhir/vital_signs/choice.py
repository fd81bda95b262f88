"""Which vital sign an Observation tells, by its code (https://hl7.org/fhir/R4/observation-vitalsigns.html#vitals-table).

Beside the code that each profile asks for, the closer codes of the same measurement: they may be there, and the
profile's own code has to stand beside them.
"""

from __future__ import annotations

from typing import Any

from suture.standards.fhir.profiles.rules import BASE

LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
# profile -> its own code first, then closer ones: of a place, a posture, a method, or of one half of it
_LOINC = {
    "vitalspanel": "85353-1",
    "resprate": "9279-1 19840-8 33438-3 76170-0 76171-8 76172-6",
    "heartrate": "8867-4 8889-8 8890-6 8891-4 8892-2 8893-0 40443-4 55425-3 68999-2 69000-8 76476-1 76477-9",
    "oxygensat": "2708-6 59408-5",
    "bodytemp": "8310-5 8328-7 8329-5 8330-3 8331-1 8332-9 8333-7 8334-5 60834-9 60836-4 75539-7",
    "bodyheight": "8302-2 3137-7 3138-5 8306-3 8308-9",
    "headcircum": "9843-4 8287-5",
    "bodyweight": "29463-7 3141-9 3142-7 8350-1 8351-9",
    "bmi": "39156-5 89270-3",
    "bp": "85354-9 35094-2 55284-4 76534-7 8480-6",
}
_SNOMED = {
    "resprate": "86290005",
    "oxygensat": "103228002 431314004",
    "bodytemp": "386725007 276885007 307047009 415882003 415929009 415945006 415974002",
    "bodyheight": "50373000 1153637007",
    "headcircum": "363812007",
    "bmi": "60621009",
    "bp": "75367002 271649006 271650006",
}
CODES: dict[tuple[str, str], str] = {
    (system, code): BASE + name
    for system, table in ((LOINC, _LOINC), (SNOMED, _SNOMED))
    for name, codes in table.items()
    for code in codes.split()
}


def meant(observation: dict[str, Any]) -> str:
    """The canonical of the profile that an Observation has to keep; empty when it is none of these vital signs."""
    code = observation.get("code")
    codings = code.get("coding") if isinstance(code, dict) else None
    found = (_profile(one) for one in codings) if isinstance(codings, list) else ()
    return next((url for url in found if url), "")


def _profile(coding: Any) -> str:
    pair = (coding.get("system"), coding.get("code")) if isinstance(coding, dict) else (None, None)
    return CODES.get(pair, "") if all(isinstance(one, str) for one in pair) else ""  # type: ignore[arg-type]
