"""FHIR's interactions (https://hl7.org/fhir/R4/http.html): door.py is the one way in, the other rooms are what it joins."""
