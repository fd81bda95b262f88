"""$validate over a real socket: CPU of the server per call, against R4 alone and against the US Core profile that fits.

Run: python -m bench.validate_http [--seconds 3]. The resources are the sandbox's synthetic people, made in the shape of US Core.
Sound ones are known by compiled profiles; what has a finding takes the slow walk that names its places.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import httpx
import uvloop

from bench import http
from suture.sandbox.synthetic import world
from suture.standards.fhir import json, us_core
from suture.standards.fhir.us_core import Named

MOST = 400  # different resources of a phase
WANTED = Named(us_core.NEWEST)
Resource = dict[str, Any]


def resources() -> tuple[list[Resource], list[Resource]]:
    """Those without any finding, and as many of them that lack something their profiles want."""
    made = (json.read(json.write(one)) for one in world(11, 25) if us_core.fitting(us_core.NEWEST, one))
    sound = [one for one in made if not us_core.held(WANTED, one)][:MOST]
    spoiled = [one for whole in sound if (one := _spoiled(whole))]
    return sound, spoiled


def _spoiled(whole: Resource) -> Resource:
    """Without its first member that a profile misses; nothing when it needs none."""
    for name in whole.keys() - {"resourceType", "id", "meta", "text"}:
        one = {key: value for key, value in whole.items() if key != name}
        if us_core.fitting(us_core.NEWEST, one) and us_core.held(WANTED, one):
            return one
    return {}


def calls(key: str, found: list[Resource], how: str) -> Iterator[bytes]:
    """The requests: `how` the profile is named, in the address, in the resource (claimed), or not at all."""
    for one in found:
        (url, *_), meta = (
            us_core.fitting(us_core.NEWEST, one),
            {k: v for k, v in one.get("meta", {}).items() if k != "profile"},
        )
        if how == "claimed":
            meta["profile"] = [url]
        query = f"?profile={url}" if how == "named" else ""
        body = json.write({**one, "meta": meta} if meta else {k: v for k, v in one.items() if k != "meta"})
        yield http.request(key, "POST", f"/fhir/{one['resourceType']}/$validate{query}", body)


async def measure(key: str, pid: int, seconds: float) -> None:
    sound, spoiled = resources()
    size = sum(len(json.write(one)) for one in sound) / len(sound)
    print(
        f"{len(sound)} sound resources of {len({o['resourceType'] for o in sound})} types, {size:.0f} bytes; {len(spoiled)} spoiled"
    )
    _require_profiles(key, sound[0], spoiled[0])
    for name, some, how in (
        ("R4 alone", sound, "none"),
        ("US Core by ?profile=", sound, "named"),
        ("US Core by meta.profile", sound, "claimed"),
        ("US Core by ?profile=, with findings", spoiled, "named"),
    ):
        raws = list(calls(key, some, how))
        await http.drive(http.in_turn(raws), 1, min(seconds, 1.0), pid)
        for connections in (1, 16):
            found = await http.drive(http.in_turn(raws), connections, seconds, pid)
            print(http.told(f"{name}, {connections} connections", found), flush=True)


def _require_profiles(key: str, sound: Resource, spoiled: Resource) -> None:
    """That the profiles are looked at at all: one is fine, the other is not."""
    said = []
    for one in (sound, spoiled):
        raw = next(iter(calls(key, [one], "named")))
        head, _, body = raw.partition(b"\r\n\r\n")
        path = head.split(b" ", 2)[1].decode()
        answer = httpx.post(
            f"http://127.0.0.1:{http.PORT}{path}", content=body,
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/fhir+json"},
        )  # fmt: skip
        said.append({issue["severity"] for issue in answer.json()["issue"]} & {"error", "fatal"})
    if said[0] or not said[1]:
        raise SystemExit(f"the profiles are not looked at: {said}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    asked = parser.parse_args()
    with http.empty() as (folder, key), http.serving(folder) as pid:
        uvloop.run(measure(key, pid, asked.seconds))


if __name__ == "__main__":
    main()
