"""THE table: every address of the web side with its method, handler, access and scope."""

from __future__ import annotations

from suture.server import (
    bulk,
    bulk_import,
    contact,
    fhir,
    gateway,
    graphql,
    health,
    hooks,
    metrics,
    operations,
    sign_in,
)
from suture.server.admin import (
    clients,
    ehi,
    files,
    gateway_figures,
    glass,
    inventory,
    letters,
    losses,
    matches,
    messages,
    openapi,
    partners,
    runs,
    searchable,
    subscriptions,
    trail,
    waiting,
)
from suture.server.auth import ask, authorize, brands, discovery, launch, register, token
from suture.server.own import record, sharing
from suture.server.people import account, federated, invited, second, staff
from suture.server.route import Route

_MESSAGES = (*messages.ROUTES, *runs.ROUTES, *letters.ROUTES, *waiting.ROUTES, *losses.ROUTES, *subscriptions.ROUTES)
_CONSOLE = (
    *files.ROUTES,
    *_MESSAGES,
    *clients.ROUTES,
    *partners.ROUTES,
    *inventory.ROUTES,
    *searchable.ROUTES,
    *gateway_figures.ROUTES,
    *trail.ROUTES,
    *ehi.ROUTES,
    *matches.ROUTES,
)
_PEOPLE = (*second.ROUTES, *account.ROUTES, *staff.ROUTES, *invited.ROUTES, *federated.ROUTES, *glass.ROUTES)
_OWN = (*record.ROUTES, *sharing.ROUTES)
_OPEN = (*health.ROUTES, *contact.ROUTES, *metrics.ROUTES, *sign_in.ROUTES, *hooks.ROUTES)
_TOKENS = (*discovery.ROUTES, *token.ROUTES, *register.ROUTES, *brands.ROUTES)
_AUTH = (*_TOKENS, *authorize.ROUTES, *ask.ROUTES, *launch.ROUTES)
_TABLE = (
    *_OPEN,
    *fhir.ROUTES,
    *operations.ROUTES,
    *bulk.ROUTES,
    *bulk_import.ROUTES,
    *graphql.ROUTES,
    *_CONSOLE,
    *_PEOPLE,
    *_OWN,
    *_AUTH,
    *gateway.handlers((*fhir.ROUTES, *operations.ROUTES)),
)
TABLE: tuple[Route, ...] = (*_TABLE, *openapi.routes(_TABLE))
