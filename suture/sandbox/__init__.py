"""Synthetic people and traffic, and systems to talk to, for the demo, the tests and the docs."""
