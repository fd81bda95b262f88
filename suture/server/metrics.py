"""`/metrics`: the figures of this process for Prometheus.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import gc
import resource
from collections.abc import Callable, Iterable, Iterator

from suture.access import agreements
from suture.access.policy import require_permission
from suture.server.figures import BOUNDS, Figures, Spread
from suture.server.route import Request, Response, Route
from suture.services.gateway.meter import PERCENTILES, percentile
from suture.store import copying, glass, matches, skipped
from suture.store.gateway_usage import Used

_TEXT = b"text/plain; version=0.0.4; charset=utf-8"


async def metrics(request: Request) -> Response:
    """All figures of this process as text: for programs with a key, and for people whose role has `metrics.read`."""
    if request.caller.kind == "user":
        require_permission(request.caller, "metrics.read")
    lines = [
        *_requests(request.site.figures),
        *_process(request),
        *_agreements(request),
        *_copies(request),
        *_gateway(request),
    ]
    return Response(body=("\n".join(lines) + "\n").encode(), type=_TEXT)


def _requests(figures: Figures) -> Iterator[str]:
    yield from _head("suture_http_requests_total", "counter", "answers by route, method and status")
    for (pattern, method, status), count in sorted(figures.answers.items()):
        yield f'suture_http_requests_total{{route="{pattern}",method="{method}",status="{status}"}} {count}'
    yield from _head("suture_http_request_seconds", "histogram", "time from the head of a request to its answer")
    for (pattern, method), spread in sorted(figures.spreads.items()):
        yield from _histogram(f'route="{pattern}",method="{method}"', spread)


def _histogram(labels: str, spread: Spread) -> Iterator[str]:
    so_far = 0
    for bound, count in zip((*BOUNDS, "+Inf"), spread.counts, strict=True):
        so_far += count
        yield f'suture_http_request_seconds_bucket{{{labels},le="{bound}"}} {so_far}'
    yield f"suture_http_request_seconds_sum{{{labels}}} {spread.seconds:.6f}"
    yield f"suture_http_request_seconds_count{{{labels}}} {so_far}"


def _process(request: Request) -> Iterable[str]:
    database, used = request.site.database, resource.getrusage(resource.RUSAGE_SELF)
    rows = (
        ("suture_database_backlog", "gauge", "units of work that wait for a commit", database.backlog),
        ("suture_database_fenced", "gauge", "1 while the database can't be written", int(bool(database.fenced))),
        ("suture_glass_unreviewed", "gauge", "emergencies that nobody has looked at", glass.alerts(database.read)),
        (
            "suture_matches_open",
            "gauge",
            "pairs of records that wait for somebody",
            matches.count(database.read, matches.OPEN),
        ),
        (
            "suture_matches_damaged",
            "gauge",
            "Patients whose bodies are damaged, left out of the search for doubles",
            len(matches.damaged(database.read)),
        ),
        (
            "suture_changes_damaged",
            "gauge",
            "versions whose bodies are damaged, passed by by subscriptions and flows",
            len(skipped.noted(database.read)),
        ),
        ("process_cpu_seconds_total", "counter", "CPU of this process", round(used.ru_utime + used.ru_stime, 2)),
        ("process_max_resident_bytes", "gauge", "most memory this process has had", used.ru_maxrss * 1024),
        ("python_gc_collections_total", "counter", "full collections", gc.get_stats()[2]["collections"]),
    )
    for name, kind, text, value in rows:
        yield from _head(name, kind, text)
        yield f"{name} {value}"


def _agreements(request: Request) -> Iterator[str]:
    site, name = request.site, "suture_agreement_days_left"
    yield from _head(name, "gauge", "days until a partner's last agreement ends; -1 when none is in force")
    for partner, days in agreements.ending(site.database.read, site.clock.now().date().isoformat(), 1e6):
        yield f'{name}{{partner="{partner}"}} {days}'


def _copies(request: Request) -> Iterator[str]:
    site = request.site
    read, now = site.database.read, site.clock.micros()
    found = {name: copying.lag(read, name, now) for name in copying.named(site.settings)}
    yield from _head("suture_audit_copy_behind_rows", "gauge", "rows of the audit trail that are not copied yet")
    yield from (f'suture_audit_copy_behind_rows{{to="{name}"}} {one.rows}' for name, one in found.items())
    yield from _head("suture_audit_copy_behind_seconds", "gauge", "for how long the oldest of them waits")
    yield from (f'suture_audit_copy_behind_seconds{{to="{name}"}} {one.seconds:.1f}' for name, one in found.items())


def _gateway(request: Request) -> Iterator[str]:
    """By route only: callers are on the page, where somebody has to sign in."""
    gateway = request.site.gateway
    if gateway is None or not gateway.routes:
        return
    totals = {route: gateway.meter.total.get((route, ""), Used()) for route in sorted(gateway.routes)}
    for name, text, of in _GATEWAY:
        yield from _head(f"suture_gateway_{name}", "counter", text)
        yield from (f'suture_gateway_{name}{{route="{route}"}} {of(used)}' for route, used in totals.items())
    yield from _head("suture_gateway_seconds", "gauge", "time a request took, by share of requests, since the start")
    for route, used in totals.items():
        for percent in PERCENTILES:
            labels = f'route="{route}",quantile="{percent / 100}"'
            yield f"suture_gateway_seconds{{{labels}}} {percentile(used.spread, percent):.6f}"
    yield from _head("suture_gateway_circuit_open", "gauge", "1 while a failing upstream is left alone")
    for route in totals:
        yield f'suture_gateway_circuit_open{{route="{route}"}} {int(gateway.circuit(route) != "closed")}'


_GATEWAY: tuple[tuple[str, str, Callable[[Used], int]], ...] = (
    ("requests_total", "requests at the gateway", lambda used: used.requests),
    ("refused_total", "requests past a limit", lambda used: used.refused),
    ("failed_total", "answers with a status of 500 and more", lambda used: used.failed),
    ("bytes_in_total", "bytes of bodies that went on", lambda used: used.bytes_in),
    ("bytes_out_total", "bytes of bodies that came back", lambda used: used.bytes_out),
)


def _head(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


ROUTES = [Route("GET", "/metrics", metrics, scope="any program; of people, metrics.read")]
