"""Holds the floors of the house: CONTRIBUTING.md draws them, under "The house"."""

import ast
import graphlib
import importlib
import inspect
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import shared_core

pytestmark = pytest.mark.slow

PACKAGE = Path(shared_core.__file__).parent

# A floor is a moment in Django's start-up; imports go to a lower floor, or to an earlier name on the same one.
# A name is a module or a package with all its modules, except for those that are listed by themselves.
FLOORS = [
    # settings.py is being read
    [
        "",
        "timing",
        "origins",
        "context",
        "logs",
        "environment",
        "terminal",
        "logging_config",
        "databases",
        "service_settings",
    ],
    # settings are configured
    ["conf", "commands", "celery", "auth", "clients", "health", "middleware"],
    # the app registry is ready
    ["models", "idempotency"],
    # Django looks for it by name
    ["admin", "checks", "apps", "urls", "management"],
    # run by people, imported by nothing
    ["testing", "logs.reader", "logs.__main__", "scaffold", "doctor", "__main__"],
]
# Modules of version 0.1 that only warn and name their successor.
RENAMED = {"log_format": "logs", "log_handlers": "logs", "log_queue": "logs"}
# Django's and Python's documentation name these, but for the one that ABCMeta gives each class.
DOCUMENTED = {"_abc_impl", "_base_manager", "_default_manager", "_meta", "_state"}
OTHER_PACKAGES = {"django", "factory", "http", "requests", "urllib3"}
# Private parts that the code names as texts, or with a name of its own, or of mixins without their other base.
ONLY_IN_TEXTS = {"_acached_user", "_cached_user", "_files", "_from_testcase", "_request"}
ONLY_IN_TEXTS |= {"_clone_test_db", "_create_test_db", "_destroy_test_db", "_nodb_cursor", "_wrapped"}
PLACE = {name: (floor, place) for floor, names in enumerate(FLOORS) for place, name in enumerate(names)}


@cache
def modules():
    """Return ``{"models.base": path}`` for every file of the package."""
    names = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
        names[".".join(part for part in parts if part != "__init__")] = path
    return names


def imports(path):
    """Return what of the package a file imports, as ``models.base`` or, for a name from a façade, ``models``."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            inside = name.removeprefix("shared_core.") if name.startswith("shared_core.") else None
            while inside and inside not in modules():
                inside = inside.rpartition(".")[0]
            if inside:
                found.add(inside)
    return found


def room_of(name):
    """Return the entry of FLOORS that holds a module: the longest one that its name begins with."""
    while name not in PLACE and "." in name:
        name = name.rpartition(".")[0]
    return name


@pytest.mark.parametrize("name", sorted(modules().keys() - RENAMED.keys()))
def test_a_module_imports_only_modules_of_lower_floors(name):
    room = room_of(name)
    for imported in imports(modules()[name]):
        other = room_of(imported)
        if other != room:
            assert PLACE[other] < PLACE[room], f"{name} imports {imported}"
            assert {room, other} != {"clients", "models"}, "clients and models never meet"


@pytest.mark.parametrize("room", sorted({room_of(name) for name in modules()} - RENAMED.keys()))
def test_modules_of_a_package_have_no_import_cycle(room):
    inside = {name: path for name, path in modules().items() if room_of(name) == room}
    graph = {name: imports(path) & inside.keys() - {name} for name, path in inside.items()}

    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_a_renamed_module_only_imports_its_successor_and_nothing_imports_it(old, new):
    importers = [name for name, path in modules().items() if old in imports(path)]

    assert imports(modules()[old]) == {new}
    assert importers == []


def fresh(code):
    """Return what ``code`` prints in an interpreter of its own, where no settings are configured."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()


def test_the_drawing_shows_each_module_on_its_floor():
    picture = (PACKAGE.parent / "docs" / "images" / "house.svg").read_text()
    storeys = re.split(r'<text class="floor"', picture)[:0:-1]
    drawn = [re.findall(r'<text class="room"[^>]*>([\w.]+)<', storey) for storey in storeys]

    assert drawn == [[name for name in floor if name] for floor in FLOORS]


def test_importing_the_package_imports_nothing():
    code = "import sys; before = set(sys.modules); import shared_core; print(*set(sys.modules) - before)"

    assert fresh(code) == ["shared_core"]


def test_floor_0_can_be_imported_while_settings_are_being_read():
    names = ", ".join(f"shared_core.{name}" for name in FLOORS[0] if name)
    code = f"import {names}, django.conf, sys; print(django.conf.settings.configured, 'django.db' in sys.modules)"

    assert fresh(code) == ["False", "False"]


def test_importing_logs_does_not_load_the_reader():
    code = "import sys, shared_core.logs; print(*(name for name in sys.modules if 'reader' in name or 'main' in name))"

    assert fresh(code) == ["__main__"]


def test_floor_1_can_be_imported_before_the_app_registry_is_ready():
    names = ", ".join(f"shared_core.{name}" for name in FLOORS[1])

    assert fresh(f"import {names}, django.apps; print(django.apps.apps.ready)") == ["False"]


def test_the_pytest_plugin_imports_no_models_before_django_setup():
    assert fresh("import sys, shared_core.testing.plugin; print('shared_core.models' in sys.modules)") == ["False"]


def foreign_names():
    """Return the private names of other packages that the code asks objects for, or overrides."""
    trees = {name: ast.parse(path.read_text()) for name, path in modules().items()}
    nodes = [node for tree in trees.values() for node in ast.walk(tree)]
    own = {node.name for node in nodes if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)}
    own |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
    stored = [node for node in attributes if isinstance(node.ctx, ast.Store)]
    own |= {node.attr for node in stored if isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}}
    asked = {node.attr for node in attributes if re.match("_[a-z]", node.attr)} - own
    return asked | {name for module in trees for name in overridden(module)}


def overridden(module):
    """Return the private names that classes of a module define, and that their bases of other packages have too."""
    if module.endswith("__main__") or module in RENAMED:
        return
    for cls in vars(importlib.import_module(f"shared_core.{module}".rstrip("."))).values():
        if inspect.isclass(cls) and cls.__module__ == f"shared_core.{module}".rstrip("."):
            bases = [base for base in cls.__mro__[1:] if base.__module__.partition(".")[0] in OTHER_PACKAGES]
            yield from (name for name in vars(cls) if re.match("_[a-z]", name) and any(name in vars(b) for b in bases))


def test_private_parts_of_other_packages_stand_on_their_page():
    page = (PACKAGE.parent / "docs" / "internals" / "private-parts.md").read_text()
    listed = set(re.findall(r"\b(_[a-z]\w*)`", page))

    found = foreign_names() - DOCUMENTED
    assert found - listed == set()
    assert listed - found == ONLY_IN_TEXTS
