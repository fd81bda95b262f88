"""The tests of Suture: a mirror of the package, contract suites and journeys."""
