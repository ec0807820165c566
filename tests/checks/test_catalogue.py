import re
import subprocess
import sys

import pytest
from django.apps import apps
from django.core import checks

from shared_core.checks import live, register
from shared_core.checks.catalogue import MISTAKES, Mistake


def test_ids_are_unique_and_say_their_level():
    letters = {checks.Error: "E", checks.Warning: "W"}

    assert len({mistake.id for mistake in MISTAKES}) == len(MISTAKES)
    for mistake in MISTAKES:
        assert re.fullmatch(rf"shared_core\.{letters[mistake.level]}[0-3][0-9]{{2}}", mistake.id)


def test_numbers_are_unique_whatever_the_level():
    numbers = [mistake.id[-3:] for mistake in MISTAKES]

    assert sorted(set(numbers)) == numbers


def test_a_message_has_its_text_its_object_and_a_hint():
    mistake = Mistake("shared_core.W999", checks.Warning, "The hat is on", 'hat["{head}"] = None  # or {{}}')

    assert mistake.found("two heads", obj=list, head="left") == checks.Warning(
        "The hat is on: two heads.", hint='hat["left"] = None  # or {}', obj=list, id="shared_core.W999"
    )
    assert mistake.found(head="left").msg == "The hat is on."


@pytest.fixture
def registry(monkeypatch):
    """Django's registry, as it was before."""
    registry = checks.registry.registry
    monkeypatch.setattr(registry, "registered_checks", set())
    monkeypatch.setattr(registry, "deployment_checks", set())
    return registry


def test_registering_twice_registers_each_check_once(registry):
    register()
    before = registry.get_checks()
    register()

    assert registry.get_checks() == before
    assert sorted(check.tags for check in before) == [("database",)] + [("shared_core",)] * 10


def test_live_checks_connect_only_to_named_databases(registry, monkeypatch):
    register()
    asked = []
    monkeypatch.setattr(live, "_check_database", lambda connection, _: asked.append(connection.alias) or [])
    checks.run_checks()
    assert asked == []

    checks.run_checks(databases=["archive"])

    assert asked == ["archive"]


def test_registering_checks_does_not_import_them():
    code = "import sys; from shared_core import checks; checks.register(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert [name for name in done.stdout.split() if name.startswith("shared_core.")] == ["shared_core.checks"]


def test_an_app_may_be_checked_alone(registry):
    register()
    found = checks.run_checks(app_configs=[apps.get_app_config("contenttypes")], tags=["shared_core"])

    assert not [message for message in found if message.id.startswith("shared_core.W1")]
