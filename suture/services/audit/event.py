"""A row of the trail as a FHIR AuditEvent, made when it is asked for and never stored (https://hl7.org/fhir/R4/auditevent.html)."""

from __future__ import annotations

import base64
import re
from typing import Any

from suture.clock import instant
from suture.standards.fhir.definitions import RESOURCE_TYPES
from suture.store.audit import AuditRow, Entry
from suture.store.audit_listed import PATIENT
from suture.store.crowds import is_crowd

TYPE = "AuditEvent"
PREFIX = "audit-"  # of ids: the number in the trail follows
ACTIONS = "urn:suture:audit-action"  # the trail's own words for what was done
CALLERS = "urn:suture:caller"
DIGESTS = "urn:suture:identifier-digest"
CROWDS = "urn:suture:patient-set"  # more patients than a row names
_KINDS = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
_REST = "http://hl7.org/fhir/restful-interaction"
_ENTITY = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
_SOURCE = "http://terminology.hl7.org/CodeSystem/security-source-type"
_PURPOSE = "http://terminology.hl7.org/CodeSystem/v3-ActReason"

_READ = "read vread history-instance history-type history-system search-type search-system capabilities operation"
_REST_CODES = frozenset(f"{_READ} create update patch delete batch transaction".split())
# what was done -> the kind of event in DICOM's words; the first name that what was done begins with
_DICOM_KINDS = (
    ("login", "110114", "User Authentication"),
    ("logout", "110114", "User Authentication"),
    ("sign", "110114", "User Authentication"),
    ("denied", "110113", "Security Alert"),
    ("send", "110106", "Export"),
    ("export", "110106", "Export"),
    ("ehi", "110106", "Export"),
    ("import", "110107", "Import"),
    ("list", "110112", "Query"),
    ("create-", "110137", "User Security Attributes Changed"),
    ("revoke-", "110137", "User Security Attributes Changed"),
    ("reset-", "110137", "User Security Attributes Changed"),
)
_OTHER = ("110100", "Application Activity")
_DONE = {
    "create": "C",
    "update": "U",
    "patch": "U",
    "link": "U",
    "unlink": "U",
    "delete": "D",
    **dict.fromkeys(_READ.split(), "R"),
}
_ALSO_READ = ("list", "reveal", "export", "ehi", "send")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


def id_of(n: int) -> str:
    """The id of a row's AuditEvent."""
    return f"{PREFIX}{n}"


def number_of(id: str) -> int:
    """The row's number; 0 for what is no id of one."""
    digits = id.removeprefix(PREFIX)
    plain = id.startswith(PREFIX) and digits.isascii() and digits.isdigit() and len(digits) < 16
    return int(digits) if plain and digits[0] != "0" else 0


def event(entry: Entry, observer: str, only: str = "") -> dict[str, Any]:
    """The AuditEvent of a row; `observer`: this installation.

    `only`: made for one patient (Patient/ID): nothing of others, of their records or of staff's machines stands in it.
    """
    row, at = entry.row, instant(entry.at)
    made: dict[str, Any] = {
        "resourceType": TYPE,
        "id": id_of(entry.n),
        "meta": {"versionId": "1", "lastUpdated": at},
        "type": _kind(row.what),
        "subtype": [*_rest(row.what), {"system": ACTIONS, "code": row.what}],
        "action": action(row.what),
        "recorded": at,
        "outcome": outcome(row.outcome),
        "outcomeDesc": f"HTTP {row.outcome}",
    }
    if row.purpose:
        made["purposeOfEvent"] = [{"coding": [{"system": _PURPOSE, "code": row.purpose}]}]
    made["agent"] = _agents(row, bool(only))
    made["source"] = {
        "observer": {"identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{observer}"}},
        "type": [{"system": _SOURCE, "code": "4", "display": "Application Server"}],
    }
    entities = _entities(row, only)
    return {**made, "entity": entities} if entities else made


def action(what: str) -> str:
    """C, R, U, D or E (execute)."""
    return _DONE.get(what) or ("R" if what.startswith(_ALSO_READ) else "E")


def outcome(status: int) -> str:
    """0 done, 4 refused, 8 failed."""
    return "0" if status < 400 else "4" if status < 500 else "8"


def _kind(what: str) -> dict[str, str]:
    if what in _REST_CODES or what.startswith("$"):
        return {"system": _KINDS, "code": "rest", "display": "RESTful Operation"}
    code, display = next(((c, d) for begin, c, d in _DICOM_KINDS if what.startswith(begin)), _OTHER)
    return {"system": _DICOM, "code": code, "display": display}


def _rest(what: str) -> list[dict[str, str]]:
    code = "operation" if what.startswith("$") else what
    return [{"system": _REST, "code": code}] if code in _REST_CODES else []


def _agents(row: AuditRow, bare: bool) -> list[dict[str, Any]]:
    who: dict[str, Any] = {
        "who": {"identifier": {"system": CALLERS, "value": row.who}},
        "altId": row.who,
        "requestor": True,
    }
    if row.address and not bare:
        who["network"] = {"address": row.address, "type": "2"}
    program = f"client:{row.client.removeprefix('client:')}" if row.client else ""
    if not program or program == row.who:
        return [who]
    through = {"coding": [{"system": _DICOM, "code": "110150", "display": "Application"}]}
    app = {"who": {"identifier": {"system": CALLERS, "value": program}}, "altId": program, "requestor": False}
    return [who, {"type": through, **app}]


def _entities(row: AuditRow, only: str) -> list[dict[str, Any]]:
    if only:
        return [_patient(only)]
    found = [_patient(patient) for patient in row.patients or filter(None, (row.patient,))]
    thing = _thing(row)
    return [*found, thing] if thing else found


def _patient(patient: str) -> dict[str, Any]:
    plain, system = patient.startswith(PATIENT), CROWDS if is_crowd(patient) else DIGESTS
    what = {"reference": patient} if plain else {"identifier": {"system": system, "value": patient[1:]}}
    return {
        "what": what,
        "type": {"system": _ENTITY, "code": "1", "display": "Person"},
        "role": {"system": _ROLE, "code": "1", "display": "Patient"},
    }


def _thing(row: AuditRow) -> dict[str, Any]:
    """What was read, written or asked for."""
    made: dict[str, Any] = {}
    if row.type in RESOURCE_TYPES and _ID.fullmatch(row.id):
        made["what"] = {"reference": f"{row.type}/{row.id}"}
    elif row.id:
        made["what"] = {"identifier": {"system": f"urn:suture:{row.type or 'id'}", "value": row.id}}
    if row.type or row.id:
        made["type"] = {"system": _ENTITY, "code": "2", "display": "System Object"}
    if row.query:
        made["role"] = {"system": _ROLE, "code": "24", "display": "Query"}
        made["query"] = base64.b64encode(f"{row.type}?{row.query}".encode()).decode()
    elif row.type:
        made["name"] = row.type
    if row.detail:
        made["detail"] = [{"type": "detail", "valueString": row.detail}]
    if row.grant:
        made.setdefault("detail", []).append({"type": "grant", "valueString": row.grant})
    return made
