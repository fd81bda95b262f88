"""Topic-based subscriptions (https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/): admitted, watched, sent, each with its owner's access."""

import suture.services.interactions  # noqa: F401 - as for operations, some of which are about subscriptions
