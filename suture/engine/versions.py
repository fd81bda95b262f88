"""The versions of flows in force and of runs that began earlier; each is kept in the store with all its texts."""

from __future__ import annotations

from collections.abc import Mapping

from suture.engine import flow as flow_file
from suture.engine import project
from suture.engine.plan import Flow
from suture.engine.project import Project
from suture.engine.walk import Version
from suture.mapping.library import Library
from suture.store import definitions
from suture.store.connection import Connection, Tx
from suture.store.definitions import Definition


class Versions:
    """`active` holds the project's flows by id; `get` finds any version, also an older one."""

    def __init__(self, found: Project) -> None:
        self.active: dict[str, Version] = {}
        self._known: dict[str, Version] = {}
        self._definitions: list[Definition] = []
        for flow in found.flows.values():
            if flow.enabled:
                self._activate(flow, found.library, found.map_files)

    def _activate(self, flow: Flow, library: Library, files: Mapping[str, str]) -> None:
        parts = _parts(flow, library, files)
        name = project.version(flow, parts)
        version = compiled(name, flow, library)
        self.active[flow.id] = self._known[name] = version
        self._definitions.append(Definition(name, flow.id, flow.file, flow.text, parts))

    def keep(self, tx: Tx) -> None:
        """The unit that keeps the texts of the active versions."""
        for definition in self._definitions:
            definitions.keep(tx, definition)

    def get(self, connection: Connection, name: str) -> Version:
        """A version by its name; raises NotFound, or InvalidFile when this Suture can no longer read it."""
        if name not in self._known:
            self._known[name] = _revived(definitions.get(connection, name))
        return self._known[name]


def compiled(name: str, flow: Flow, library: Library) -> Version:
    used = {str(step.with_["map"]) for step in flow.each() if step.uses == "map"}
    return Version(name, flow, {one: library.compiled(one) for one in sorted(used)})


def _parts(flow: Flow, library: Library, files: Mapping[str, str]) -> dict[str, str]:
    """The project's map files, when the flow maps at all."""
    return dict(files) if any(step.uses == "map" for step in flow.each()) else {}


def _revived(definition: Definition) -> Version:
    """An older version from its texts; its connections may be gone, that is told when it sends."""
    library = Library(files=definition.parts)
    known = flow_file.Known(None, lambda name: project.map_problem(library, name))
    return compiled(definition.version, flow_file.read(definition.text, definition.file, known), library)
