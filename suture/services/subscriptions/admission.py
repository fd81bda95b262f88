"""What is asked of a Subscription before it is written, and what is kept beside it in the same transaction."""

from __future__ import annotations

from typing import Any

import suture.services.subscriptions.owners as owners
from suture.access import policy
from suture.access.caller import Caller
from suture.errors import Forbidden, InvalidResource, SendFailed
from suture.services.interactions.chart import Chart
from suture.services.subscriptions.channels import Channels
from suture.standards.fhir import subscription
from suture.standards.fhir.subscription import OFF, REQUESTED, TYPE, WEBSOCKET, Wanted
from suture.store import resources, subscriptions
from suture.store.connection import Tx
from suture.store.resources import Row


class Admission:
    """The Warden of Subscriptions (interactions/chart.py)."""

    def __init__(self, chart: Chart, channels: Channels) -> None:
        self._chart = chart
        self._channels = channels

    def admit(self, caller: Caller, resource: dict[str, Any]) -> dict[str, Any]:
        """The resource as it begins: requested unless it is off; raises what says why it can't be."""
        owners.kept(caller)
        wanted = subscription.read(resource, self._chart.topics, self._chart.fhir_url)
        if wanted.criteria:  # its owner must be let in to search this
            policy.require(caller, "search-type", subscription.searched(wanted.criteria))
        if wanted.channel != WEBSOCKET:
            self._require_open(wanted)
        made = {name: value for name, value in resource.items() if name not in ("error", "_error")}
        return made | {"status": OFF if resource.get("status") == OFF else REQUESTED}

    def _require_open(self, wanted: Wanted) -> None:
        """Raises when nothing may be sent to the endpoint."""
        channel = self._channels.get(wanted.channel)
        if channel is None:
            raise InvalidResource(
                "there is no such channel here", where=f"{TYPE}.channel.type",
                mend=f"Write one of: {', '.join((*self._channels, WEBSOCKET))}.",
            )  # fmt: skip
        try:
            channel.require_open(wanted)
        except SendFailed as error:
            where = error.where if error.where.startswith(TYPE) else f"{TYPE}.channel.endpoint"
            raise InvalidResource(
                f"nothing is sent to this endpoint: {error.text}", where=where, mend=error.mend
            ) from None

    def keep(self, tx: Tx, caller: Caller, row: Row) -> None:
        """Runs inside the write; raises Forbidden when the caller has too many."""
        if row.change == resources.DELETED:
            subscriptions.drop(tx, row.rid)
            return
        resource = self._chart.read_json(row.body)
        held = resource["channel"]["type"] == WEBSOCKET
        subscriptions.ask(tx, row.rid, row.id, row.version, resource["status"], caller.id, owners.kept(caller), held)
        most = int(self._chart.settings["subscriptions.most"])
        if subscriptions.count_of(tx, caller.id) > most:
            raise Forbidden(
                f"one caller has at most {most} subscriptions", where=TYPE, mend="Delete some, or turn them off."
            )
