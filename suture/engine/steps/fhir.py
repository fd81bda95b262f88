"""Steps that search and write FHIR: in the own chart inside the run's transaction, elsewhere as a delivery."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from suture.engine.catalog import LOCAL
from suture.engine.plan import Step
from suture.engine.walk import DONE, LocalSearch, LocalWrite, Request, Send, Walk, Walking
from suture.errors import Invalid
from suture.standards.fhir import json


def search(walk: Walk, step: Step) -> Walking:
    kind, pages = str(step.with_["type"]), int(step.with_["pages"] or 1)
    asked = walk.render(step.with_["search"] or {}, f"{step.id}: search")
    pairs = tuple(
        (name, str(item)) for name, value in asked.items() for item in (value if isinstance(value, list) else [value])
    )
    connection = str(step.with_["connection"])
    if connection == LOCAL:
        request: Request = LocalSearch(step, kind, pairs, pages)
    else:
        request = Send(
            step, "fhir.search", connection, {"type": kind, "search": [list(p) for p in pairs], "pages": pages}, b""
        )
    walk.result(step, (yield from walk.ask(request)))
    return DONE


def write(walk: Walk, step: Step) -> Walking:
    content = walk.chosen(step.with_["from"], walk.content)
    if not isinstance(content, dict) or "resourceType" not in content:
        raise Invalid(
            "the content is no FHIR resource", where=step.id, mend="Map it first, or name a resource under from:."
        )
    connection = str(step.with_["connection"])
    merges = dict(walk.merges) if walk.mapped else None
    if connection == LOCAL:
        request: Request = LocalWrite(step, transaction(content), merges)
    else:
        head = {"merges": merges, "on_ambiguous": step.with_["on_ambiguous"]}
        request = Send(step, "fhir.write", connection, head, json.write(content))
    walk.result(step, joined(content, spread((yield from walk.ask(request)))))
    return DONE


def compact(answer: dict[str, Any]) -> dict[str, Any]:
    """A transaction-response as it is kept: only where each entry was written."""
    return {"written": [(done.get("response") or {}).get("location", "") for done in answer["entry"]]}


def spread(kept: Any) -> Any:
    """The transaction-response again."""
    if not isinstance(kept, dict) or "written" not in kept:
        return kept
    entries = [
        {"response": {"status": "200", "location": place} if place else {"status": "200"}} for place in kept["written"]
    ]
    return {"resourceType": "Bundle", "type": "transaction-response", "entry": entries}


def joined(content: dict[str, Any], answer: Any) -> Any:
    """What was written beside where it was written: the output of a write, without keeping the content twice."""
    responses = answer.get("entry") if isinstance(answer, dict) else None
    if not isinstance(responses, list):
        return answer
    sent = content.get("entry") if content["resourceType"] == "Bundle" else [{"resource": content}]
    sent = sent if isinstance(sent, list) and len(sent) == len(responses) else [{}] * len(responses)
    return {**answer, "entry": [_joined(one, done) for one, done in zip(sent, responses, strict=True)]}


def _joined(sent: dict[str, Any], done: dict[str, Any]) -> dict[str, Any]:
    resource, place = sent.get("resource"), str((done.get("response") or {}).get("location") or "").split("/")
    if not isinstance(resource, dict):
        return done
    return {"resource": {**resource, "id": place[1]} if len(place) > 1 else resource, **done}


def transaction(content: dict[str, Any]) -> dict[str, Any]:
    """The content as a transaction: a lone resource is written where its identifier says, else created."""
    if content["resourceType"] == "Bundle" and content.get("type") in ("transaction", "batch"):
        return {**content, "type": "transaction"}
    resources = [content]
    if content["resourceType"] == "Bundle":
        resources = [e["resource"] for e in content.get("entry") or () if isinstance(e, dict) and e.get("resource")]
    return {"resourceType": "Bundle", "type": "transaction", "entry": [_entry(r) for r in resources]}


def _entry(resource: dict[str, Any]) -> dict[str, Any]:
    kind = str(resource.get("resourceType"))
    if resource.get("id"):
        return {"resource": resource, "request": {"method": "PUT", "url": f"{kind}/{resource['id']}"}}
    listed = resource.get("identifier")
    for one in listed if isinstance(listed, list) else [listed]:
        if isinstance(one, dict) and one.get("system") and one.get("value"):
            query = f"identifier={quote(str(one['system']), safe=':/')}|{quote(str(one['value']), safe='')}"
            return {"resource": resource, "request": {"method": "PUT", "url": f"{kind}?{query}"}}
    return {"resource": resource, "request": {"method": "POST", "url": kind}}
