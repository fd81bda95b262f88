"""The engine: flows are read and checked, messages accepted and walked, deliveries made, retried and replayed."""
