"""Attacks on what only policy keeps apart: seeded, generated, counted."""
