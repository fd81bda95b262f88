"""docs/subscriptions.md lists the topics that there are."""

from __future__ import annotations

from suture.services.subscriptions import topic_file
from suture.standards.fhir.topics import SHIPPED, Topic
from tests import docs


def test_the_page_lists_every_topic() -> None:
    docs.check("subscriptions.md", "topics", "\n".join([HEAD, *map(_line, SHIPPED)]))


HEAD = "| criteria | when | filters | includes |\n|---|---|---|---|"


def _line(topic: Topic) -> str:
    filters = " ".join(f"`{name}`" for names in topic.filters.values() for name in names)
    return f"| `{topic.url}` | {topic.title} | {filters} | {' '.join(f'`{one}`' for one in topic.includes)} |"


def test_the_example_of_the_page_is_right() -> None:
    page = (docs.ROOT / "docs" / "subscriptions.md").read_text(encoding="utf-8")
    text = page.partition("```yaml\n")[2].partition("```")[0]
    found, problems = topic_file.lint(text, "topics/example.yaml")
    assert found is not None, problems.found
