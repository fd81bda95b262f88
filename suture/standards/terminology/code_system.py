"""A code system that is held in memory: its concepts, their order, hierarchy, properties and designations.

https://hl7.org/fhir/R4/codesystem.html
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from suture.errors import InvalidResource

MOST_FAMILIES = 2_000  # codes whose descendants are remembered, in each system
DEEPEST = 200  # levels of concepts inside concepts
_TREE = {"parent": True, "subsumedBy": True, "partOf": False, "child": False}
_OFF = frozenset({"retired", "inactive"})


class Details(NamedTuple):
    """What is said of a concept besides its code, display and place."""

    properties: list[dict[str, Any]] = []
    designations: list[dict[str, Any]] = []
    definition: str = ""


NO_DETAILS = Details()


@dataclass(slots=True)
class CodeSystem:
    """`head`: the elements of the resource apart from its concepts; `displays`: every code, in order."""

    head: Mapping[str, Any]
    displays: dict[str, str]
    parents: dict[str, tuple[str, ...]]
    details: dict[str, Details]
    _children: dict[str, list[str]] | None = field(default=None, repr=False)
    _folded: dict[str, str] | None = field(default=None, repr=False)
    _named: frozenset[str] | None = field(default=None, repr=False)
    _families: dict[str, frozenset[str]] = field(default_factory=dict, repr=False)
    _places: dict[str, int] | None = field(default=None, repr=False)
    _text: tuple[str, list[int], list[str]] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return str(self.head.get("url", ""))

    @property
    def version(self) -> str:
        return str(self.head.get("version", ""))

    @property
    def name(self) -> str:
        return str(self.head.get("title") or self.head.get("name") or self.url)

    @property
    def whole(self) -> bool:
        """Whether a code that is not here does not exist."""
        return self.head.get("content") == "complete"

    def find(self, code: str) -> str | None:
        """The code as the system writes it; another case is the same code where the system says so."""
        if code in self.displays:
            return code
        if self.head.get("caseSensitive") is not False:
            return None
        if self._folded is None:
            self._folded = {one.casefold(): one for one in self.displays}
        return self._folded.get(code.casefold())

    def of(self, code: str) -> Details:
        return self.details.get(code, NO_DETAILS)

    @property
    def children(self) -> dict[str, list[str]]:
        """Code -> the codes right below it, in their order."""
        if self._children is None:
            found: dict[str, list[str]] = {}
            for code, above in self.parents.items():
                for parent in above:
                    found.setdefault(parent, []).append(code)
            self._children = found
        return self._children

    def below(self, code: str) -> frozenset[str]:
        """The code with all that it subsumes; empty for a code that is not here."""
        known = self._families.get(code)
        if known is None:
            known = _reached(code, self.children) if code in self.displays else frozenset()
            if known and len(self._families) < MOST_FAMILIES:
                self._families[code] = known
        return known

    def above(self, code: str) -> frozenset[str]:
        """The code with all that subsume it; empty for a code that is not here."""
        return _reached(code, self.parents) if code in self.displays else frozenset()

    def in_order(self, codes: Iterable[str]) -> list[str]:
        """These codes as the system lists them."""
        if self._places is None:
            self._places = {code: at for at, code in enumerate(self.displays)}
        return sorted(codes, key=self._places.__getitem__)

    def having(self, words: Sequence[str]) -> frozenset[str]:
        """The codes in whose text (code, display, designations) every word stands; words are casefolded."""
        if not words:
            return frozenset(self.displays)
        text, starts, codes = self._searched()
        rarest, found, at = min(words, key=text.count), [], 0
        while (at := text.find(rarest, at)) >= 0:
            number = bisect_right(starts, at) - 1
            end = starts[number + 1] if number + 1 < len(starts) else len(text)
            line = text[starts[number] : end]
            if all(word in line for word in words):
                found.append(codes[number])
            at = end
        return frozenset(found)

    def _searched(self) -> tuple[str, list[int], list[str]]:
        """All texts as one, so that a word is found at the speed of memory; where each code's begins; the codes."""
        if self._text is None:
            parts, starts, length = [], [], 0
            for code, display in self.displays.items():
                said = "\n".join([code, display, *(str(d.get("value", "")) for d in self.of(code).designations)])
                parts.append(said.casefold() + "\n")
                starts.append(length)
                length += len(parts[-1])
            self._text = "".join(parts), starts, list(self.displays)
        return self._text

    def values(self, code: str, name: str) -> list[str]:
        """The values of a property as texts."""
        if name in ("concept", "code"):
            return [code]
        if name == "display":
            return [self.displays[code]]
        if name == "parent":
            return list(self.parents.get(code, ()))
        if name == "child":
            return self.children.get(code, [])
        found = [text_of(p) for p in self.of(code).properties if p.get("code") == name]
        return found or ([str(self.inactive(code)).lower()] if name == "inactive" else [])

    def has_property(self, name: str) -> bool:
        """Whether the system declares or uses a property of this name."""
        if self._named is None:
            used = {str(p.get("code")) for d in self.details.values() for p in d.properties}
            told = {str(p.get("code")) for p in self.head.get("property", [])}
            self._named = frozenset({"concept", "code", "display", "parent", "child", "inactive", *used, *told})
        return name in self._named

    def inactive(self, code: str) -> bool:
        return code in self.details and any(
            (p.get("code") == "inactive" and p.get("valueBoolean") is True)
            or (p.get("code") == "status" and p.get("valueCode") in _OFF)
            for p in self.of(code).properties
        )

    def deprecated(self, code: str) -> bool:
        """Whether it has a date since which it is not to be used for what is new."""
        return code in self.details and any(p.get("code") == "deprecationDate" for p in self.of(code).properties)

    def abstract(self, code: str) -> bool:
        """Whether it only groups others and is not to be chosen itself."""
        return code in self.details and any(
            p.get("code") == "notSelectable" and p.get("valueBoolean") is True for p in self.of(code).properties
        )


def _reached(code: str, links: Mapping[str, Iterable[str]]) -> frozenset[str]:
    found, left = {code}, [code]
    while left:
        new = [one for one in links.get(left.pop(), ()) if one not in found]
        found.update(new)
        left += new
    return frozenset(found)


def text_of(row: Mapping[str, Any]) -> str:
    """A property's value as a filter writes it: true, 2020-01-01, the code of a Coding."""
    value = next((v for k, v in row.items() if k.startswith("value")), "")
    if isinstance(value, dict):
        return str(value.get("code", ""))
    return str(value).lower() if isinstance(value, bool) else str(value)


def of_resource(resource: Mapping[str, Any]) -> CodeSystem:
    """The code system that a CodeSystem resource holds; raises InvalidResource for one that can't be used."""
    displays: dict[str, str] = {}
    parents: dict[str, tuple[str, ...]] = {}
    details: dict[str, Details] = {}
    adopted: list[tuple[str, str]] = []
    for concept, parent in _walk(resource.get("concept", []), "", 0):
        code = str(concept.get("code", ""))
        displays.setdefault(code, str(concept.get("display", "")))
        kin = [(p["code"], text_of(p)) for p in concept.get("property", []) if p.get("code") in _TREE]
        above = [parent] if parent else []
        above += [value for name, value in kin if _TREE[name]]
        parents[code] = tuple(dict.fromkeys([*parents.get(code, ()), *above]))
        adopted += [(value, code) for name, value in kin if name == "child"]
        own = Details(concept.get("property", []), concept.get("designation", []), concept.get("definition", ""))
        if any(own):
            details[code] = own
    for child, parent in adopted:
        if child in displays and parent not in parents[child]:
            parents[child] = (*parents[child], parent)
    head = {key: value for key, value in resource.items() if key not in ("concept", "text")}
    return CodeSystem(head, displays, {code: above for code, above in parents.items() if above}, details)


def _walk(concepts: Iterable[Any], parent: str, depth: int) -> Iterator[tuple[dict[str, Any], str]]:
    if depth > DEEPEST:
        raise InvalidResource(f"concepts stand more than {DEEPEST} deep", where="CodeSystem.concept")
    for concept in concepts:
        yield concept, parent
        yield from _walk(concept.get("concept", []), str(concept.get("code", "")), depth + 1)


def supplemented(system: CodeSystem, supplements: Iterable[CodeSystem]) -> CodeSystem:
    """The system with the designations and properties that its supplements add."""
    details = dict(system.details)
    for more in supplements:
        for code, added in more.details.items():
            was = details.get(code, NO_DETAILS)
            details[code] = Details(
                [*was.properties, *added.properties], [*was.designations, *added.designations], was.definition
            )
    return CodeSystem(system.head, system.displays, system.parents, details)
