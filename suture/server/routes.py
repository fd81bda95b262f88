"""THE table: every address of the web side with its method, handler, access and scope."""

from __future__ import annotations

from suture.server import fhir, health, hooks, sign_in
from suture.server.route import Route

TABLE: tuple[Route, ...] = (*health.ROUTES, *fhir.ROUTES, *sign_in.ROUTES, *hooks.ROUTES)
