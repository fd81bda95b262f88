"""FHIRPath N1 with the R4 model, compiled to closures: http://hl7.org/fhirpath/N1/

`compile(text, type="Patient").evaluate(resource)` gives plain values: JSON values for elements (a date stays its text),
Date, DateTime, Time, Quantity, Decimal, int, str, bool for what the expression makes itself.
"""

from suture.standards.fhir.fhirpath.code import Environment, Function
from suture.standards.fhir.fhirpath.expression import EMPTY, Expression, compile
from suture.standards.fhir.fhirpath.heads import Head, heads
from suture.standards.fhir.fhirpath.moments import Date, DateTime, Moment, Time
from suture.standards.fhir.fhirpath.quantity import Quantity

__all__ = [
    "EMPTY",
    "Date",
    "DateTime",
    "Environment",
    "Expression",
    "Function",
    "Head",
    "Moment",
    "Quantity",
    "Time",
    "compile",
    "heads",
]
