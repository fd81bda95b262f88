"""Says which places no version of HL7 v2 has, such as PID-99: nothing can be found there (HL7 v2.8.2 chapter 2A and appendix A)."""

from __future__ import annotations

from suture.standards.hl7v2 import place, tables

ANY_TYPE = "varies"
MOST_OF_PRIMITIVE = 2  # a time stamp of earlier versions had its precision as second component


def absent(text: str) -> str:
    """Why HL7 has no such place; empty when it has, when the segment is a site's own, or when this is no place."""
    if not place.FORM.fullmatch(text):
        return ""
    at = place.read(text)
    fields = tables.fields(at.segment)
    if not fields:
        return "" if at.segment.startswith("Z") else f"HL7 has no segment {at.segment}"
    if at.field > len(fields):
        return f"{at.segment} has {len(fields)} fields, there is no {at.segment}-{at.field}"
    return _no_component(at, fields[at.field - 1].type) if at.field else ""


def _no_component(at: place.Place, type: str) -> str:
    most = len(tables.components(type)) or MOST_OF_PRIMITIVE
    if type == ANY_TYPE or at.component <= most:
        return ""
    return f"{at.segment}-{at.field} is of type {type}, which has no component {at.component}"
