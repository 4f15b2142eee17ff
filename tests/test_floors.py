"""The floors, read from the imports: what may know what, and where each heavy library lives."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = ("bot", "engine", "personas", "data")

#: What a floor may import of ours, besides itself.
BELOW = {
    "bot": {"engine", "personas", "data"},
    "engine": {"personas", "data"},
    "personas": set(),
    "data": set(),
}

#: Inside the engine, from the ground up: a module may import its own folder, and what stands on a line above its own.
STOREYS: tuple[tuple[str, ...], ...] = (
    ("engine.errors", "engine.locales"),
    (
        "engine.broker",
        "engine.clock",
        "engine.crontab",
        "engine.events",
        "engine.gauges",
        "engine.home",
        "engine.stepping_back",
        "engine.unbroken",
    ),
    ("engine.bell", "engine.costs", "engine.timetable"),
    ("engine.occurrences", "engine.settings", "engine.styles", "engine.timewords"),
    (
        "engine.fetching",
        "engine.safety",
        "engine.settings_file",
        "engine.limits",
        "engine.estimating",
        "engine.models",
    ),
    ("engine.feeds",),
    # The wing that writes knows nothing of rows; the store knows of it only who wrote something: `Source`.
    ("engine.language",),
    ("engine.store",),
    ("engine.pictures",),
    ("engine.testing", "engine.monitor", "engine.pulls"),
    (
        "engine.presence",
        "engine.rights",
        "engine.captions",
        "engine.condition",
        "engine.history",
        "engine.lead",
        "engine.planning",
        "engine.varying",
        "engine.wishes",
        "engine.wording",
    ),
    ("engine.agenda", "engine.alerts", "engine.borrowing", "engine.memory", "engine.reaching"),
    ("engine.casting", "engine.conversation", "engine.forgetting", "engine.imagining", "engine.ordering"),
    (
        "engine.feeding",
        "engine.making",
        "engine.news",
        "engine.remaking",
        "engine.replaying",
        "engine.rewording",
        "engine.schedules",
        "engine.second_thoughts",
        "engine.speaking",
        "engine.telling",
    ),
    ("engine.owing", "engine.posts"),
    ("engine.album", "engine.callbacks", "engine.publishing", "engine.runs"),
    ("engine.listening", "engine.standing"),
    ("engine.newsroom", "engine.posting"),
    ("engine.engine",),
)

#: The only places of a library, as paths.
PLACES = {
    "aiohttp": ("engine/fetching.py", "bot/discord/*", "bot/telegram/*"),
    "alembic": ("engine/store/*",),
    "argon2": ("bot/passwords.py",),
    "apscheduler": ("engine/occurrences.py",),
    "click": ("bot/cli/*",),
    "fastapi": ("bot/web/*",),
    "feedparser": ("engine/feeds.py",),
    "httpx": (
        "bot/client.py",
        "engine/language/connection.py",
        "engine/language/remote.py",
        "engine/models/hub.py",
    ),
    "obstore": ("engine/store/files.py",),
    "PIL": ("engine/pictures/*", "engine/testing.py", "bot/terminal/*"),
    "prometheus_client": ("bot/web/metrics.py",),
    "pynvml": ("engine/monitor.py",),
    "procrastinate": ("engine/pictures/cluster.py",),
    "prompt_toolkit": ("bot/terminal/*", "bot/cli/*"),
    "rich": ("bot/terminal/*", "bot/cli/*"),
    "sqlalchemy": ("engine/store/*", "engine/pictures/queue.py", "engine/pictures/cluster.py"),
    "starlette": ("bot/web/*",),
    "tokenizers": ("engine/pictures/sdxl/tokens.py",),
    "tomli_w": ("personas/*",),
    "uvicorn": ("bot/house.py", "bot/web/*"),
    "aiogram": ("bot/telegram/*",),
    "discord": ("bot/discord/*",),
    "llama_cpp": ("engine/language/llama.py",),
    "torch": (
        "engine/pictures/sdxl/pipelines.py",
        "engine/pictures/sdxl/longprompt.py",
        "engine/pictures/sdxl/peak.py",
        "engine/pictures/sdxl/readings.py",
        "engine/pictures/sdxl/sides.py",
        "engine/pictures/sdxl/seeing.py",
        "engine/pictures/sdxl/renderer.py",
        "engine/pictures/sdxl/judging.py",
        "engine/pictures/sdxl/opening.py",
        "engine/pictures/sdxl/tuning.py",
        "engine/pictures/sdxl/unpickling.py",
    ),
    "accelerate": ("engine/pictures/sdxl/resting.py",),
    "diffusers": (
        "engine/pictures/sdxl/pipelines.py",
        "engine/pictures/sdxl/judging.py",
        "engine/pictures/sdxl/opening.py",
    ),
    "transformers": ("engine/pictures/sdxl/judging.py", "engine/pictures/sdxl/opening.py"),
    "compel": ("engine/pictures/sdxl/sides.py",),
}
#: Named everywhere in signatures, because a change is part of its caller's transaction.
SIGNATURE = "sqlalchemy.ext.asyncio.AsyncConnection"


@dataclass(frozen=True)
class Import:
    """One name that a file imports; `lazily` if only when a function is called, or for a type checker."""

    file: str
    module: str
    line: int
    lazily: bool

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


@cache
def modules() -> dict[str, Path]:
    """Every module of ours by its name."""
    found = {}
    for floor in FLOORS:
        for file in sorted((ROOT / floor).rglob("*.py")):
            if "home" in file.relative_to(ROOT).parts[:2]:
                continue  # data/home is a person's own
            name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found[name] = file
    return found


@cache
def imports(file: Path) -> tuple[Import, ...]:
    return tuple(_imports(file))


def _imports(file: Path) -> Iterator[Import]:
    where = str(file.relative_to(ROOT))
    tree = ast.parse(file.read_text(encoding="utf-8"))
    outside = {id(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)}
    for node in ast.walk(tree):
        lazily = id(node) not in outside
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(where, alias.name, node.lineno, lazily)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{where}:{node.lineno}: a relative import hides which floor it is on"
            for alias in node.names:
                yield Import(where, f"{node.module}.{alias.name}", node.lineno, lazily)


def every_import() -> Iterator[Import]:
    for file in modules().values():
        yield from imports(file)


def ours(name: str) -> str | None:
    """The module of ours that a name is, or is in."""
    while name:
        if name in modules():
            return name
        name = name.rpartition(".")[0]
    return None


def storey(module: str) -> int:
    for number, line in enumerate(STOREYS):
        if any(module == part or module.startswith(f"{part}.") for part in line):
            return number
    raise AssertionError(f"{module} stands on no storey: say in this test where it belongs")


def folder(module: str) -> str:
    return ".".join(module.split(".")[:2])


def test_imports_point_down_from_floor_to_floor() -> None:
    wrong = []
    for one in every_import():
        floor, target = one.file.split("/")[0], one.module.split(".")[0]
        if target in FLOORS and target != floor and target not in BELOW[floor]:
            wrong.append(str(one))
        if target == "tests":
            wrong.append(str(one))
    assert wrong == []


def test_inside_the_engine_verbs_use_wings_and_wings_use_the_store_and_never_back() -> None:
    wrong = []
    for name, file in modules().items():
        if not name.startswith("engine."):
            continue
        for one in imports(file):
            target = ours(one.module)
            if target is None or not target.startswith("engine."):
                continue
            same = folder(target) == folder(name)
            if not same and storey(target) >= storey(name):
                wrong.append(str(one))
    assert wrong == []


def test_the_store_knows_of_language_only_who_wrote_something() -> None:
    told = {
        one.module
        for one in every_import()
        if one.file.startswith("engine/store/") and "language" in one.module
    }
    assert told == {"engine.language.Source"}


def test_personas_read_and_write_card_files_and_do_nothing_else() -> None:
    allowed = sys.stdlib_module_names | {"pydantic", "pydantic_core", "tomli_w", "personas"}
    busy = {"asyncio", "socket", "subprocess", "threading", "http", "urllib.request", "sqlite3"}
    used = {one.module for one in every_import() if one.file.startswith("personas/")}
    assert {name for name in used if name.split(".")[0] not in allowed} == set()
    assert {name for name in used if any(name == b or name.startswith(f"{b}.") for b in busy)} == set()


@pytest.mark.parametrize("library", sorted(PLACES))
def test_a_library_has_its_place(library: str) -> None:
    wrong = [
        str(one)
        for one in every_import()
        if one.module.split(".")[0] == library
        and one.module != SIGNATURE
        and not any(fnmatch(one.file, place) for place in PLACES[library])
    ]
    assert wrong == []


def test_the_driver_of_postgresql_is_imported_nowhere() -> None:
    """SQLAlchemy and procrastinate load it by name, where PostgreSQL is in use."""
    drivers = {"psycopg", "aiosqlite", "sqlite3"}
    assert [str(one) for one in every_import() if one.module.split(".")[0] in drivers] == []


def test_the_queue_that_needs_an_extra_is_imported_when_it_is_used() -> None:
    cluster = [one for one in every_import() if one.module.startswith("engine.pictures.cluster")]
    assert cluster
    assert all(one.lazily for one in cluster)


def test_nothing_waits_in_a_way_that_can_swallow_a_cancellation() -> None:
    """Python 3.11's `wait_for` forgets that it was cancelled if what it waits for ends just then."""
    for floor in ("bot", "engine", "personas"):
        for path in (ROOT / floor).rglob("*.py"):
            assert "asyncio.wait_for(" not in path.read_text(), f"{path}: use asyncio.timeout"


def test_no_file_is_a_drawer_for_everything() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc", "base"}
    assert [name for name in modules() if set(name.split(".")) & drawers] == []


def test_every_module_says_what_it_is_for() -> None:
    silent = []
    for name, file in modules().items():
        text = file.read_text(encoding="utf-8")
        if text.strip() and not ast.get_docstring(ast.parse(text)):
            silent.append(name)
    assert silent == []


def setuptools() -> dict[str, Any]:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    settings: dict[str, Any] = told["tool"]["setuptools"]
    return settings


def test_the_packages_that_exist_are_the_packages_that_travel() -> None:
    listed = setuptools()["packages"]
    assert listed == sorted(name for name, file in modules().items() if file.name == "__init__.py")


def test_every_file_that_is_read_travels_with_its_package() -> None:
    travels = setuptools()["package-data"]
    packages = {name: file.parent for name, file in modules().items() if file.name == "__init__.py"}
    left = []
    for floor in FLOORS:
        for file in (ROOT / floor).rglob("*"):
            inside = file.relative_to(ROOT)
            if not file.is_file() or file.suffix in (".py", ".pyc") or inside.parts[:2] == ("data", "home"):
                continue
            # Globs are read from the folder of the package that names them.
            reached = any(
                file.is_relative_to(packages[package])
                and fnmatch(str(file.relative_to(packages[package])), pattern.replace("**/", "*"))
                for package, patterns in travels.items()
                for pattern in patterns
            )
            if not reached:
                left.append(str(inside))
    assert left == []


def test_importing_the_engine_is_light() -> None:
    """Its names are looked up when they are used: `greenroom --help` must not wait for a database library."""
    heavy = sorted({*PLACES, "pydantic", "structlog"})
    asked = f"import sys, engine; print([name for name in {heavy!r} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, cwd=ROOT)
    assert told.stdout.strip() == "[]"
