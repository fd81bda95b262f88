"""Where a row reads: locations against HL7's tables of segments and datatypes (HL7 v2.8.2 chapter 2A, appendix A)."""

from __future__ import annotations

from dataclasses import dataclass

from suture.mapping.locations import Location
from suture.standards.hl7v2 import tables as v2

VARIES = "varies"
# what an older or neighbouring datatype may be read as: their parts stand at the same places
ALIKE = {
    "CE": "CWE", "CNE": "CWE", "CF": "CWE", "TS": "DTM", "TN": "XTN", "PN": "XPN", "AD": "XAD", "SAD": "XAD", "CK": "CX",
    "CN": "XCN", "CNN": "XCN", "PPN": "XCN", "CWE": "CWE", "CM": VARIES, "HD": "HD", "EIP": "EIP",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Frame:
    """What locations may name at a place of a map: its segment, the datatypes at hand, or JSON."""

    segment: str = ""  # own segment; '' in a datatype or JSON map
    parts: tuple[str, ...] = ()  # datatypes at hand, innermost first
    json: bool = False
    type: str = ""  # FHIR type that paths start from
    fhir: bool = False  # JSON that is FHIR
    whole: bool = False  # a datatype map: its value is known by its parts only

    def within(self, part: str) -> Frame:
        """The frame inside a repetition of that datatype."""
        return Frame(self.segment, (part, *self.parts), self.json)


@dataclass(frozen=True, slots=True)
class Origin:
    """What is at a location: datatype ('' is unknown), whether it repeats, what is wrong with it."""

    type: str = ""
    repeats: bool = False
    wrong: str = ""
    mend: str = ""


def is_z(segment: str) -> bool:
    return len(segment) == 3 and segment[0] == "Z"


def composite(type_: str) -> bool:
    return bool(v2.components(type_))


def find(location: Location, frame: Frame) -> Origin:
    """What stands at a location."""
    return _field(location) if location.of_segment else _part(location, frame)


def _field(location: Location) -> Origin:
    segment = location.root
    if is_z(segment):
        return Origin("", True) if not location.component else Origin("")
    fields = v2.fields(segment)
    if not fields:
        return Origin(wrong=f"HL7 has no segment {segment}", mend="A site's own segments begin with Z.")
    if location.field > len(fields):
        return Origin(wrong=f"{segment} has {len(fields)} fields, not {location.field}", mend=_listed(segment))
    found = fields[location.field - 1]
    repeats = found.repeats and not location.repetition
    if not location.component:
        return Origin(found.type, repeats)
    return _inside(found.type, location, str(location), repeats)


def _part(location: Location, frame: Frame) -> Origin:
    root = location.root
    at_hand = [p for p in frame.parts if p in (root, VARIES, "") or ALIKE.get(p, p) == ALIKE.get(root, root)]
    if not at_hand:
        if v2.fields(root):
            return Origin(
                wrong=f"'{location}' names a component of a segment", mend=f"Write {root}-{location.component}."
            )
        known = (
            f"Here are: {', '.join(p for p in frame.parts if p)}."
            if frame.parts
            else "Use it inside each: or in a datatype map."
        )
        return Origin(wrong=f"no {root} is at hand here", mend=known)
    return _inside(root, location, str(location), False)


def _inside(type_: str, location: Location, text: str, repeats: bool) -> Origin:
    for number in (location.component, location.subcomponent):
        if not number or type_ in ("", VARIES):
            break
        parts = v2.components(type_)
        if not parts and number == 1:
            break  # a later version made it a primitive, or an earlier one had no parts
        if not parts:
            return Origin(wrong=f"{text}: {type_} has no parts", mend="Leave the number away.")
        if number > len(parts):
            return Origin(wrong=f"{text}: {type_} has {len(parts)} parts, not {number}", mend=_parts(type_))
        type_ = parts[number - 1].type
    return Origin(type_, repeats)


def _listed(segment: str) -> str:
    fields = v2.fields(segment)
    return f"The last is {segment}-{len(fields)} ({fields[-1].name})."


def _parts(type_: str) -> str:
    parts = v2.components(type_)
    return f"The last is {type_}.{len(parts)} ({parts[-1].name})."


def readable(made: str, wanted: str) -> bool:
    """Whether a map of datatype `wanted` can read what has datatype `made`."""
    if made in ("", VARIES) or wanted == VARIES or made == wanted:
        return True
    if ALIKE.get(made, made) == ALIKE.get(wanted, wanted):
        return True
    return not composite(made)  # a primitive is the first part of any datatype
