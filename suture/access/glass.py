"""Breaking the glass: in an emergency a person opens what Consents, labels and bounds keep back, for one patient and a while.

Scopes and roles stay what they are. A reason is asked for, every access says BTG in the audit trail, and an alert stays until
somebody has looked at it. 45 CFR 164.312(a)(2)(ii), https://terminology.hl7.org/ValueSet-v3-PurposeOfUse.html
"""

from __future__ import annotations

import re

from suture.access.caller import Caller
from suture.access.policy import require_permission
from suture.errors import Invalid, NotFound
from suture.settings import Settings
from suture.store import audit
from suture.store import glass as store
from suture.store.connection import Connection, Tx
from suture.store.glass import Glass

PURPOSE = "BTG"
BREAK, REVIEW = "glass.break", "audit.read"
SHORTEST_REASON, LONGEST_REASON = 10, 500
MOST_AT_ONCE = 20  # patients
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)


def break_(tx: Tx, caller: Caller, patient: str, reason: str, settings: Settings) -> Glass:
    """Opens one patient's record for `glass.life`; raises Invalid without a reason, Forbidden without the permission."""
    require_permission(caller, BREAK)
    reason = require_reason(reason)
    patient = patient.strip().removeprefix("Patient/")
    if not _ID.fullmatch(patient):
        raise Invalid("not the id of a patient", where="patient", mend="Write the id of the Patient resource.")
    if len(store.patients(tx, caller.id, tx.now)) >= MOST_AT_ONCE:
        raise Invalid(f"{MOST_AT_ONCE} records are open already", where="patient", mend="End one of them first.")
    made = store.add(tx, caller.id, caller.name, patient, reason, settings["glass.life"])
    audit.append(tx, _row(caller, "break-glass", made, 201))
    return made


def require_reason(reason: str) -> str:
    """The reason, its blanks made one; raises Invalid for one that is too short or too long."""
    reason = " ".join(reason.split())
    if not SHORTEST_REASON <= len(reason) <= LONGEST_REASON:
        raise Invalid(
            f"a reason of {SHORTEST_REASON} to {LONGEST_REASON} characters is needed",
            where="reason",
            mend="Say what the emergency is.",
        )
    return reason


def active(connection: Connection, caller_id: str, now: int) -> frozenset[str]:
    """The patients whose record this caller has open in an emergency."""
    return store.patients(connection, caller_id, now)


def end(tx: Tx, caller: Caller, id: str) -> Glass:
    """Ends one's own before its time; raises NotFound for another's as for none."""
    found = store.get(tx, id)
    if found is None or found.who != caller.id:
        raise NotFound("nothing of that id", where="break-glass")
    store.close(tx, id)
    audit.append(tx, _row(caller, "end-glass", found, 200))
    return found


def review(tx: Tx, caller: Caller, id: str) -> Glass:
    """Somebody who may read the trail has looked at it; never the one who broke it."""
    require_permission(caller, REVIEW)
    found = store.get(tx, id)
    if found is None:
        raise NotFound("nothing of that id", where="break-glass")
    if found.who == caller.id:
        raise Invalid("who broke it does not review it", where="break-glass", mend="Ask somebody else to look at it.")
    store.review(tx, id, caller.name)
    audit.append(tx, _row(caller, "review-glass", found, 200))
    return found


def _row(caller: Caller, what: str, glass: Glass, outcome: int) -> audit.AuditRow:
    return audit.AuditRow(
        caller.id,
        what,
        type="Patient",
        id=glass.patient,
        patient=f"Patient/{glass.patient}",
        outcome=outcome,
        purpose=PURPOSE,
        address=caller.address,
        detail=glass.id,
    )
