"""Does a resource keep a profile? StructureDefinitions read into rules, and rules held against resources.

https://hl7.org/fhir/R4/profiling.html
"""

from suture.standards.fhir.profiles.check import Around, check
from suture.standards.fhir.profiles.claims import Claim, below, claims, few
from suture.standards.fhir.profiles.rules import Profile, read

__all__ = ["Around", "Claim", "Profile", "below", "check", "claims", "few", "read"]
