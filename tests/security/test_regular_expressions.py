"""No regular expression takes more than linear time, whatever it is given: all are found, none is listed by hand."""

import ast
import gc
import importlib
import re
import sys
import time
from dataclasses import dataclass
from functools import reduce
from itertools import takewhile
from operator import or_
from pathlib import Path

import pytest

import shared_core

pytestmark = pytest.mark.slow

ROOT = Path(shared_core.__file__).parent
_METHODS = {"compile", "match", "search", "fullmatch", "sub", "subn", "split", "findall", "finditer"}
# What is repeated: characters that patterns care for, and beginnings of what they look for.
_PUMPS = [
    *"aA0_-.:/=+&,|\"'\\ \t\n\r@?#%[]{}()!<",
    *(
        "a-",
        "a.",
        "0.",
        "a=",
        ' a="',
        "\\\\",
        '\\"',
        "a://",
        "://",
        "a:",
        "a@",
        "//",
        "a b",
        "\r\n ",
        "a, ",
        "e+",
        "0e",
    ),
    *("Bearer ", "Bearer a", "Basic\n", "eyJ", "eyJaaaaaaa", "eyJaaaaaaa.", ".eyJaaaaaaa.a", "-eyJ", "password"),
    *("password=", "password: ", '"password": "', "token=", 'token="a" : ', "secret", "api_key=", "a_password="),
    *("Authorization: ", "SELECT ", " FROM", "SAVEPOINT", "DJANGO_SETTINGS_MODULE", "DJANGO_SETTINGS_MODULE' ,"),
    *("INFO ", "2026-01-01 ", "00-", "&a=", "AND "),
]
_SUFFIXES = ("", "!", "\x00", '"')


@dataclass(frozen=True)
class Pattern:
    """A regular expression, where it is written, and the methods by which it is used."""

    place: str
    text: str
    flags: int
    methods: tuple[str, ...]

    def use(self, text):
        """Try it on a text in each way that it is used."""
        compiled = re.compile(self.text, self.flags)
        if isinstance(self.text, bytes):
            text = text.encode()
        for method in self.methods:
            if method in {"sub", "subn"}:
                compiled.sub(text[:0], text)
            elif method == "finditer":
                list(compiled.finditer(text))
            else:
                getattr(compiled, method)(text)


def sources():
    """Yield each file of the package, its module's name and its tree; a template of a service is no module."""
    for path in sorted(ROOT.rglob("*.py")):
        if "service_template" not in path.parts:
            name = ".".join(["shared_core", *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__")
            yield path, name, ast.parse(path.read_text())


def is_of_re(node):
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
        and node.func.attr in _METHODS
    )


def uses():
    """Return ``{(module, name): methods}`` of what is called there on what bears a name; a public name's anywhere."""
    found = {}
    for _, module, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in _METHODS:
                of = node.value
                name = of.id if isinstance(of, ast.Name) else of.attr if isinstance(of, ast.Attribute) else None
                if name is None:
                    continue
                found.setdefault((module if name.startswith("_") else "", name), set()).add(node.attr)
    return found


def patterns():
    """Return every regular expression of the package."""
    found, used = [], uses()
    for path, module, tree in sources():
        names = {
            id(node.value): node.targets[0].id
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for node in filter(is_of_re, ast.walk(tree)):
            text = eval(ast.unparse(node.args[0]), vars(importlib.import_module(module)))  # as the module itself does
            named = [*node.args[1:], *(word.value for word in node.keywords if word.arg == "flags")]
            flags = {one.attr for part in named for one in ast.walk(part) if isinstance(one, ast.Attribute)}
            methods = {node.func.attr}
            if node.func.attr == "compile":  # in a list, or under no name: whatever can be done with it
                name = names.get(id(node), "")
                methods = used.get((module if name.startswith("_") else "", name), {"fullmatch", "sub"})
            bits = reduce(or_, (getattr(re, flag) for flag in flags if flag.isupper()), 0)
            place = f"{path.relative_to(ROOT)}:{node.lineno}"
            found.append(Pattern(place, text, int(bits), tuple(sorted(methods))))
    return found


def seconds(pattern, text):
    """Return the processor's time of using it on a text, in this thread and without the garbage of other tests."""
    gc.collect(0)
    gc.disable()
    try:
        began = time.thread_time()
        pattern.use(text)
        return time.thread_time() - began
    finally:
        gc.enable()


def hostile(pump, size, suffix):
    return pump * (size // len(pump)) + suffix


def grows_too_fast(pattern):
    """Return the hostile text that costs more than linear time to it, each time that it is asked, else None."""
    costs = ((seconds(pattern, hostile(pump, 4_000, end)), pump, end) for pump in _PUMPS for end in _SUFFIXES)
    for _, pump, suffix in sorted(costs, reverse=True)[:3]:
        verdicts = (_growth(pattern, pump, suffix) for _ in range(3))
        told = list(takewhile(bool, verdicts))
        if len(told) == 3:
            return told[0]
    return None


def _growth(pattern, pump, suffix):
    before = max(seconds(pattern, hostile(pump, 4_000, suffix)), 0.002)
    for size in (16_000, 64_000, 250_000, 1_000_000):
        took = seconds(pattern, hostile(pump, size, suffix))
        # Four times the text: four times the time where it is linear, 16 where it is quadratic.
        if took > 10 * before or took > 3:
            return f"{pattern.place} {pattern.text!r}: {size} characters of {pump!r}{suffix!r} took {took:.2f} s"
        before = max(took, 0.002)
    return None


FOUND = patterns()


def test_all_are_found():
    compiled = {
        value.pattern
        for name, module in list(sys.modules.items())
        if name.startswith("shared_core")
        for value in vars(module).values()
        if isinstance(value, re.Pattern)
    }

    assert len(FOUND) > 40
    assert compiled - {pattern.text for pattern in FOUND} == set()


def test_ways_in_which_they_are_used_are_found():
    used = {pattern.place.partition(":")[0]: set() for pattern in FOUND}
    for pattern in FOUND:
        used[pattern.place.partition(":")[0]] |= set(pattern.methods)

    assert used["logs/redaction.py"] >= {"search", "sub", "fullmatch"}
    assert used["scaffold/__init__.py"] == {"fullmatch"}
    assert used["origins.py"] >= {"split", "fullmatch", "search"}


@pytest.mark.parametrize("pattern", FOUND, ids=lambda pattern: pattern.place)
def test_it_takes_linear_time(pattern):
    assert grows_too_fast(pattern) is None


@pytest.mark.parametrize("text", [r"(a+)+b", r"\s+$", r'"[^"]*"[^=]*=', r"a+\d"])
def test_one_that_does_not_would_be_seen(text):
    slow = Pattern("here:1", text, 0, ("search",))
    if text == r"(a+)+b":  # at four thousand characters it would never end
        assert seconds(slow, "a" * 22) > 100 * seconds(slow, "a" * 8)
    else:
        assert grows_too_fast(slow) is not None
