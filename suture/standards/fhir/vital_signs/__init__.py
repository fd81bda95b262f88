"""R4's own profiles of vital signs, which every such Observation has to keep: https://hl7.org/fhir/R4/observation-vitalsigns.html"""

from suture.standards.fhir.vital_signs.choice import meant
from suture.standards.fhir.vital_signs.tables import QUICK, URLS, VERSION, member_of, profile

__all__ = ["QUICK", "URLS", "VERSION", "meant", "member_of", "profile"]
