"""Does a resource keep a profile? StructureDefinitions read into rules, and rules held against resources.

https://hl7.org/fhir/R4/profiling.html
"""

from suture.standards.fhir.profiles.check import Around, check
from suture.standards.fhir.profiles.rules import Profile, read

__all__ = ["Around", "Profile", "check", "read"]
