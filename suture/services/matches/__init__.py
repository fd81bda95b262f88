"""The master patient index: finds Patients that may be one person, asks a person, and links them (docs/matching.md)."""
