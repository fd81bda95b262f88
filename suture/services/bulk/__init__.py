"""Bulk Data Access 2.0: exports of many resources as files of NDJSON (https://hl7.org/fhir/uv/bulkdata/STU2/)."""
