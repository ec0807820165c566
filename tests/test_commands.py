import logging
import re
import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand

from shared_core import commands, context
from shared_core.clients import ServiceClient
from shared_core.testing import FakeService

logger = logging.getLogger("apps.tests")


class UserClient(ServiceClient):
    service = "user"


class Command(BaseCommand):
    requires_system_checks = ()

    def handle(self, **options):
        logger.info("Working")
        with FakeService("user") as users:
            users.on("GET", "/api/v1/users").reply(json=[])
            UserClient(token=False).get("/api/v1/users")
            self.sent = users.calls[0].headers
        self.bound = context.current()


class Outer(Command):
    def handle(self, **options):
        super().handle()
        self.inner = Command()
        call_command(self.inner)


class Failing(BaseCommand):
    requires_system_checks = ()

    def handle(self, **options):
        raise CommandError(context.request_id())


@pytest.fixture(autouse=True)
def user_service(settings):
    settings.USER_SERVICE_URL = "http://user"


def test_a_command_logs_and_calls_with_its_own_ids(capture_logs):
    first, second = Command(), Command()

    call_command(first)
    call_command(second)

    assert first.bound.keys() == {"request_id", "trace_id", "span_id", "command"}
    assert first.bound["command"] == "test_commands"
    assert first.bound["request_id"] != second.bound["request_id"]
    assert first.sent["X-Request-ID"] == first.bound["request_id"]
    assert first.bound["trace_id"] in first.sent["traceparent"]
    lines = [record["fields"]["request_id"] for record in capture_logs if record["message"] == "Working"]
    assert lines == [first.bound["request_id"], second.bound["request_id"]]
    assert context.current() == {}


def test_a_command_called_in_a_request_or_command_shares_its_ids():
    outer = Outer()

    with context.bind(request_id="0f8fad5b"):
        call_command(outer)
        assert context.current() == {"request_id": "0f8fad5b"}

    assert outer.bound == outer.inner.bound == {"request_id": "0f8fad5b", "command": "test_commands"}


def test_a_failed_command_leaves_nothing_bound():
    with pytest.raises(CommandError, match=r"^[0-9a-f]{32}$"):
        call_command(Failing())

    assert context.current() == {}


@pytest.mark.parametrize("name", ["runserver", "test", "testserver"])
def test_servers_and_test_runs_get_no_command_ids(monkeypatch, name):
    monkeypatch.setattr(Command, "__module__", f"django.core.management.commands.{name}")
    command = Command()

    call_command(command)

    assert command.bound == {}


def test_binding_ids_to_commands_twice_wraps_execute_once():
    commands.bind_ids_to_commands()
    command = Command()

    call_command(command)

    assert re.fullmatch("[0-9a-f]{32}", command.bound["request_id"])
    assert BaseCommand.execute.__wrapped__.__module__ == "django.core.management.base"
    assert not hasattr(BaseCommand.execute.__wrapped__, "__wrapped__")


@pytest.mark.parametrize(("written", "is_replaced"), [("", True), ("SHARED_CORE_COMMAND_IDS=False", False)])
def test_shared_core_command_ids_false_leaves_base_command_unchanged(written, is_replaced):
    code = (
        "import django; from django.conf import settings\n"
        "from django.core.management.base import BaseCommand\n"
        f"before = BaseCommand.execute; settings.configure(INSTALLED_APPS=['shared_core'], {written})\n"
        "django.setup(); print(BaseCommand.execute is not before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout == f"{is_replaced}\n"
