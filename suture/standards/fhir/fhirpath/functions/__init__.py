"""The functions of FHIRPath and of FHIR as tables: name -> how it is built (http://hl7.org/fhirpath/N1/#functions)."""

import suture.standards.fhir.fhirpath.functions.boundaries as boundaries
import suture.standards.fhir.fhirpath.functions.clock as clock
import suture.standards.fhir.fhirpath.functions.collections as collections
import suture.standards.fhir.fhirpath.functions.conversion as conversion
import suture.standards.fhir.fhirpath.functions.existence as existence
import suture.standards.fhir.fhirpath.functions.iteration as iteration
import suture.standards.fhir.fhirpath.functions.numbers as numbers
import suture.standards.fhir.fhirpath.functions.resources as resources
import suture.standards.fhir.fhirpath.functions.strings as strings
from suture.standards.fhir.fhirpath.code import Row

FUNCTIONS: dict[str, Row] = {
    **existence.ROWS,
    **iteration.ROWS,
    **collections.ROWS,
    **conversion.ROWS,
    **strings.ROWS,
    **numbers.ROWS,
    **clock.ROWS,
    **boundaries.ROWS,
    **resources.ROWS,
}

__all__ = ["FUNCTIONS"]
