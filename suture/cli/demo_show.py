"""What `suture demo` prints: a progress bar, live counts, the table of figures, and what to try."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from suture.cli.demo_site import Site
from suture.sandbox.walk import Sent
from suture.store.queue.dead import DeadLetter


@dataclass(slots=True)
class Figures:
    """What the walk came to."""

    sent: Sent
    messages: Counter[str]
    deliveries: Counter[str]
    retried: int
    letters: list[DeadLetter]
    resources: dict[str, int]
    written_back: int
    charges: int
    refusals: int
    resources_loaded: int
    family: int


FLOWS = (
    "  HL7 v2 feed    a hospital's ADT and ORU over MLLP become charts; acknowledged after they are on disk",
    "  Intake forms   a web form finds its patient in the EHR or creates one, is charted, and is written back",
    "  Billing        each final result goes to a REST API that is slow and sometimes answers 503",
)


class Show:
    """Prints on one console; `step` begins a part of the walk, `live` renews its counts."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress = Progress(
            TextColumn("{task.description}", table_column=Column(min_width=18, no_wrap=True)), BarColumn(16),
            TextColumn("{task.fields[counts]}", table_column=Column(no_wrap=True)), TimeElapsedColumn(),
            console=console,
        )  # fmt: skip
        self._task: TaskID | None = None

    def begin(self, folder: Path | None) -> None:
        self.console.print("[bold]Suture demo[/]  everything on this machine, all people synthetic")
        if folder:
            self.console.print(f"[dim]Project {folder / 'hub'}, keys {folder / 'keys'}[/]")
        for line in FLOWS:
            self.console.print(line)
        self._progress.start()

    def step(self, title: str, total: int) -> None:
        self._finish()
        self._task = self._progress.add_task(title, total=total or None, counts="")

    def advance(self) -> None:
        if self._task is not None:
            self._progress.advance(self._task)

    def live(self, states: Counter[str], letters: int, requests: int, refused: int, charges: int) -> None:
        if self._task is None:
            return
        parts = [f"{count} {state}" for state, count in sorted(states.items())]
        billing = f"billing: {charges} delivered, {refused} of {requests} tries answered 503" if requests else ""
        dead = f"{letters} dead letter" if letters else ""
        self._progress.update(self._task, counts=" · ".join(p for p in (", ".join(parts), billing, dead) if p))

    def end(self) -> None:
        self._finish()
        self._progress.stop()

    def _finish(self) -> None:
        if self._task is None:
            return
        task = next(t for t in self._progress.tasks if t.id == self._task)
        total = task.total or 1
        self._progress.update(self._task, total=total, completed=total)

    def figures(self, f: Figures) -> None:
        table = Table(
            "what", "figure", title="Figures of this walk", box=None, title_justify="left", header_style="bold"
        )
        rate = f.sent.acknowledged / max(f.sent.seconds, 1e-9)
        table.add_row("synthetic resources loaded", f"{f.resources_loaded}")
        table.add_row("a family's US Core records", f"{f.family} resources, there before the flows: nothing is charged")
        table.add_row("HL7 v2 messages acknowledged", f"{f.sent.acknowledged}, {rate:,.0f}/s on one connection")
        table.add_row("half within, 99 % within", f"{f.sent.wait(0.5):.1f} ms, {f.sent.wait(0.99):.1f} ms")
        table.add_row("intake forms taken, written back", f"{f.sent.forms}, {f.written_back}")
        table.add_row("messages by state", ", ".join(f"{n} {s}" for s, n in sorted(f.messages.items())))
        table.add_row("charted", ", ".join(f"{n} {kind}" for kind, n in f.resources.items() if n))
        table.add_row("deliveries", ", ".join(f"{n} {what}" for what, n in sorted(f.deliveries.items())))
        table.add_row("delivered after a retry", f"{f.retried} ({f.refusals} answers were 503)")
        table.add_row("charges the billing system took", f"{f.charges}")
        table.add_row("dead letters", f"{len(f.letters)}")
        self.console.print()
        self.console.print(table)
        for letter in f.letters:
            self.console.print(
                f"\n[bold red]Dead letter[/] of flow {letter.flow}, step {letter.step or 'start'}: {letter.reason}"
            )

    def invite(self, site: Site, family: str) -> None:
        base, key = site.url, site.key
        self.console.print("\n[bold]It keeps serving[/] (Ctrl-C ends it).")
        self.console.print(f"  Console   {base}/first-run/{site.link}   [dim](once; makes you the administrator)[/]")
        self.console.print(f"  FHIR R4   {base}/fhir        EHR  http://127.0.0.1:{site.ports['ehr']}/fhir")
        self.console.print(f"  MLLP      127.0.0.1:{site.ports['mllp']}")
        self.console.print("\n[bold]Three requests to try[/]")
        bearer = f"-H 'Authorization: Bearer {key}'"
        for query in (
            f"Patient?family={family}&_count=5",
            "Observation?code=http://loinc.org|2345-7&_sort=-date&_include=Observation:subject",
            "DiagnosticReport?status=final&_summary=count",
        ):
            self.console.print(f"  curl -s {bearer} '{base}/fhir/{query}'", markup=False)
