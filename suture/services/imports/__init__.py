"""Bulk import: files are read, checked and indexed in processes beside the one writer.

https://hl7.org/fhir/uv/bulkdata/ (NDJSON) · https://hl7.org/fhir/R4/bundle.html
"""

from suture.services.imports.load import Summary, load
from suture.services.imports.source import Task, size, tasks

__all__ = ["Summary", "Task", "load", "size", "tasks"]
