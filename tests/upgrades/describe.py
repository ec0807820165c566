"""Prints, as JSON, the public names of the core that is imported, with their parameters.

PYTHONPATH=<a core> python describe.py module[=name,name] …

Names that are given are described too if the module has them, as one that is deprecated.
"""

import inspect
import json
import sys
import warnings
from functools import partial
from importlib import import_module

import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.admin", "shared_core"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    SECRET_KEY="of no use",
    USE_TZ=True,
)
django.setup()


def parameters(value):
    """Return name, kind and whether there is a default, of each; None where Python cannot tell."""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return None
    return [[name, part.kind.name, part.default is not part.empty] for name, part in signature.parameters.items()]


def described(module, names):
    public = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and (getattr(value, "__module__", None) or "").startswith("shared_core")
    ]
    found = {}
    for name in {*public, *filter(partial(hasattr, module), names)}:
        value = getattr(module, name)
        found[name] = parameters(value) if callable(value) else None
        if inspect.isclass(value):
            for method, member in inspect.getmembers(value, callable):
                is_ours = getattr(member, "__module__", None) or ""
                if not method.startswith("_") and is_ours.startswith("shared_core"):
                    found[f"{name}.{method}"] = parameters(member)
    return found


def modules():
    for argument in sys.argv[1:]:
        name, _, names = argument.partition("=")
        try:
            yield name, described(import_module(name), filter(None, names.split(",")))
        except ModuleNotFoundError:
            continue


warnings.simplefilter("ignore", DeprecationWarning)
print(json.dumps({"file": import_module("shared_core").__file__, "names": dict(modules())}))
