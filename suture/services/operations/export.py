"""$export: its kick-off answers 202 and has a face of its own (server/bulk.py); it stands here for metadata.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html
"""

from __future__ import annotations

from suture.services.operations.operation import Operation

_PLACE = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"
SYSTEM = Operation("export", _PLACE + "export", "The whole chart as files.", ("system",), None)
PATIENT = Operation(
    "export", _PLACE + "patient-export", "All patients' records as files.", ("type",), None, ("Patient",)
)
GROUP = Operation("export", _PLACE + "group-export", "The records of a group.", ("instance",), None, ("Group",))
