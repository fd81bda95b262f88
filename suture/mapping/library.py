"""All maps at hand: those a site wrote, then those that come with the product; each is read and compiled once, when asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files as packaged
from importlib.resources.abc import Traversable

from suture.errors import InvalidFile, NotFound, Problem
from suture.mapping import language, sheet, tables
from suture.mapping import packaged as packaged_maps
from suture.mapping.compile import Compiled
from suture.mapping.model import Map
from suture.mapping.sheet import Sheet, nearest
from suture.mapping.tables import Table

SHIPPED = "suture/maps/"
NAMED = re.compile(r"^map:\s*['\"]?([^'\"#\s]+)", re.MULTILINE)

# the maps that come with the product, as they are read where no file of a site can change them: once for a process
_MAPS: dict[str, Map] = {}
_COMPILED: dict[str, Compiled] = {}
COVERS = re.compile(r"^covers:\s*\[([^\]]*)\]", re.MULTILINE)


@cache
def shipped() -> dict[str, str]:
    """Every file of the package's maps: path below maps/ -> text."""
    found: dict[str, str] = {}
    _collect(packaged("suture") / "maps", "", found)
    return found


def _collect(folder: Traversable, prefix: str, found: dict[str, str]) -> None:
    if not folder.is_dir():
        return
    for item in sorted(folder.iterdir(), key=lambda i: i.name):
        if item.is_dir():
            _collect(item, f"{prefix}{item.name}/", found)
        elif not item.name.endswith((".py", ".pyc")):
            found[prefix + item.name] = item.read_text(encoding="utf-8")


def _load(file: str, text: str) -> Sheet:
    return packaged_maps.load(text, file) if file.startswith(SHIPPED) else sheet.load(text, file)


class Library:
    """`files`: what stands in a project's maps/ folder, path below it -> text (YAML, CSV, samples)."""

    def __init__(self, files: Mapping[str, str] | None = None) -> None:
        self.files = dict(files or {})
        self._paths: dict[str, list[tuple[str, str]]] = {}  # map name -> (file, text), a site's own first
        self._covers: dict[str, str] = {}  # message structure -> map that covers it
        self._maps: dict[str, Map] = {} if self.files else _MAPS
        self._reading: list[str] = []
        self._compiled: dict[str, Compiled] = {} if self.files else _COMPILED
        for prefix, texts in (("maps/", self.files), (SHIPPED, shipped())):
            for path, text in texts.items():
                found = NAMED.search(text) if path.endswith((".yaml", ".yml")) else None
                if found:
                    self._paths.setdefault(found[1], []).append((prefix + path, text))
                    covers = COVERS.search(text)
                    for name in covers[1].split(",") if covers else ():
                        self._covers.setdefault(name.strip(), found[1])

    def names(self) -> Iterable[str]:
        return sorted(self._paths)

    def tables(self) -> Iterable[str]:
        return sorted({path for texts in (self.files, shipped()) for path in texts if path.endswith(".csv")})

    def text(self, path: str) -> str | None:
        """A file below maps/: the site's own, else the shipped one."""
        return self.files.get(path, shipped().get(path))

    def table(self, file: str) -> Table | None:
        for prefix, texts in (("maps/", self.files), (SHIPPED, shipped())):
            if file in texts:
                return tables.read(texts[file], prefix + file)
        return None

    def sheet(self, name: str, beside: str = "") -> Sheet | None:
        """The content of a map in another file than `beside`; one name may stand in a site's file and in a shipped one."""
        for file, text in self._paths.get(name, ()):
            if file != beside:
                return _load(file, text)
        return None

    def map(self, name: str) -> Map | None:
        """The map of that name; raises InvalidFile with every finding."""
        if name in self._maps:
            return self._maps[name]
        found = self._paths.get(name)
        if not found:
            return None
        file, text = found[0]
        if name in self._reading:
            way = " -> ".join([*self._reading[self._reading.index(name) :], name])
            raise InvalidFile([Problem(file, 1, 1, f"maps use each other in a circle: {way}", "Break the circle.")])
        self._reading.append(name)
        try:
            self._maps[name] = language.read_sheet(_load(file, text), file, self)
        finally:
            self._reading.pop()
        return self._maps[name]

    def of_structure(self, structure: str) -> str:
        """The name of the map that reads messages of a structure; empty when there is none."""
        own = f"hl7v2/{structure}"
        return own if own in self._paths else self._covers.get(structure, "")

    def require(self, name: str) -> Map:
        """The map of that name; raises NotFound naming the nearest."""
        made = self.map(name)
        if made is None:
            raise NotFound(f"there is no map '{name}'", where="map", mend=nearest(name, self.names()))
        return made

    def compiled(self, name: str) -> Compiled:
        """The map of that name, compiled."""
        found = self._compiled.get(name)
        if found is None:
            found = self._compiled[name] = Compiled(self.require(name))
        return found
