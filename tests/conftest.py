"""What holds for every test: no test is timed (a loaded machine is slow), so Hypothesis sets no deadline either."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
