"""The mistakes that ``manage.py check`` finds. Their ids never change: SILENCED_SYSTEM_CHECKS may name them.

0xx  DATABASES behind a transaction pooler
1xx  models and their admin
2xx  services: secrets, URLs, callers
3xx  a database that is running: ``manage.py check --database default``

The README's table is made of these: ``python -m tests.checks.table``.
"""

from dataclasses import dataclass

from django.core import checks


@dataclass(frozen=True)
class Mistake:
    """One way to hold this package wrong.

    Args:
        id: ``shared_core.E001``; W for a warning.
        level: `Error`, or `Warning` where a service may have its reasons.
        title: What is wrong, for the table.
        hint: What to write; ``{alias}`` and its like are filled in for each finding.
    """

    id: str
    level: type[checks.Error] | type[checks.Warning]
    title: str
    hint: str

    def found(self, detail: str = "", *, obj: object = None, **names: str) -> checks.CheckMessage:
        """Return the message of one finding.

        Args:
            detail: What was found; never a secret.
            obj: The model, field or class that it is about.
            names: What the hint asks for.
        """
        text = f"{self.title}: {detail}." if detail else f"{self.title}."
        return self.level(text, hint=self.hint.format(**names), obj=obj, id=self.id)


def _error(number: str, title: str, hint: str) -> Mistake:
    return Mistake(f"shared_core.E{number}", checks.Error, title, hint)


def _warning(number: str, title: str, hint: str) -> Mistake:
    return Mistake(f"shared_core.W{number}", checks.Warning, title, hint)


SERVER_SIDE_CURSORS = _error(
    "001",
    "Server-side cursors are on behind a transaction pooler",
    '`DATABASES["{alias}"]["DISABLE_SERVER_SIDE_CURSORS"] = True`',
)
STARTUP_OPTIONS = _error(
    "002",
    "A connection has the parameter options, which PgBouncer refuses",
    'Take OPTIONS["options"] out of DATABASES["{alias}"]. For a block of code write '
    "`with shared_core.databases.local_settings(statement_timeout=2000):`, for good run the SQL of "
    "`manage.py role_settings statement_timeout=2s --database {alias}`.",
)
PREPARED_STATEMENTS = _error(
    "003",
    "Statements are prepared behind a pooler that does not keep them apart",
    '`DATABASES["{alias}"]["OPTIONS"]["prepare_threshold"] = None`; or, where PgBouncer is 1.21 or later, its version '
    "in the environment: `PGBOUNCER_VERSION=1.21`",
)
ASSUMED_ROLE = _error(
    "004",
    "A role is assumed for a session, which is the next client's too behind a transaction pooler",
    'Take OPTIONS["assume_role"] out of DATABASES["{alias}"], and run the SQL of '
    "`manage.py role_settings role={role} --database {alias}`.",
)
POOL_AND_MAX_AGE = _error(
    "005",
    "A pool of psycopg's and persistent connections are both asked for, which Django refuses",
    '`DATABASES["{alias}"]["CONN_MAX_AGE"] = 0`',
)
ATOMIC_REQUESTS = _warning(
    "006",
    "Each request is one transaction, which keeps its server connection while other services are called",
    '`DATABASES["{alias}"]["ATOMIC_REQUESTS"] = False`, and `with transaction.atomic():` round what must be one.',
)
HEALTH_CHECKS = _warning(
    "007",
    "Connections are kept and not checked, so a restart of the pooler fails requests",
    '`DATABASES["{alias}"]["CONN_HEALTH_CHECKS"] = True`',
)
TEST_RUNNER = _warning(
    "008",
    "Tests cannot drop their database through the pooler",
    '`TEST_RUNNER = "shared_core.testing.PoolerTestRunner"`. Where pytest runs them, its plugin does it: '
    '`SILENCED_SYSTEM_CHECKS = ["shared_core.W008"]`',
)

UNIQUE = _warning(
    "101",
    "A deleted row keeps its unique value from being used again",
    'In Meta.constraints, in place of {place}: `UniqueActiveConstraint({values}, name="{name}")`. '
    'Where deleted rows are to keep theirs: `SILENCED_SYSTEM_CHECKS = ["shared_core.W101"]`',
)
SOFT_DELETE_META = _warning(
    "102",
    "A Meta has lost what SoftDeleteMeta adds",
    "In `class Meta(SoftDeleteMeta):` write `{kind} = [*SoftDeleteMeta.{kind}, …]`",
)
DEFAULT_MANAGER = _error(
    "103",
    "The default manager shows deleted rows",
    "`objects = SoftDeleteManager()`, before the model's other managers. Where it is on purpose, in `class Meta:` "
    'write `default_manager_name = "{manager}"`',
)
CASCADE_TO_PLAIN = _warning(
    "104",
    "Rows that cannot be soft-deleted stay when their parent is",
    "`class {child}(BaseModel):`, so that they go along and come back; or {field} with `on_delete=models.PROTECT`.",
)
CASCADE_FROM_PLAIN = _warning(
    "105",
    "Rows that can be soft-deleted are deleted for good with their parent, which cannot",
    "{field} with `on_delete=models.PROTECT`; or `class {parent}(BaseModel):`, where that is yours. Until then, a "
    "plain ModelAdmin of {parent} deletes these rows without asking for `hard_delete_…` permissions.",
)
UPDATE_FIELDS = _warning(
    "106",
    "A save() drops update_fields, and writes all columns over what others have changed",
    "`def save(self, *args, **kwargs):`, and in it `super().save(*args, **kwargs)`",
)
ADMIN = _warning(
    "107",
    "The admin cannot show deleted rows, nor restore one",
    "`class {admin}({bases}):`, with SoftDeleteAdmin of shared_core.admin; or, where it has no class of its own, "
    "`admin.site.register({model}, SoftDeleteAdmin)`",
)
ADMIN_INLINE = _warning(
    "108",
    "A form of the admin deletes rows by is_deleted or deleted_at, without cascade, protection or delete permission",
    '`exclude = ["is_deleted", "deleted_at"]` in `class {inline}(…):`',
)
ADMIN_ERASES = _warning(
    "109",
    "The admin deletes rows for good that can be soft-deleted, without asking for hard_delete permission",
    "In `class {admin}(…):` write `def has_delete_permission(self, request, obj=None):`, and in it "
    '`return super().has_delete_permission(request, obj) and request.user.has_perm("{permission}")`',
)

SECRET_KEY = _error(
    "201",
    "SECRET_KEY is weak outside of DEBUG",
    '`SECRET_KEY = secret("SECRET_KEY")`, of shared_core.service_settings, and a new one in the environment: '
    '`python -c "import secrets; print(secrets.token_urlsafe(50))"`',
)
TOKEN = _error(
    "202",
    "A token that this service sends is weak outside of DEBUG",
    '`{setting} = secret("{setting}")`, of shared_core.service_settings, and a new one in the environment: '
    '`python -c "import secrets; print(secrets.token_urlsafe(32))"`',
)
ALLOWED_HOSTS = _warning(
    "203",
    "Every Host header is accepted outside of DEBUG",
    '`ALLOWED_HOSTS = ["user.example.com"]`, the names that this service has.',
)
SERVICE_URL = _error(
    "204",
    "A service's URL is no base URL",
    '`{setting} = "http://{service}:8000"`',
)
NO_SERVICE_URL = _warning(
    "205",
    "A client's service has no URL",
    '`{setting} = "http://{service}:8000"`',
)
NOBODY_ACCEPTED = _warning(
    "206",
    "ServiceAuthMiddleware lets nobody in",
    "`SERVICE_ACCEPTED_TOKENS = accepted_tokens()`, of shared_core.service_settings, and in the environment "
    '`SERVICE_ACCEPTED_TOKENS="ticket=<token>"`',
)
ACCEPTED = _error(
    "207",
    "What callers are known by is wrong, so that their calls fail",
    '`SERVICE_ACCEPTED_TOKENS = {{"ticket": [Path("/run/secrets/ticket_token")]}}`, or the SERVICE_JWT_… settings; '
    'see "Who may call" in the README.',
)
CONTEXT_MIDDLEWARE = _warning(
    "208",
    "RequestContextMiddleware is not the first",
    '`MIDDLEWARE = ["shared_core.middleware.RequestContextMiddleware", …]`',
)
MIDDLEWARE_ORDER = _warning(
    "209",
    "ServiceAuthMiddleware comes before RequestContextMiddleware, so that refusals have no access line",
    '`MIDDLEWARE = ["shared_core.middleware.RequestContextMiddleware", "shared_core.auth.ServiceAuthMiddleware", …]`',
)
USER_ID_FIELD = _error(
    "210",
    "USER_ID_FIELD is no field of the user model, so that no token can be made or read",
    '`{setting} = {{"USER_ID_FIELD": "{field}", …}}`',
)

ACCEPTED_TOKEN = _error(
    "211",
    "A token that this service accepts is weak outside of DEBUG, and is refused",
    'A new one in the environment, `SERVICE_ACCEPTED_TOKENS="{service}=<token>"`, and in SERVICE_AUTH_TOKEN of the '
    'caller: `python -c "import secrets; print(secrets.token_urlsafe(32))"`',
)

UNREACHABLE = _error(
    "301",
    "The database cannot be asked",
    'Look at HOST, PORT, USER, PASSWORD and NAME of DATABASES["{alias}"] (DB_… in the environment), '
    "and whether the pooler and PostgreSQL run.",
)
LEAKED = _warning(
    "302",
    "What was SET for a session is met by the pooler's next clients",
    "`with shared_core.databases.local_settings({setting}=…):` in place of the SET. "
    "What is left of it goes with `RECONNECT` in PgBouncer's console.",
)
NOT_SHARED = _warning(
    "303",
    "The pooler is not in transaction mode, or there is none",
    "`pool_mode = transaction` in pgbouncer.ini; where there is none, `DB_POOL_MODE=none` in the environment.",
)
OLD_POSTGRESQL = _warning(
    "304",
    "PostgreSQL is older than what this package or Django is made for",
    "Upgrade to PostgreSQL 16; 14 is the oldest.",
)

MISTAKES = tuple(value for value in list(globals().values()) if isinstance(value, Mistake))
