"""Which items of a questionnaire are enabled by the answers that were given (https://hl7.org/fhir/R4/questionnaire.html#enable)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from suture.standards.fhir.closely.questionnaires import kind
from suture.standards.fhir.closely.rows import rows, text
from suture.standards.fhir.patch_json import equal
from suture.standards.fhir.profiles.values import order

Item = dict[str, Any]
DEEPEST = 60  # items inside items
MOST = 200  # answers to one question that are compared; with more a condition can't be told
_ORDERED: dict[str, Callable[[int], bool]] = {
    ">": lambda found: found > 0,
    "<": lambda found: found < 0,
    ">=": lambda found: found >= 0,
    "<=": lambda found: found <= 0,
}


@dataclass(slots=True)
class Given:
    """The answers of a response: by what they stand in (the response, an item, an answer) and by linkId."""

    _by: dict[tuple[int, str], list[Any]] = field(default_factory=dict)

    def read(self, within: Item, above: tuple[int, ...] = ()) -> Given:
        """Takes in everything that stands below."""
        above = (*above, id(within))
        for _, item in rows(within, "item") if len(above) < DEEPEST else ():
            for _, answer in rows(item, "answer"):
                for one in above:
                    self._add((one, text(item, "linkId")), answer)
                self.read(answer, (*above, id(item)))
            self.read(item, above)
        return self

    def _add(self, key: tuple[int, str], answer: Any) -> None:
        known = self._by.setdefault(key, [])
        if len(known) < MOST:
            known.append(answer)

    def to(self, question: str, above: Sequence[int]) -> list[Any]:
        """The answers to a question, the nearest ones: those in the same group before those elsewhere."""
        for one in reversed(above):
            if found := self._by.get((one, question)):
                return found
        return []


def enabled(item: Item, given: Given, above: Sequence[int]) -> bool | None:
    """Whether an item of the questionnaire is enabled at a place of the response; None when that can't be told."""
    found = [_holds(row, given.to(text(row, "question"), above)) for _, row in rows(item, "enableWhen")]
    if not found:
        return True
    if text(item, "enableBehavior") == "any":
        return True if True in found else None if None in found else False
    return False if False in found else None if None in found else True


def _holds(row: Item, answers: list[Any]) -> bool | None:
    operator = text(row, "operator")
    wanted = row.get(f"answer{kind(row, 'answer')}")
    if operator == "exists":
        return bool(answers) is wanted if isinstance(wanted, bool) else None
    if len(answers) == MOST:
        return None
    values = [answer.get(f"value{kind(answer, 'value')}") for answer in answers]
    if operator in ("=", "!="):
        same = [_same(one, wanted) for one in values]
        return any(same) if operator == "=" else bool(same) and not all(same)
    judge = _ORDERED.get(operator)
    if judge is None:
        return None
    compared = [order(one, wanted) for one in values]
    return True if any(one is not None and judge(one) for one in compared) else None if None in compared else False


def _same(one: Any, wanted: Any) -> bool:
    """Codings by system and code, references by their address, quantities by value and code, everything else as it is."""
    if isinstance(one, dict) and isinstance(wanted, dict):
        return all(equal(one.get(key), wanted.get(key)) for key in _telling(wanted))
    return equal(one, wanted)


def _telling(wanted: Item) -> Iterator[str]:
    keys = ("system", "code", "value", "reference")
    yield from (key for key in keys if key in wanted) if any(key in wanted for key in keys) else iter(wanted)
