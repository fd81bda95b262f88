"""Vital signs made for tests."""

from __future__ import annotations

from typing import Any

LOINC = "http://loinc.org"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"


def coded(code: str, system: str = LOINC) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def observation(code: str, system: str = LOINC, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "status": "final", "category": [coded("vital-signs", CATEGORY)],
        "code": coded(code, system), "subject": {"reference": "Patient/p"}, "effectiveDateTime": "2026-01-02", **more,
    }  # fmt: skip


def pressure() -> dict[str, Any]:
    unit = {"unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}
    parts = [{"code": coded(code), "valueQuantity": {"value": 90, **unit}} for code in ("8480-6", "8462-4")]
    return observation("85354-9", component=parts)
