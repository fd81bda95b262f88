"""How fast HL7 v2 is read, beside python-hl7 and hl7apy: `python -m bench.hl7v2`."""

from __future__ import annotations

import time
from collections.abc import Callable

import hl7
from hl7apy.parser import parse_message

from suture.sandbox import traffic
from suture.standards.hl7v2.message import parse
from suture.standards.hl7v2.structure import groups

LINE = "{:<52} {:>10} {:>12} {:>9}"


def ours(raw: bytes) -> tuple[str, str, str]:
    message = parse(raw)
    return message.type, message.control_id, message.get("PID-3.1")


def ours_whole(raw: bytes) -> int:
    return sum(len(segment.fields) for segment in parse(raw).segments)


def ours_groups(raw: bytes) -> int:
    return len(groups(parse(raw)).items)


def python_hl7(raw: bytes) -> tuple[str, str, str]:
    message = hl7.parse(raw.decode())
    pid = message.segment("PID")
    return str(message.segment("MSH")[9]), str(message.segment("MSH")[10]), str(pid[3][0][0])


def hl7apy(raw: bytes) -> tuple[str, str, str]:
    message = parse_message(raw.decode(), find_groups=False)
    return message.msh.msh_9.to_er7(), message.msh.msh_10.to_er7(), message.pid.pid_3[0].cx_1.to_er7()


def cost(work: Callable[[bytes], object], messages: list[bytes], seconds: float = 1.5) -> float:
    """CPU seconds of one message: the best of several rounds."""
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.process_time()
        for raw in messages:
            work(raw)
        best = min(best, (time.process_time() - start) / len(messages))
    return best


def main() -> None:
    """Prints CPU per message, messages per second and core, and the ratio to python-hl7."""
    print(LINE.format("", "CPU µs", "per s, core", "ratio"))
    for name, messages in (("ADT", list(traffic.adt(1, 400))), ("ORU, 10 OBX", list(traffic.oru(1, 200)))):
        size = sum(map(len, messages)) // len(messages)
        peer = cost(python_hl7, messages[:20])
        rows = [
            (f"{name} ({size} bytes): parse, MSH-9, MSH-10, PID-3", cost(ours, messages)),
            (f"{name}: parse and split every field", cost(ours_whole, messages)),
            (f"{name}: parse and groups", cost(ours_groups, messages)),
            (f"{name}: python-hl7, the same three", peer),
            (f"{name}: hl7apy, the same three", cost(hl7apy, messages[:5])),
        ]
        for label, seconds in rows:
            print(LINE.format(label, f"{seconds * 1e6:.1f}", f"{1 / seconds:,.0f}", f"{peer / seconds:.2f}x"))


if __name__ == "__main__":
    main()
