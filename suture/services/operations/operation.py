"""What an operation declares once; its addresses, the check of its parameters and its line in metadata come from it.

https://hl7.org/fhir/R4/operations.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from suture.access.caller import Caller
from suture.services.interactions.answer import Answer
from suture.services.interactions.chart import Access, Chart

Level = Literal["system", "type", "instance"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One input parameter. `type`: a FHIR type, or `Resource`; `search` for text that is a search value."""

    name: str
    type: str = "string"
    says: str = ""
    min: int = 0
    many: bool = False


@dataclass(slots=True)
class Asked:
    """One call of an operation: by whom, of what, with which values (JSON as FHIR writes it, or resources)."""

    chart: Chart
    caller: Caller
    operation: Operation
    type: str = ""
    id: str = ""
    values: dict[str, list[Any]] = field(default_factory=dict)
    lenient: bool = False  # Prefer: handling=lenient

    def one(self, name: str, default: Any = None) -> Any:
        """The value of a parameter that comes once; `default` when it is not there."""
        found = self.values.get(name)
        return found[0] if found else default

    def all(self, name: str) -> list[Any]:
        """The values of a parameter in their order."""
        return self.values.get(name, [])

    def frame(self) -> Access:
        """The frame it runs in: exactly one audit row, named after the operation, with its parameters' names."""
        return self.chart.access(self.caller, f"${self.operation.name}", self.type, self.id, "&".join(self.values))


Run = Callable[[Asked], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Operation:
    """A row of the table. `types`: the resource types it stands on at type and instance level; () for every type.

    `changes`: something is written, so it answers to POST alone. `run`: None when its address has a face of its own,
    such as the kick-off of an export; it stands here so that metadata lists it. `open`: names of parameters are not
    checked, such as those of a search.
    """

    name: str  # without $
    definition: str  # canonical of its OperationDefinition
    says: str
    on: tuple[Level, ...]
    run: Run | None
    types: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    changes: bool = False
    open: bool = False
    scope: str = ""  # in words, what it asks of policy

    @property
    def patterns(self) -> tuple[str, ...]:
        """Its addresses below the FHIR base."""
        made = [f"/${self.name}"] if "system" in self.on else []
        for type in self.types or ("{type}",):
            made += [f"/{type}/${self.name}"] if "type" in self.on else []
            made += [f"/{type}/{{id}}/${self.name}"] if "instance" in self.on else []
        return tuple(made)
