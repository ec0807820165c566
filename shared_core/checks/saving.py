"""Checks that a model's own ``save()`` passes ``update_fields`` on."""

import ast
import inspect
import textwrap
from collections.abc import Iterator

from django.core.checks import CheckMessage
from django.db.models.base import ModelBase

from shared_core.checks import catalogue
from shared_core.checks.installed import AppConfigs, is_own, models_of

# save(force_insert, force_update, using, update_fields), while Django takes them by position.
_POSITIONAL = 4


def check_saving(*, app_configs: AppConfigs = None, **_: object) -> Iterator[CheckMessage]:
    """Yield each ``save()`` that loses ``update_fields``, once, with the first model that has it."""
    seen: set[type] = set()
    for model in models_of(app_configs):
        for base in model.__mro__:
            if "save" in vars(base) and base not in seen and is_own(base):
                seen.add(base)
                if fault := _fault_of(vars(base)["save"]):
                    obj = base if isinstance(base, ModelBase) else model
                    yield catalogue.UPDATE_FIELDS.found(f"{base.__qualname__}.save() {fault}", obj=obj)


def _fault_of(save: object) -> str:
    try:
        parameters = inspect.signature(save).parameters.values()  # type: ignore[arg-type]  # TypeError is below
    except (TypeError, ValueError):
        return ""
    if not any(one.name == "update_fields" or one.kind is one.VAR_KEYWORD for one in parameters):
        return "does not take it"
    return "does not pass it to super().save()" if not all(map(_passes, _calls(save))) else ""


def _calls(save: object) -> Iterator[ast.Call]:
    """Yield the calls of ``super().save(…)`` in the source; none where there is no source."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(save))))  # type: ignore[arg-type]  # as above
    except (OSError, TypeError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "save":
            owner = node.func.value
            if isinstance(owner, ast.Call) and isinstance(owner.func, ast.Name) and owner.func.id == "super":
                yield node


def _passes(call: ast.Call) -> bool:
    # A keyword without a name is **kwargs.
    by_name = any(one.arg in {None, "update_fields"} for one in call.keywords)
    return by_name or len(call.args) >= _POSITIONAL
