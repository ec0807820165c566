"""What the commands have in common; what each of them does is tested beside it."""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command, load_command_class
from django.db import DataError, InterfaceError, OperationalError, ProgrammingError, connection

from shared_core import __main__, scaffold
from shared_core.doctor import __main__ as doctor
from shared_core.logs import __main__ as logs
from shared_core.management.base import TerminalCommand
from tests.terminal import Terminal, on_a_terminal

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
COMMANDS = ["migrate", "purge_deleted", "purge_idempotency_keys", "role_settings"]
PROGRAMS = {"startservice": scaffold, "doctor": doctor, "logs": logs}
PARSERS = {
    **{name: load_command_class("shared_core", name).create_parser("manage.py", name) for name in COMMANDS},
    **{name: program._parser() for name, program in PROGRAMS.items()},
}
# What the suite's models are warned of is not looked at here.
UNCHECKED = {name: ["--skip-checks"] for name in ("purge_deleted", "purge_idempotency_keys")}
for parser in PARSERS.values():
    parser.allow_abbrev = False  # in examples, names stand as they are
COLOURS = ("NO_COLOR", "FORCE_COLOR", "DJANGO_COLORS")


def examples(parser):
    """Return the words of each example of a parser's help, from the program's name on."""
    lines = [line for line in parser.format_help().splitlines() if not line.startswith("usage: ")]
    found = [re.search(r"(?:manage\.py|-m shared_core)\b.*?(?=  | \||' |$)", line) for line in lines]
    return [shlex.split(match[0].removeprefix("-m ")) for match in found if match]


@pytest.mark.parametrize("name", PARSERS)
def test_the_help_of_each_command_ends_with_valid_examples(name, capsys):
    found = examples(PARSERS[name])

    assert 2 <= len(found) <= 4
    for program, *words in found:
        if program != "shared_core.logs":
            assert words.pop(0) == name
        PARSERS[name].parse_args(words)


def test_the_examples_in_the_main_help_are_valid():
    found = [words[1:] for words in examples(__main__._parser()) if "shared_core" in words]

    assert {words[0] for words in found} == PROGRAMS.keys()
    for name, *words in found:
        with contextlib.suppress(SystemExit):  # of --help
            PARSERS[name].parse_args(words)


@pytest.mark.parametrize("name", PARSERS)
def test_the_help_of_each_command_explains_its_exit_status(name):
    assert name == "startservice" or "Exit status: 0 " in PARSERS[name].format_help()


def test_a_commands_own_options_come_before_djangos_in_the_help():
    options = re.findall(r"^  (--[a-z-]+)", PARSERS["purge_deleted"].format_help(), re.MULTILINE)

    assert options.index("--dry-run") < options.index("--traceback")


class Command(TerminalCommand):
    """Does what a test says."""

    requires_system_checks = ()

    def __init__(self, act=lambda command: None, **options):
        super().__init__(**options)
        self.act = act

    def handle(self, **options):
        self.act(self)


def typed(act, *arguments):
    """Return the status of a command that does ``act``, and what it writes to its error output."""
    said = io.StringIO()
    with pytest.raises(SystemExit) as raised:
        Command(act, stderr=said).run_from_argv(["manage.py", "command", *arguments])
    return raised.value.code, said.getvalue()


def failing(error, code=None):
    def fail(command):
        raise error from SimpleError(code)

    return fail


class SimpleError(Exception):
    def __init__(self, sqlstate):
        super().__init__()
        self.sqlstate = sqlstate


NO_ANSWER = "The database does not answer: refused. Look at DB_HOST and its like: python -m shared_core doctor says"


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OperationalError("refused\n\tIs it running?"), None, NO_ANSWER),
        (OperationalError("refused"), "08P01", NO_ANSWER),
        (OperationalError("refused"), "57P01", NO_ANSWER),
        (InterfaceError("refused"), None, NO_ANSWER),
        (
            ProgrammingError('relation "a" does not exist\nLINE 1'),
            "42P01",
            'relation "a" does not exist. Run manage.py',
        ),
        (OperationalError("no such table: a"), None, "no such table: a. Run manage.py migrate first."),
        (ProgrammingError("permission denied for table a"), "42501", "permission denied for table a. Have the owner"),
        (DataError("cannot execute DELETE"), "25006", "cannot execute DELETE. Name a database that can be written to."),
    ],
)
class TestDatabaseErrors:
    def test_a_database_error_is_one_line_with_advice_on_the_command_line(self, error, code, said):
        status, text = typed(failing(error, code))

        assert status == 1
        assert text.startswith(f"CommandError: {said}")
        assert text.count("\n") == 1

    def test_a_database_error_keeps_its_cause_with_traceback(self, error, code, said):
        with pytest.raises(CommandError) as raised:
            Command(failing(error, code)).run_from_argv(["manage.py", "command", "--traceback"])

        assert raised.value.__cause__ is error

    def test_call_command_raises_the_database_error_itself(self, error, code, said):
        with pytest.raises(type(error)) as raised:
            call_command(Command(failing(error, code)))

        assert raised.value is error


@pytest.mark.parametrize(
    "error",
    [(ProgrammingError("syntax error"), "42601"), (OperationalError("deadlock"), "40P01"), (ValueError("bad"), None)],
)
def test_an_error_in_the_code_keeps_its_traceback(error):
    with pytest.raises(type(error[0])):
        Command(failing(*error)).run_from_argv(["manage.py", "command"])


def test_ctrl_c_is_status_130_on_the_command_line_and_raises_in_call_command():
    def interrupt(command):
        raise KeyboardInterrupt

    assert typed(interrupt) == (130, "")
    with pytest.raises(KeyboardInterrupt):
        call_command(Command(interrupt))


class TestColour:
    @pytest.fixture
    def written(self, monkeypatch):
        """What a command writes in a style to an output, as a person or a program sees it."""

        def written(stream, environment=(), **options):
            for name in COLOURS:
                monkeypatch.delenv(name, raising=False)
            for name in environment:
                monkeypatch.setenv(name, "1")
            monkeypatch.setattr(sys, "stdout", stream())  # where Django looks
            command = Command(lambda command: command.stdout.write("text", command.style.ERROR))
            call_command(command, **options)
            return sys.stdout.getvalue()

        return written

    def test_a_terminal_gets_colour(self, written):
        assert "\x1b" in written(Terminal)
        assert written(io.StringIO) == "text\n"

    def test_no_color_turns_colour_off_and_force_color_overrides_it(self, written):
        assert written(Terminal, ["NO_COLOR"]) == "text\n"
        assert "\x1b" in written(Terminal, ["NO_COLOR"], force_color=True)

    def test_the_force_color_variable_turns_colour_on_and_the_option_overrides_it(self, written):
        assert "\x1b" in written(io.StringIO, ["FORCE_COLOR"])
        assert written(io.StringIO, ["FORCE_COLOR"], no_color=True) == "text\n"


def environment(**changes):
    """Return the environment of a command that works on the test's database."""
    database = connection.settings_dict
    names = {"DB_HOST": "HOST", "DB_PORT": "PORT", "DB_NAME": "NAME", "DB_USER": "USER", "DB_PASSWORD": "PASSWORD"}
    ours = {name: str(database[key]) for name, key in names.items()}
    kept = {name: value for name, value in os.environ.items() if name not in COLOURS}
    return kept | ours | {"DJANGO_SETTINGS_MODULE": "tests.settings", "SERVICE_NAME": "tests"} | changes


def manage(*words, stdout=subprocess.PIPE, **changes):
    command = [sys.executable, "-m", "django", *words]
    return subprocess.run(
        command,
        check=False,
        cwd=ROOT,
        env=environment(**changes),
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    "words", [["migrate"], ["migrate", "--plan"], ["purge_deleted", "--older-than=90d"], ["purge_idempotency_keys"]]
)
def test_an_unreachable_database_is_a_one_line_error(words):
    done = manage(*words, *UNCHECKED.get(words[0], ()), DB_PORT="1", DB_DIRECT_PORT="1")

    assert (done.returncode, done.stdout) == (1, "")
    # Before Django 5.2, migrate looks at the project when it has the lock, to which the direct way leads.
    said = r"CommandError: The (database does not answer|way round the pooler, which .*): .*Connection refused.*\n"
    assert re.fullmatch(said, done.stderr)


@pytest.mark.parametrize("words", [["purge_deleted", "--older-than=90d"], ["purge_idempotency_keys"]])
def test_a_purge_of_a_missing_table_says_migrate(words):
    done = manage(*words, "--skip-checks", DB_NAME="postgres")

    assert done.returncode == 1
    assert re.fullmatch(r'CommandError: relation "\w+" does not exist. Run manage.py migrate first.\n', done.stderr)


@pytest.mark.parametrize(
    "words",
    [
        ["migrate", "--lock-timeout=-1"],
        ["migrate", "--database=nowhere"],
        ["purge_deleted"],
        ["purge_deleted", "--older-than=soon"],
        ["purge_deleted", "--older-than=1d", "--model=nothing"],
        ["purge_idempotency_keys", "--older-than=soon"],
        ["role_settings", "nothing"],
        ["role_settings", "lock_timeout=1s", "--database=nowhere"],
    ],
)
def test_a_usage_error_has_status_2(words, capsys):
    command = load_command_class("shared_core", words[0])

    with pytest.raises(SystemExit) as raised:
        command.run_from_argv(["manage.py", *words, *UNCHECKED.get(words[0], ())])

    assert raised.value.code == 2
    assert "rror: " in capsys.readouterr().err.splitlines()[-1]


def test_a_closed_pipe_ends_a_command_without_a_message():
    reader, writer = os.pipe()
    os.close(reader)
    done = manage("role_settings", "lock_timeout=1s", stdout=writer)
    os.close(writer)

    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(("changes", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_an_error_is_coloured_on_a_terminal_without_no_color(changes, coloured):
    command = [sys.executable, "-m", "django", "role_settings", "nothing"]
    status, shown = on_a_terminal(command, cwd=ROOT, env=environment(**changes))

    assert status == 2
    assert "CommandError: 'nothing' is no setting" in shown
    assert ("\x1b" in shown) is coloured
