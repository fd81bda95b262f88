"""FHIR's named operations: one file each, listed in table.py (https://hl7.org/fhir/R4/operations.html)."""

import suture.services.interactions  # noqa: F401 - the two list each other's rooms: interactions are read first, whoever asks
