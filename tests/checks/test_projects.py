"""A service without a mistake, and with each: the settings projects/correct.py, and a module beside it for each id."""

from pathlib import Path

import pytest

from shared_core.checks.catalogue import MISTAKES
from tests.checks.servers import reconnect, session_mode

pytestmark = pytest.mark.slow

PROJECTS = sorted(path.stem for path in (Path(__file__).parent / "projects").glob("[ew]*.py"))
LIVE = [name for name in PROJECTS if name[1] == "3"]
STATIC = [name for name in PROJECTS if name not in LIVE]


@pytest.fixture(scope="module")
def found(check):
    return check("correct", *STATIC)


def ids(messages):
    return [message[0] for message in messages]


def test_correct_settings_have_no_message(found):
    assert found["correct"] == []


@pytest.mark.parametrize("project", STATIC)
def test_settings_with_one_mistake_have_only_its_message(found, project):
    assert ids(found[project]) == [f"shared_core.{project.upper()}"]


def test_each_mistake_has_settings_that_make_it():
    assert {mistake.id for mistake in MISTAKES} == {f"shared_core.{name.upper()}" for name in PROJECTS}


class TestLive:
    def test_correct_settings_have_no_message(self, check, stack):
        assert check("correct", database="default", **stack.environment) == {"correct": []}

    @pytest.mark.parametrize("project", [name for name in LIVE if name != "w303"])
    def test_settings_with_one_mistake_have_only_its_message(self, check, stack, project):
        messages = check(project, database="default", **stack.environment)[project]
        reconnect(stack)  # what one has leaked is not the next one's mistake

        assert ids(messages) == [f"shared_core.{project.upper()}"]

    def test_a_pooler_in_session_mode_has_only_its_message(self, check, stack):
        with session_mode(stack) as port:
            messages = check("w303", database="default", **stack.environment, SESSION_MODE_PORT=str(port))["w303"]

        assert ids(messages) == ["shared_core.W303"]

    @pytest.mark.parametrize("project", ["w302", "w303"])
    def test_pooler_mistakes_are_not_reported_with_pool_mode_none(self, check, stack, project):
        direct = stack.environment["DB_DIRECT_PORT"]
        environment = stack.environment | {"DB_PORT": direct, "SESSION_MODE_PORT": direct, "DB_POOL_MODE": "none"}

        assert check(project, database="default", **environment) == {project: []}
