"""Pins the names that services import and the signatures they call; a change here is a change of the contract."""

import inspect
from importlib import import_module

import pytest

NAMES = {
    "shared_core": ["__version__"],
    "shared_core.models": [
        "ActiveIndex",
        "ActiveParentConstraint",
        "AllObjectsManager",
        "BaseModel",
        "DeletedIndex",
        "ParentDeletedError",
        "RestoreConflictError",
        "RestoreError",
        "SoftDeleteManager",
        "SoftDeleteMeta",
        "SoftDeleteModel",
        "SoftDeleteQuerySet",
        "TimeStampedModel",
        "UUIDModel",
        "UniqueActiveConstraint",
        "active",
        "post_restore",
        "post_soft_delete",
        "pre_restore",
        "pre_soft_delete",
        "purge",
        "uuid7",
    ],
    "shared_core.clients": [
        "Attempt",
        "CallEvent",
        "CallInsideTransaction",
        "CircuitBreaker",
        "CircuitOpen",
        "ClientCredentials",
        "ClientError",
        "Conflict",
        "DeadlineExceeded",
        "Forbidden",
        "HTTPClient",
        "InvalidResponse",
        "NotFound",
        "OriginStats",
        "RateLimited",
        "ResponseTooLarge",
        "RetryBudget",
        "RetryPolicy",
        "ServerError",
        "ServiceClient",
        "ServiceConnectTimeout",
        "ServiceConnectionError",
        "ServiceError",
        "ServiceHTTPError",
        "ServiceTimeout",
        "ServiceToken",
        "TokenError",
        "TooManyRedirects",
        "Unauthorized",
        "UnsafeURL",
        "forward_user",
    ],
    "shared_core.idempotency": ["idempotent"],
    "shared_core.logging_config": ["get_logging_config"],
    "shared_core.logs": [
        "DevFormatter",
        "JsonFormatter",
        "QueuedHandler",
        "SharedFileHandler",
        "TextFormatter",
        "parse_line",
    ],
    "shared_core.context": ["ContextExecutor", "bind", "current", "request_id"],
    "shared_core.middleware": ["RequestContextMiddleware"],
    "shared_core.auth": ["ServiceAuth", "ServiceAuthMiddleware", "service_auth_required"],
    "shared_core.databases": ["AdvisoryLockTimeout", "advisory_lock", "get_database_config", "local_settings"],
    "shared_core.health": ["readiness_check"],
    "shared_core.service_settings": [
        "accepted_tokens",
        "allowed_hosts",
        "behind_gateway",
        "cache_config",
        "get_service_settings",
        "secret",
        "service_urls",
    ],
    "shared_core.testing": [
        "BaseModelFactory",
        "FakeCall",
        "FakeService",
        "PoolerTestRunner",
        "Query",
        "Route",
        "assert_max_num_queries",
        "assert_num_queries",
        "capture_logs",
    ],
}

SIGNATURES = {
    "shared_core.models.uuid7": "()",
    "shared_core.models.active": "(*paths)",
    "shared_core.models.purge": "(model, *, older_than, batch_size=1000, using=None)",
    "shared_core.models.UniqueActiveConstraint": "(*expressions, fields=(), name, condition=None, **options)",
    "shared_core.models.ActiveIndex": "(*expressions, fields=(), name, condition=None, **options)",
    "shared_core.models.ActiveParentConstraint": "(*, fields, name, violation_error_message=None)",
    "shared_core.models.BaseModel.delete": "(self, using=None, keep_parents=False)",
    "shared_core.models.BaseModel.soft_delete": "(self, *, using=None, cascade=True)",
    "shared_core.models.BaseModel.restore": "(self, *, using=None)",
    "shared_core.models.BaseModel.hard_delete": "(self, using=None, *, keep_parents=False)",
    "shared_core.models.SoftDeleteQuerySet.active": "(self)",
    "shared_core.models.SoftDeleteQuerySet.deleted": "(self)",
    "shared_core.models.SoftDeleteQuerySet.with_deleted": "(self)",
    "shared_core.models.SoftDeleteQuerySet.delete": "(self)",
    "shared_core.models.SoftDeleteQuerySet.soft_delete": "(self, *, cascade=True)",
    "shared_core.models.SoftDeleteQuerySet.restore": "(self)",
    "shared_core.models.SoftDeleteQuerySet.hard_delete": "(self)",
    "shared_core.clients.HTTPClient": (
        "(base_url=None, *, service=None, token=None, timeout=None, retry=None, deadline=None, headers=None, "
        "verify=True, proxies=None, max_response_bytes=10000000, pool_maxsize=32, "
        "breaker=CircuitBreaker(failures=5, rest=10.0), budget=RetryBudget(ratio=0.2, reserve=10.0), on_event=None, "
        "transport=None)"
    ),
    "shared_core.clients.HTTPClient.request": "(self, method, url, *, data=None, json=None, **options)",
    "shared_core.clients.HTTPClient.get": "(self, url, **options)",
    "shared_core.clients.HTTPClient.head": "(self, url, **options)",
    "shared_core.clients.HTTPClient.delete": "(self, url, *, data=None, json=None, **options)",
    "shared_core.clients.HTTPClient.post": "(self, url, data=None, json=None, **options)",
    "shared_core.clients.HTTPClient.put": "(self, url, data=None, json=None, **options)",
    "shared_core.clients.HTTPClient.patch": "(self, url, data=None, json=None, **options)",
    "shared_core.clients.HTTPClient.get_json": "(self, url, *, missing_ok=False, **options)",
    "shared_core.clients.HTTPClient.post_json": "(self, url, json=None, **options)",
    "shared_core.clients.HTTPClient.put_json": "(self, url, json=None, **options)",
    "shared_core.clients.HTTPClient.patch_json": "(self, url, json=None, **options)",
    "shared_core.clients.HTTPClient.stats": "(self)",
    "shared_core.clients.CircuitBreaker": "(*, failures=5, rest=10.0)",
    "shared_core.clients.RetryBudget": "(*, ratio=0.2, reserve=10.0)",
    "shared_core.clients.ServiceToken": "(issuer, audience, key, *, algorithm='HS256', lifetime=300.0, key_id=None)",
    "shared_core.clients.forward_user": "()",
    "shared_core.clients.ClientCredentials": "(token_url, client_id, client_secret, scope=None)",
    "shared_core.testing.capture_logs": "(logger='', level=0)",
    "shared_core.testing.assert_num_queries": "(num, *, using='default')",
    "shared_core.testing.assert_max_num_queries": "(num, *, using='default')",
    "shared_core.testing.FakeService": "(service)",
    "shared_core.testing.FakeService.on": "(self, method, path)",
    "shared_core.testing.Route.reply": "(self, status=200, *, json=None, body=None, headers=None, times=None)",
    "shared_core.testing.Route.fail": "(self, how='refused', *, times=None)",
    "shared_core.testing.Route.delay": "(self, seconds)",
    "shared_core.logging_config.get_logging_config": (
        "(service=None, *, environment=None, level=None, format=None, log_file=None, log_file_max_bytes=0, "
        "log_file_backups=5, levels=None, mask_keys=(), max_record_bytes=65536, clashing_extras='rename')"
    ),
    "shared_core.health.readiness_check": "(name, *, timeout=2.0)",
    "shared_core.logs.parse_line": "(line)",
    "shared_core.service_settings.get_service_settings": "(name, *, apps=(), calls=(), middleware=())",
    "shared_core.service_settings.secret": "(name, *, unsafe=None, shortest=32)",
    "shared_core.service_settings.service_urls": "(*services)",
    "shared_core.auth.service_auth_required": "(*services)",
    "shared_core.context.bind": "(**fields)",
    "shared_core.context.current": "()",
    "shared_core.context.request_id": "()",
    "shared_core.databases.advisory_lock": "(key, *, timeout=10.0, using='default')",
    "shared_core.databases.get_database_config": "()",
    "shared_core.databases.local_settings": "(*, using='default', **settings)",
}


def resolve(path):
    """Return the object at a dotted path, which may go on inside a class."""
    module, names = path, []
    while True:
        try:
            found = import_module(module)
        except ModuleNotFoundError:
            module, _, name = module.rpartition(".")
            names.insert(0, name)
        else:
            for name in names:
                found = getattr(found, name)
            return found


@pytest.mark.parametrize("module", NAMES)
def test_every_name_of_the_contract_can_be_imported_from_its_module(module):
    missing = [name for name in NAMES[module] if not hasattr(import_module(module), name)]

    assert missing == []


@pytest.mark.parametrize(
    "module",
    [
        "shared_core.models",
        "shared_core.clients",
        "shared_core.context",
        "shared_core.health",
        "shared_core.logs",
        "shared_core.testing",
    ],
)
def test_a_facade_offers_these_names_and_no_others(module):
    assert sorted(import_module(module).__all__) == sorted(NAMES[module])


@pytest.mark.parametrize("path", SIGNATURES)
def test_signatures_are_those_of_the_contract(path):
    signature = inspect.signature(resolve(path))
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]

    assert str(inspect.Signature(plain)) == SIGNATURES[path]


def test_the_defaults_of_a_client_are_those_of_the_contract():
    client = resolve("shared_core.clients.HTTPClient")

    assert client.default_timeout == 5
    assert client.default_retries == 3
    assert client.default_backoff_factor == 0.5
    assert client.default_deadline == 15


def test_a_retry_policy_is_a_frozen_value_with_the_contracts_defaults():
    policy = resolve("shared_core.clients.RetryPolicy")()

    assert (policy.retries, policy.backoff_factor, policy.max_backoff, policy.jitter) == (3, 0.5, 8, 0.5)
    assert (policy.statuses, policy.retry_after_cap) == ({429, 500, 502, 503, 504}, 10)
    with pytest.raises(AttributeError):
        policy.retries = 5


@pytest.mark.parametrize(
    "path", ["shared_core.auth.ServiceCaller", "shared_core.health.health", "shared_core.health.ready"]
)
def test_a_name_that_is_private_now_works_until_version_0_3_and_warns(path):
    module, _, name = path.rpartition(".")

    with pytest.warns(
        DeprecationWarning, match=rf"^{path} is no public name any more: .* Version 0\.3 removes the name\.$"
    ):
        assert callable(getattr(import_module(module), name))
    assert not hasattr(import_module(module), "another")
