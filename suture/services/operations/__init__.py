"""FHIR's named operations: one file each, listed in table.py (https://hl7.org/fhir/R4/operations.html)."""
