"""What the console's views are made of: pages are drawn from these, /api answers them, /api/openapi.json describes them."""

from __future__ import annotations

from typing import TypedDict


class RunRow(TypedDict):
    """A run in a list."""

    id: str
    flow: str
    version: str
    state: str
    step: str
    started: str
    ended: str
    error: str
    replayed: bool
    replay: bool


class MessageRow(TypedDict):
    """A message in a list; names nobody."""

    id: str
    received: str
    source: str
    kind: str
    type: str
    control_id: str
    state: str
    flagged: bool
    runs: list[RunRow]


class MessagePage(TypedDict):
    """Messages, the newest first; `older` is the cursor of the next page, empty on the last."""

    messages: list[MessageRow]
    older: str


class Figures(TypedDict):
    """The last hour, and what is open now; `at_least` names those that were counted no further."""

    received: int
    done: int
    failed: int
    unrouted: int
    running: int
    waiting: int
    retrying: int
    ambiguous: int
    dead: int
    at_least: list[str]


class LetterRow(TypedDict):
    """A dead letter."""

    id: str
    at: str
    flow: str
    step: str
    code: str
    reason: str
    message: str
    type: str
    run: str
    open: bool
    closed: str
    closed_by: str
    replayed_as: str


class LetterPage(TypedDict):
    """Dead letters, the newest first; `older` is the cursor of the next page."""

    letters: list[LetterRow]
    open: dict[str, int]
    older: str


class MessageView(TypedDict):
    """One message; `original` and `answer` are masked unless `revealed`."""

    message: MessageRow
    revealed: bool
    patients: list[str]
    original: str
    answer: str
    same_control_id: list[MessageRow]
    letters: list[LetterRow]


class LineageRow(TypedDict):
    """Which target came from which source by which row of a map."""

    target: str
    source: str
    row: str


class StepView(TypedDict):
    """One step of a run; `input_of` names the step whose output it read, or `original`."""

    step: str
    uses: str
    names: str
    state: str
    error: str
    at: str
    input_of: str
    input: str
    output: str
    lineage: list[LineageRow]
    loss: list[str]
    warnings: list[str]


class AttemptView(TypedDict):
    """One try of a delivery."""

    at: str
    took_ms: float
    outcome: str
    answer: str
    error: str


class DeliveryView(TypedDict):
    """One send to one destination, with the exact bytes and every attempt."""

    id: str
    step: str
    connection: str
    kind: str
    state: str
    created: str
    next: str
    ended: str
    head: str
    content: str
    size: int
    attempts: list[AttemptView]


class RunView(TypedDict):
    """One run with its timeline; contents are masked unless `revealed`."""

    run: RunRow
    title: str
    message: MessageRow
    revealed: bool
    lane: str
    took_ms: float
    original: str
    unreadable: str
    steps: list[StepView]
    deliveries: list[DeliveryView]
    letters: list[LetterRow]
    replay_of: str
    replayed_by: str


class WaitingDelivery(TypedDict):
    """A delivery that has not come to its end."""

    id: str
    run: str
    flow: str
    step: str
    connection: str
    state: str
    attempts: int
    created: str
    next: str
    error: str


class WaitingView(TypedDict):
    """What has not come to its end and waits: runs, and deliveries that are tried again or whose outcome is not known."""

    runs: list[RunRow]
    retrying: list[WaitingDelivery]
    ambiguous: list[WaitingDelivery]


class LossRow(TypedDict):
    """A source field that came filled and that no row of a map read."""

    field: str
    count: int
    share: float
    run: str


class FeedLoss(TypedDict):
    """The losses of one flow over the last runs that were looked at."""

    flow: str
    title: str
    looked: int
    fields: list[LossRow]


class LossView(TypedDict):
    """Losses by flow."""

    feeds: list[FeedLoss]


class Done(TypedDict):
    """What a changing request came to."""

    said: str
    run: str
    count: int
    left: int


class MatchSide(TypedDict):
    """One of two records that may be of one person."""

    id: str
    name: str
    birth_date: str
    gender: str
    updated: str


class MatchRow(TypedDict):
    """Two records that may be of one person; `score`: how probable that is, `agree` and `differ` say why."""

    id: str
    state: str
    grade: str
    score: float
    found: str
    due: str
    decided: str
    decided_by: str
    agree: list[str]
    differ: list[str]
    records: list[MatchSide]


class MatchPage(TypedDict):
    """Pairs, the likeliest first; `older` is the cursor of the next page."""

    matches: list[MatchRow]
    older: str


class MatchLine(TypedDict):
    """One kind of value in both records; `how`: same, alike (some are the same), differs, one (only one has any), told (not compared)."""

    name: str
    one: list[str]
    other: list[str]
    how: str


class MatchView(TypedDict):
    """A pair with both records side by side; `linked`: one of them names the other."""

    match: MatchRow
    linked: bool
    lines: list[MatchLine]


class GlassRow(TypedDict):
    """One emergency in which a record was opened."""

    id: str
    name: str
    patient: str
    reason: str
    opened: str
    expires: str
    open: bool
    own: bool
    reviewer: str


class GlassView(TypedDict):
    """One's own emergencies, and those that nobody has looked at."""

    own: list[GlassRow]
    waiting: list[GlassRow]


class SubscriptionRow(TypedDict):
    """How a subscription stands; `place` is a machine or a domain, `waiting` counts events that did not go out yet."""

    id: str
    about: str
    owner: str
    channel: str
    place: str
    status: str
    events: int
    waiting: int
    tries: int
    next: str
    since: str
    last: str
    error: str


class SubscriptionPage(TypedDict):
    """Subscriptions, the newest first; `counts` by status, `older` is the cursor of the next page."""

    subscriptions: list[SubscriptionRow]
    counts: dict[str, int]
    older: str
