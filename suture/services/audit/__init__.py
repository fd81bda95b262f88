"""What is told from the audit trail: FHIR AuditEvents, who saw a patient, what left the house, copies off this machine."""
