"""A chart in memory: what maps make is merged into a dict, the way the store does it, so that sequences of messages can be told."""

from __future__ import annotations

import copy
from typing import Any

from suture.mapping.compile import Result
from suture.mapping.context import Context, Source
from suture.mapping.library import Library
from suture.mapping.merge import NO_PLAN, merge
from suture.standards.fhir import validate
from suture.standards.hl7v2 import message as hl7

LIBRARY = Library()
SYSTEM = "urn:test:lakeside"
HOSPITAL = "LAKESIDE&2.16.840.1.113883.19.5.1&ISO"
CONTEXT = Context(
    source=Source(id="lakeside", time_zone="America/Chicago", system=SYSTEM), now="2026-11-25T08:00:00.000Z"
)
MAPS = {"ADT^A40": "hl7v2/ADT_A39", "ADT^A60": "hl7v2/ADT_A60", "ORU^R01": "hl7v2/ORU_R01"}

Resource = dict[str, Any]


def run(raw: bytes) -> Result:
    """A message through the shipped map of its event."""
    message = hl7.parse(raw)
    name = MAPS.get("^".join(message.type.split("^")[:2]), "hl7v2/ADT_A01")
    return LIBRARY.compiled(name).run(message, CONTEXT)


def errors(resource: Resource) -> list[str]:
    """What makes a resource invalid."""
    found = validate.check(resource)
    return [f"{i.expression}: {i.text}" for i in found if i.severity in ("error", "fatal")]


class Chart:
    """Resources by type and id."""

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, Resource]] = {}
        self.loss: list[str] = []
        self.warnings: list[str] = []

    def send(self, *lines: str) -> Result:
        """One message: its segments, or a whole one."""
        result = run("\r".join(lines).encode() + b"\r")
        self.loss, self.warnings = result.loss, [str(w) for w in result.warnings]
        self.write(result)
        return result

    def write(self, result: Result) -> None:
        entries = result.value["entry"]
        ids = {entry["fullUrl"]: self._id(entry) for entry in entries}
        for entry in entries:
            resource = referred(copy.deepcopy(entry["resource"]), ids)
            kind, _, name = ids[entry["fullUrl"]].partition("/")
            before = self.stored.setdefault(kind, {}).get(name)
            if before is not None and entry["request"]["method"] == "POST":
                continue  # a conditional create of what is there
            plan = result.merges.get(entry["fullUrl"], NO_PLAN)
            after = merge(before, resource, plan)
            if after is not None:
                assert errors(after) == [], kind
                self.stored[kind][name] = {**after, "id": name}

    def _id(self, entry: dict[str, Any]) -> str:
        kind = entry["resource"]["resourceType"]
        request = entry["request"]
        if request["method"] != "PUT" and "ifNoneExist" not in request:
            return f"{kind}/{entry['fullUrl'].removeprefix('urn:uuid:')}"
        found = entry["resource"]["identifier"]
        for name, held in self.stored.get(kind, {}).items():
            if any(same(one, other) for one in held.get("identifier", ()) for other in found[:1]):
                return f"{kind}/{name}"
        return f"{kind}/{entry['fullUrl'].removeprefix('urn:uuid:')}"

    def all(self, kind: str) -> list[Resource]:
        return list(self.stored.get(kind, {}).values())

    def one(self, kind: str, value: str = "") -> Resource:
        """The only resource of a type, or the one with an identifier of that value."""
        found = [r for r in self.all(kind) if not value or any(i["value"] == value for i in r["identifier"])]
        assert len(found) == 1, f"{len(found)} {kind}"
        return found[0]

    def referred(self, reference: Resource) -> Resource:
        kind, _, name = reference["reference"].partition("/")
        return self.stored[kind][name]


def same(one: Resource, other: Resource) -> bool:
    return (one.get("system"), one.get("value")) == (other.get("system"), other.get("value"))


def referred(value: Any, ids: dict[str, str]) -> Any:
    """The same with references to entries turned into type and id."""
    if isinstance(value, list):
        return [referred(item, ids) for item in value]
    if isinstance(value, dict):
        return {key: ids.get(item, item) if key == "reference" else referred(item, ids) for key, item in value.items()}
    return value


def msh(type: str, number: int = 1) -> str:
    return f"MSH|^~\\&|APP|LAKESIDE|SUTURE|HUB|20261125080000||{type}|{number:06d}|P|2.5.1"


def pid(mrn: str = "100001", name: str = "Rivera^Maya", more: str = "") -> str:
    return f"PID|1||{mrn}^^^{HOSPITAL}^MR||{name}||19840913|F{more}"


def pv1(
    kind: str = "I",
    place: str = "4W^402^1",
    start: str = "20261124081500",
    end: str = "",
    number: str = "V1",
    prior: str = "",
    disposition: str = "",
) -> str:
    fields = [""] * 46
    fields[1], fields[2], fields[3], fields[6] = "1", kind, place, prior
    fields[19] = f"{number}^^^{HOSPITAL}^VN" if number else ""
    fields[36], fields[44], fields[45] = disposition, start, end
    return "|".join(["PV1", *fields[1:]])


def adt(event: str, *segments: str) -> tuple[str, ...]:
    return (msh(f"ADT^{event}"), f"EVN|{event}|20261125090000", *segments)


def oru(status: str, *results: str, order: str = "L1", panel: str = "24323-8^Panel^LN") -> tuple[str, ...]:
    obr = ["OBR", "1", f"{order}^EHR", f"{order}^LAB", panel, "", "", "20261125070000"]
    obr += [""] * 14 + ["20261125075900", "", "LAB", status]
    return (msh("ORU^R01"), pid(), "|".join(obr), *results)


def obx(
    number: int, value: str, code: str = "2345-7^Glucose^LN", kind: str = "NM", sub: str = "", more: str = "F"
) -> str:
    return f"OBX|{number}|{kind}|{code}|{sub}|{value}|mg/dL^mg/dL^UCUM|70-99||||{more}"
