"""docs/subscriptions.md lists the topics that there are."""

from __future__ import annotations

from suture.standards.fhir.topics import SHIPPED, Topic
from tests import docs


def test_the_page_lists_every_topic() -> None:
    docs.check("subscriptions.md", "topics", "\n".join([HEAD, *map(_line, SHIPPED)]))


HEAD = "| criteria | when | filters | includes |\n|---|---|---|---|"


def _line(topic: Topic) -> str:
    filters = " ".join(f"`{name}`" for names in topic.filters.values() for name in names)
    return f"| `{topic.url}` | {topic.title} | {filters} | {' '.join(f'`{one}`' for one in topic.includes)} |"
