"""HL7 v2 as text: parse, navigate, acknowledge; pure functions over bytes (https://www.hl7.org/implement/standards/product_brief.cfm?product_id=185)."""
