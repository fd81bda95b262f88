"""Finds the route of a path: a tree of segments in which a literal wins over a parameter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote

from suture.errors import NotAllowed, NotFound
from suture.server.route import Route


class MethodNotOffered(NotAllowed):
    """The address is there, this method is not."""

    def __init__(self, method: str, offered: list[str]) -> None:
        super().__init__(f"{method[:20]} is not offered here", where="method", mend=f"Offered: {', '.join(offered)}.")
        self.offered = offered


@dataclass(slots=True)
class _Node:
    literals: dict[str, _Node] = field(default_factory=dict)
    parameter: _Node | None = None
    rest: _Node | None = None  # takes all that is left
    routes: dict[str, tuple[Route, tuple[str, ...]]] = field(default_factory=dict)


class Router:
    """Built once from the table; HEAD is answered by GET's route."""

    def __init__(self, table: Iterable[Route]) -> None:
        self._root = _Node()
        for route in table:
            self._add(route)

    def _add(self, route: Route) -> None:
        node, names = self._root, []
        for segment in _segments(route.pattern):
            if segment.startswith("{"):
                names.append(segment.strip("{.}"))
            node = _child(node, segment)
        if route.method in node.routes:
            raise ValueError(f"two routes for {route.method} {route.pattern}")
        node.routes[route.method] = (route, tuple(names))

    def find(self, method: str, raw_path: str) -> tuple[Route, dict[str, str]]:
        """The route and its parameters; raises NotFound, or NotAllowed naming what is allowed."""
        segments = _segments(raw_path)
        found = _walk(self._root, segments, 0, [])
        if found is None:
            raise NotFound("nothing at this address", where="url")
        node, values = found
        chosen = node.routes.get("GET" if method == "HEAD" else method)
        if chosen is None:
            raise MethodNotOffered(method, sorted(node.routes))
        route, names = chosen
        return route, dict(zip(names, map(unquote, values), strict=True))


def _segments(path: str) -> list[str]:
    """One slash at either end is passed over: of `//fhir` whoever stands before us may make another address."""
    return path.removeprefix("/").removesuffix("/").split("/")


def _child(node: _Node, segment: str) -> _Node:
    if segment.endswith("...}"):
        node.rest = node.rest or _Node()
        return node.rest
    if segment.startswith("{"):
        node.parameter = node.parameter or _Node()
        return node.parameter
    return node.literals.setdefault(segment, _Node())


def _walk(node: _Node, segments: list[str], at: int, values: list[str]) -> tuple[_Node, list[str]] | None:
    if at == len(segments):
        return (node, values) if node.routes else None
    segment = segments[at]
    literal = node.literals.get(segment)
    found = _walk(literal, segments, at + 1, values) if literal else None
    if found is None and node.parameter is not None and segment:
        found = _walk(node.parameter, segments, at + 1, [*values, segment])
    if found is None and node.rest is not None:
        found = (node.rest, [*values, "/".join(segments[at:])])
    return found
