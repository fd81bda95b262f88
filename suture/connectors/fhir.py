"""Reads from and writes to any FHIR R4 server: pages, find before create, If-None-Exist, If-Match.

https://hl7.org/fhir/R4/http.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote

from suture.connectors.http import HttpSender, Request
from suture.errors import Invalid, InvalidSyntax, SendFailed, TooLarge
from suture.ports import Answer
from suture.standards.fhir import json

Resource = dict[str, Any]
Merge = Callable[
    [Resource | None, Resource, str], Resource | None
]  # (stored, new, fullUrl) -> what is written, if anything

MEDIA = "application/fhir+json"
_READ = {"Accept": MEDIA}
_WRITE = {"Accept": MEDIA, "Content-Type": MEDIA, "Prefer": "return=minimal"}


def replaced(_stored: Resource | None, new: Resource, _url: str) -> Resource:
    """The new resource as it is."""
    return new


class FhirSender:
    """One FHIR server, through one connection."""

    def __init__(self, http: HttpSender) -> None:
        self.http = http
        self.where = http.connection.id

    async def close(self) -> None:
        await self.http.close()

    async def search(self, kind: str, pairs: Sequence[tuple[str, str]], pages: int = 1) -> Resource:
        """The matches of up to `pages` pages as one searchset."""
        entries: list[Resource] = []
        path, query = kind, tuple(pairs)
        for _ in range(pages):
            bundle = await self.page(path, query)
            entries += listed(bundle)
            path, query = next_link(bundle), ()
            if not path:
                break
        return {"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries}

    async def page(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Resource:
        """One page: a search, or the link to the next one, which must stay below the base."""
        answer = await self.http.send(Request("GET", path, query, _READ))
        bundle = self._body(answer)
        if bundle.get("resourceType") != "Bundle":
            raise SendFailed("the answer to a search is not a Bundle", where=self.where, answer=str(answer.status))
        return bundle

    async def write(self, content: Resource, merge: Merge = replaced) -> Resource:
        """Writes a resource, or the entries of a Bundle one by one in the order of their references; safe to repeat."""
        entries = content.get("entry") if content.get("resourceType") == "Bundle" else [{"resource": content}]
        if not isinstance(entries, list):
            raise Invalid("a Bundle without entries", where="Bundle.entry", mend="Map at least one resource.")
        known: dict[str, str] = {}
        done = []
        for entry in ordered(entries):
            written = await self._entry(entry, known, merge)
            done.append({"response": written})
            if entry.get("fullUrl") and written.get("location"):
                known[str(entry["fullUrl"])] = "/".join(str(written["location"]).split("/")[:2])
        return {"resourceType": "Bundle", "type": "batch-response", "entry": done}

    async def _entry(self, entry: Resource, known: Mapping[str, str], merge: Merge) -> Resource:
        resource = with_references(entry.get("resource") or {}, known)
        request = entry.get("request") or {}
        kind = str(resource.get("resourceType") or "")
        method, url = str(request.get("method") or "PUT"), str(request.get("url") or "")
        if method == "DELETE":
            return await self._delete(url)
        if not kind:
            raise Invalid(
                "an entry without a resource", where="Bundle.entry.resource", mend="Map a resource or a delete."
            )
        condition = str(request.get("ifNoneExist") or "") or url.partition("?")[2] or _by_identifier(resource)
        if method == "PUT" and "/" in url and "?" not in url:
            return await self._put(url, resource, "")
        if not condition:
            return await self._create(kind, resource, "")
        found = await self._find(kind, condition)
        made = merge(found, resource, str(entry.get("fullUrl") or ""))
        if found is None:
            return await self._create(kind, made or resource, condition)
        if method == "POST" or made is None or made == found:
            return _response("200", f"{kind}/{found['id']}")
        return await self._replace(kind, found, made)

    async def _find(self, kind: str, condition: str) -> Resource | None:
        """The one resource that fits; raises SendFailed when several do."""
        bundle = await self.page(kind, [*parse_qsl(condition, keep_blank_values=True), ("_count", "2")])
        found = [e["resource"] for e in listed(bundle) if e["resource"].get("resourceType") == kind]
        if len(found) > 1:
            raise SendFailed(
                f"several {kind} fit the identifier",
                where=self.where,
                mend="Merge them there; then replay.",
                answer="412",
            )
        return found[0] if found else None

    async def _create(self, kind: str, resource: Resource, condition: str) -> Resource:
        headers = {**_WRITE, **({"If-None-Exist": condition} if condition else {})}
        body = json.write({k: v for k, v in resource.items() if k != "id"})
        answer = await self.http.send(Request("POST", kind, (), headers, body, repeatable=bool(condition)))
        return _response(f"{answer.status}", self._location(kind, answer), answer.headers.get("etag", ""))

    async def _replace(self, kind: str, found: Resource, resource: Resource) -> Resource:
        version = table(found.get("meta")).get("versionId")
        where = f"{kind}/{quote(str(found['id']), safe='')}"
        return await self._put(where, {**resource, "id": found["id"]}, f'W/"{version}"' if version else "")

    async def _put(self, url: str, resource: Resource, match: str) -> Resource:
        headers = {**_WRITE, **({"If-Match": match} if match else {})}
        answer = await self.http.send(Request("PUT", url, (), headers, json.write(resource)))
        return _response(f"{answer.status}", url, answer.headers.get("etag", ""))

    async def _delete(self, url: str) -> Resource:
        answer = await self.http.send(Request("DELETE", url, (), _READ), accepted=(404, 410))
        return _response(f"{answer.status}", "")

    def _location(self, kind: str, answer: Answer) -> str:
        """`Type/id` of what was created, from Location or the body."""
        parts = answer.headers.get("location", "").split("/_history/")[0].rstrip("/").split("/")
        if len(parts) > 1 and parts[-2] == kind:
            return f"{kind}/{parts[-1]}"
        body = self._body(answer) if answer.body else {}
        return f"{kind}/{body['id']}" if body.get("id") else ""

    def _body(self, answer: Answer) -> Resource:
        try:
            body = json.read(answer.body)
        except (InvalidSyntax, TooLarge) as error:
            raise SendFailed("the answer is not FHIR JSON", where=self.where, answer=str(answer.status)) from error
        return body


def listed(bundle: Resource) -> list[Resource]:
    """The entries of a searchset that are matches or includes, each with a resource; outcomes are left out."""
    entries = bundle.get("entry")
    return [
        e
        for e in (entries if isinstance(entries, list) else [])
        if isinstance(e, dict)
        and isinstance(e.get("resource"), dict)
        and table(e.get("search")).get("mode") != "outcome"
        and e["resource"].get("resourceType") != "OperationOutcome"
    ]


def table(value: Any) -> Mapping[str, Any]:
    """A JSON object, or an empty one when something else stands there: other servers may send anything."""
    return value if isinstance(value, dict) else {}


def next_link(bundle: Resource) -> str:
    links = bundle.get("link")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("relation") == "next":
            return str(link.get("url") or "")
    return ""


def _by_identifier(resource: Resource) -> str:
    """The search that finds this resource by its first identifier with a system; '' when it has none."""
    listed_ = resource.get("identifier")
    for one in listed_ if isinstance(listed_, list) else [listed_]:
        if isinstance(one, dict) and one.get("system") and one.get("value"):
            return f"identifier={quote(str(one['system']), safe='')}%7C{quote(str(one['value']), safe='')}"
    return ""


def _response(status: str, location: str, etag: str = "") -> Resource:
    found = {"status": status}
    if location:
        found["location"] = location
    if etag:
        found["etag"] = etag
    return found


def references(value: Any) -> Iterator[str]:
    """Every literal reference inside a value."""
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def ordered(entries: Sequence[Resource]) -> list[Resource]:
    """The entries with what is referred to first; those in a circle keep their order."""
    urls = {str(e.get("fullUrl")): e for e in entries if isinstance(e, dict) and e.get("fullUrl")}
    done: dict[int, Resource] = {}

    def place(entry: Resource, path: frozenset[int]) -> None:
        if id(entry) in done or id(entry) in path:
            return
        for reference in references(entry.get("resource")):
            if reference in urls:
                place(urls[reference], path | {id(entry)})
        done[id(entry)] = entry

    for entry in entries:
        if isinstance(entry, dict):
            place(entry, frozenset())
    return list(done.values())


def with_references(value: Any, known: Mapping[str, str]) -> Any:
    """The value with references to already written entries replaced by where they were written."""
    if isinstance(value, dict):
        return {
            key: known.get(item, item) if key == "reference" and isinstance(item, str) else with_references(item, known)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [with_references(item, known) for item in value]
    return value
