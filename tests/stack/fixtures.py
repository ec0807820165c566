"""Fixtures: a PgBouncer and a PostgreSQL of a module's own, which it may restart, and whose sessions it may spoil."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections

from tests.stack import Stack

DJANGOS_OWN = {"DISABLE_SERVER_SIDE_CURSORS": False, "CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": False, "OPTIONS": {}}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Two server connections a database: so few that clients get each other's."""
    with Stack(pool_size=2) as stack:
        yield stack


@pytest.fixture
def alias(stack: Stack, django_db_blocker: Any) -> Iterator[Callable[..., str]]:
    """Return a function that makes a database alias on the stack, of ours or with Django's default settings.

    Each thread has a connection of its own under it; those are closed at the thread's end by who began it.
    """
    environment, made = stack.environment, []
    parts = {"HOST": "DB_HOST", "PORT": "DB_PORT", "USER": "DB_USER", "PASSWORD": "DB_PASSWORD", "NAME": "DB_NAME"}
    login = {part: environment[variable] for part, variable in parts.items()}

    def make(name: str, *, ours: bool = True, **changes: Any) -> str:
        base = {**connections.settings["default"], **login}
        connections.settings[name] = {**base, **({} if ours else DJANGOS_OWN), **changes}
        made.append(name)
        return name

    with django_db_blocker.unblock():
        yield make
        for name in made:
            connections[name].close()
            del connections[name], connections.settings[name]
