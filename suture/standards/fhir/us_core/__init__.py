"""US Core 6.1.0, 7.0.0 and 8.0.0 as they are inside: profiles, extensions, value sets (https://hl7.org/fhir/us/core/)."""

from suture.standards.fhir.us_core.choice import Named, asked, fitting, named, unmet
from suture.standards.fhir.us_core.held import held, of_type
from suture.standards.fhir.us_core.tables import NEWEST, URL, VERSIONS, Guide, guide, member_of, profile

__all__ = [
    "NEWEST",
    "URL",
    "VERSIONS",
    "Guide",
    "Named",
    "asked",
    "fitting",
    "guide",
    "held",
    "member_of",
    "named",
    "of_type",
    "profile",
    "unmet",
]
