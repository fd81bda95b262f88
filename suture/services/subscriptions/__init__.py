"""Topic-based subscriptions (https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/): admitted, watched, sent, each with its owner's access."""
