"""The engine of this process, for views that need its flows."""

from __future__ import annotations

from suture.engine.engine import Engine
from suture.errors import Unavailable
from suture.server.route import Request


def engine(request: Request) -> Engine:
    """Raises Unavailable where no engine runs."""
    found = request.site.engine
    if found is None:
        raise Unavailable("no engine runs in this process", where="engine", mend="Start it with: suture serve")
    return found
