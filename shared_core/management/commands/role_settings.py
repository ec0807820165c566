"""``manage.py role_settings``: the SQL that gives a service's role its settings for good.

Behind a pooler no connection is the service's own, so a ``SET`` is somebody else's next; PgBouncer refuses the
connection parameter ``options``. What PostgreSQL keeps with the role holds on each of its connections.
"""

from typing import Any

from django.core.management.base import CommandParser
from django.db import connections

from shared_core.databases.sessions import is_setting
from shared_core.management.base import TerminalCommand, check_alias, usage_error

_EXAMPLE = "statement_timeout=30s idle_in_transaction_session_timeout=60s"

# Settings that are lists of names, each of which PostgreSQL wants by itself: GUC_LIST_QUOTE, in the source of pg_dump.
_LISTS = frozenset(
    {
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
    }
)


class Command(TerminalCommand):
    """Prints, and runs nothing: who may alter roles is seldom the service."""

    help = """\
Print the SQL that sets PostgreSQL's settings for this service's role, and run
nothing."""
    examples = f"""\
manage.py role_settings {_EXAMPLE}
manage.py role_settings search_path=tickets,public --database archive
manage.py role_settings lock_timeout=5s | psql "$OWNER_URL"

Exit status: 0 when it is printed, 2 for a mistake in the command line.
"""
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("pairs", nargs="+", metavar="NAME=VALUE", help="as statement_timeout=30s")
        parser.add_argument("--database", default="default", metavar="ALIAS", help='of which database ("default")')

    def handle(self, **options: Any) -> None:  # Any: as argparse read them
        """Print one statement a setting."""
        using: str = options["database"]
        check_alias(using)
        database = connections[using].settings_dict
        if connections[using].vendor != "postgresql" or not (database["USER"] and database["NAME"]):
            raise usage_error(f"--database {using} names no role and database of PostgreSQL.")
        statements = []
        for text in options["pairs"]:
            name, equals, value = text.partition("=")
            if not (equals and value and is_setting(name)):
                raise usage_error(f"{text!r} is no setting: write {_EXAMPLE}.")
            role, where = _quoted(database["USER"], '"'), _quoted(database["NAME"], '"')
            statements.append(f"ALTER ROLE {role} IN DATABASE {where} SET {name} = {_value(name, value)};")
        self.stdout.write("\n".join(statements))


def _value(name: str, text: str) -> str:
    if name not in _LISTS:
        return _quoted(text, "'")
    return ", ".join(_quoted(part.strip().strip('"'), "'") for part in text.split(","))


def _quoted(text: str, mark: str) -> str:
    return f"{mark}{text.replace(mark, mark * 2)}{mark}"
