"""Does an unknown name answer as slowly as a wrong password? And what one look at a session and one code cost. `python -m bench.people`"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import pyotp

from suture import settings as settings_of
from suture.access import people, staff
from suture.access.people import People
from suture.access.second_factor import time_step
from suture.clock import SYSTEM
from suture.errors import Unauthenticated
from suture.store.database import Database

PASSWORD = "correct horse battery"
ROUNDS = 60
CASES = {"unknown name": "nobody", "wrong password": "ada", "sent away": "off"}


async def tried(who: People, login: str, password: str) -> float:
    began = time.perf_counter()
    try:
        await who.sign_in(login, password, "192.0.2.1")
    except Unauthenticated:
        return time.perf_counter() - began
    raise AssertionError(f"{login} came in")


async def guesses(who: People) -> None:
    took: dict[str, list[float]] = {case: [] for case in CASES}
    for number in range(ROUNDS):
        for case in sorted(CASES, key=lambda one: hash((one, number))):  # in another order each round
            password = PASSWORD if case == "sent away" else "wrong wrong wrong"
            took[case].append(await tried(who, CASES[case], password))
    widest = max(statistics.stdev(times) for times in took.values())
    middle = {case: statistics.median(times) for case, times in took.items()}
    for case, times in took.items():
        print(f"{case:16} median {middle[case] * 1e3:6.2f} ms, spread {statistics.stdev(times) * 1e3:5.2f} ms")
    apart = max(middle.values()) - min(middle.values())
    print(f"medians are {apart * 1e3:.2f} ms apart, {apart / widest:.2f} of the widest spread")


async def looks(who: People) -> None:
    token = await who.sign_in("ada", PASSWORD, "")
    began, count = time.process_time(), 2000
    for _ in range(count):
        await who.session(token)
    print(f"a look at a session: {(time.process_time() - began) / count * 1e6:.0f} us of CPU")
    secret, now = pyotp.random_base32(), SYSTEM.micros()
    began = time.process_time()
    for _ in range(count):
        time_step(secret, "123456", now)
    print(f"a code that is wrong: {(time.process_time() - began) / count * 1e6:.0f} us of CPU")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_of.read(Path(folder), {}).with_values(
            key_file=f"{folder}/keys/a.key", login__free_attempts=10**9
        )
        database = Database.open(settings)
        people.add_user(database, "ada", "Ada", PASSWORD, ["reader"])
        off = people.add_user(database, "off", "Off", PASSWORD, ["reader"])
        database.write_now(lambda tx: staff.set_active(tx, off, False))
        who = People(database, SYSTEM, settings)
        asyncio.run(guesses(who))
        asyncio.run(looks(who))
        database.close()


if __name__ == "__main__":
    main()
