"""Keeps the house: floors, three laws, no circles, no local imports, calm files."""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "suture"

FLOORS = {
    "errors": 0, "settings": 0, "settings_text": 0, "crypto": 0, "clock": 0, "message": 0, "component": 0, "ports": 0, "yaml": 0, "spelling": 0,
    "standards": 1, "mapping": 2, "store": 3, "access": 4, "connectors": 5, "services": 6, "engine": 7,
    "server": 8, "sandbox": 9, "cli": 10, "app": 10, "__main__": 11, "__init__": 0,
}  # fmt: skip
PURE = ("standards", "mapping")
IMPURE_MODULES = {
    "socket",
    "asyncio",
    "time",
    "random",
    "secrets",
    "uuid",
    "subprocess",
    "httpx",
    "sqlite3",
    "apsw",
    "threading",
}
SOCKET_MODULES = {"socket", "socketserver", "httpx", "http.client", "urllib.request", "uvicorn", "smtplib"}
FORBIDDEN_WORDS = {
    "manager",
    "helper",
    "helpers",
    "util",
    "utils",
    "common",
    "base",
    "misc",
    "processor",
    "data",
    "info",
    "svc",
    "impl",
}
OPTIONAL_EXTRAS = {"acme", "josepy", "requests", "pyarrow", "duckdb", "mcp", "opentelemetry"}
LONGEST_FILE = 500


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(file: Path) -> str:
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def dotted(file: Path) -> str:
    name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def imports(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, ast.stmt]]:
    """Every module that is imported, `from suture.x import y` as both `suture.x` and `suture.x.y`."""
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node


def trees() -> list[tuple[Path, ast.Module]]:
    gc.disable()  # nothing of a tree is garbage, and looking for some takes longer than the parsing
    try:
        return [(file, ast.parse(file.read_text(encoding="utf-8"))) for file in files()]
    finally:
        gc.enable()


TREES = trees()
NODES = {file: list(ast.walk(tree)) for file, tree in TREES}
IMPORTS = {file: list(imports(nodes)) for file, nodes in NODES.items()}


def test_every_room_has_a_floor() -> None:
    assert {room(file) for file in files()} <= set(FLOORS)


def test_a_folder_imports_only_from_below() -> None:
    wrong = []
    for file, _ in TREES:
        here = room(file)
        for name, _ in IMPORTS[file]:
            parts = name.split(".")
            if parts[0] != "suture" or len(parts) < 2 or parts[1] not in FLOORS or parts[1] == here:
                continue
            if FLOORS[parts[1]] > FLOORS[here] or (FLOORS[parts[1]] == FLOORS[here] and FLOORS[here] not in (0, 10)):
                wrong.append(f"{file.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_no_circles() -> None:
    modules = {dotted(file): IMPORTS[file] for file, _ in TREES}
    edges = {name: {i for i, _ in found if i in modules and i != name} for name, found in modules.items()}
    # a package's __init__ that gathers its own rooms is its door: going through the door from inside is the circle
    done: set[str] = set()
    path: list[str] = []

    def walk(name: str) -> None:
        if name in path:
            pytest.fail(" -> ".join([*path[path.index(name) :], name]))
        if name in done:
            return
        path.append(name)
        for target in sorted(edges[name]):
            walk(target)
        path.pop()
        done.add(name)

    for name in modules:
        walk(name)


def test_no_door_leads_back_into_its_house() -> None:
    """A package's __init__ is read before its rooms: where it leads out and back in, the order of imports would matter."""
    modules = {dotted(file): IMPORTS[file] for file, _ in TREES}
    edges = {name: {i for i, _ in found if i in modules and i != name} for name, found in modules.items()}
    doors = sorted(dotted(file) for file, _ in TREES if file.name == "__init__.py")
    wrong = []
    for door in doors:
        found, todo = set[str](), [door]
        while todo:
            for target in edges[todo.pop()] - found:
                found.add(target)
                todo.append(target)
        outside = sorted(name for name in found if not name.startswith(f"{door}."))
        wrong += [
            f"{door} -> {name} -> {door}" for name in outside if any(i.startswith(f"{door}.") for i in edges[name])
        ]
    assert wrong == []


def test_no_import_inside_a_function() -> None:
    wrong = []
    for file, _ in TREES:
        for function in NODES[file]:
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for name, node in imports(ast.walk(function)):
                if room(file) != "cli" and name.split(".")[0] not in OPTIONAL_EXTRAS:
                    wrong.append(f"{file.relative_to(ROOT)}:{node.lineno} imports {name} inside {function.name}")
    assert wrong == []


def test_standards_and_mapping_are_pure() -> None:
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file, _ in TREES
        if room(file) in PURE
        for name, _ in IMPORTS[file]
        if name.split(".")[0] in IMPURE_MODULES or name in {"suture.clock.SYSTEM", "suture.clock.new_id"}
    ]
    wrong += [
        f"{file.relative_to(ROOT)}:{node.lineno} asks the clock"
        for file, _ in TREES
        if room(file) in PURE
        for node in NODES[file]
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in {"datetime", "date"}
        and node.func.attr in {"now", "today", "utcnow"}
    ]
    assert wrong == []


def test_only_the_store_knows_sql() -> None:
    wrong = []
    for file, _ in TREES:
        if room(file) == "store" or file.name == "database.py":
            continue
        wrong += [
            f"{file.relative_to(ROOT)} imports {n}"
            for n, _ in IMPORTS[file]
            if n.split(".")[0] in {"apsw", "sqlite3", "psycopg"}
        ]
    assert wrong == []


def test_only_connectors_server_and_database_open_sockets() -> None:
    wrong = []
    for file, _ in TREES:
        if room(file) in {"connectors", "server", "cli", "app", "sandbox"} or dotted(file).startswith(
            "suture.store.database"
        ):
            continue
        wrong += [
            f"{file.relative_to(ROOT)} imports {n}"
            for n, _ in IMPORTS[file]
            if n in SOCKET_MODULES or n.split(".")[0] in SOCKET_MODULES
        ]
    assert wrong == []


def test_files_are_read_in_one_sitting() -> None:
    long = {
        str(f.relative_to(ROOT)): n
        for f in files()
        if (n := len(f.read_text(encoding="utf-8").splitlines())) > LONGEST_FILE
    }
    assert long == {}


def test_every_module_says_what_it_is_for() -> None:
    silent = [str(file.relative_to(ROOT)) for file, tree in TREES if not (ast.get_docstring(tree) or "").strip()]
    assert silent == []


def test_names_are_words_of_the_house() -> None:
    wrong = [str(f.relative_to(ROOT)) for f in files() for word in f.stem.lower().split("_") if word in FORBIDDEN_WORDS]
    for file, _ in TREES:
        for node in NODES[file]:
            if isinstance(node, ast.ClassDef) and any(
                node.name.endswith(w)
                for w in ("Manager", "Helper", "Util", "Utils", "Processor", "Impl", "Svc", "Base")
            ):
                wrong.append(f"{file.relative_to(ROOT)}: class {node.name}")
    assert wrong == []
