"""The models and classes that the checks look at."""

import functools
import sys
import sysconfig
from collections.abc import Iterable, Iterator

from django.apps import AppConfig, apps
from django.db import models

type Model = type[models.Model]
type AppConfigs = Iterable[AppConfig] | None  # as Django gives them to a check; None: all

_NOT_OWN = frozenset({"django", "shared_core"})


def models_of(app_configs: AppConfigs) -> Iterator[Model]:
    """Yield the models of these apps."""
    for config in apps.get_app_configs() if app_configs is None else app_configs:
        yield from config.get_models()


def is_own(cls: type) -> bool:
    """Say whether the service can change the class: it is none of Django's, of ours, or of an installed package."""
    if cls.__module__.partition(".")[0] in _NOT_OWN:
        return False
    file = getattr(sys.modules.get(cls.__module__), "__file__", None) or ""
    return not file.startswith(_packages())


@functools.cache
def _packages() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return paths["purelib"], paths["platlib"]
