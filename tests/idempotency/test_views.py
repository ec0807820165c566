"""A view that is run once for each key, however often, by however many, and from wherever it is asked."""

import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ImproperlyConfigured
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.template.backends.django import DjangoTemplates
from django.template.response import TemplateResponse
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from shared_core.context.bindings import extended
from shared_core.context.inbound import Inbound, serving_request
from shared_core.idempotency import idempotent
from shared_core.idempotency.models import StoredResponse
from tests.library.models import Author

pytestmark = pytest.mark.django_db

ENGINE = DjangoTemplates({"NAME": "django", "DIRS": [], "APP_DIRS": False, "OPTIONS": {}})
KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"


def post(body='{"name": "Ada"}', key=KEY, path="/authors", *, service="ticket", method="post", **options):
    headers = {} if key is None else {"Idempotency-Key": key}
    content_type = options.pop("content_type", "application/json")
    request = getattr(RequestFactory(), method)(path, body, content_type=content_type, headers=headers, **options)
    request.service = service
    return request


@idempotent
def create(request):
    author = Author.objects.create(name="Ada")
    return JsonResponse({"id": str(author.pk)}, status=201, headers={"Location": f"/authors/{author.pk}"})


def answers(status, **options):
    """Return a view that writes, and answers so."""

    def view(request):
        Author.objects.create(name="Ada")
        return JsonResponse({}, status=status)

    return idempotent(view, **options) if not options else idempotent(**options)(view)


def authors():
    return Author.objects.count()


def test_a_repeated_request_runs_once_and_gets_the_first_response(capture_logs):
    first, again = create(post()), create(post())

    assert authors() == 1
    assert (again.status_code, again.content) == (first.status_code, first.content) == (201, first.content)
    assert again.headers.items() >= first.headers.items()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert [line["fields"]["idempotency_key"] for line in capture_logs] == [KEY]


class ToArchive:
    """A router that keeps answers, and the library, in another database."""

    def db_for_read(self, model, **hints):
        return "archive"

    db_for_write = db_for_read


@pytest.mark.django_db(databases=["default", "archive"])
@pytest.mark.parametrize(("status", "kept"), [(201, 1), (503, 0)])
def test_the_response_and_the_views_rows_are_in_the_routers_database(settings, status, kept):
    settings.DATABASE_ROUTERS = [f"{__name__}.ToArchive"]
    view = answers(status)

    assert [view(post()).status_code for _ in range(2)] == [status] * 2
    for using, count in (("archive", kept), ("default", 0)):
        assert (Author.objects.using(using).count(), StoredResponse.objects.using(using).count()) == (count, count)


def test_a_stored_response_has_a_readable_key_and_name():
    create(post())

    (kept,) = StoredResponse.objects.all()
    assert (kept.caller, kept.method, kept.path, kept.key) == ("ticket", "POST", "/authors", KEY)
    assert (kept.status, str(kept)) == (201, f"POST /authors {KEY}")


def test_idempotency_takes_three_statements_besides_the_views_own():
    with CaptureQueriesContext(connection) as first:
        create(post())
    with CaptureQueriesContext(connection) as again:
        create(post())

    def own(queries):
        said = [query["sql"].split(" ")[0] for query in queries if "SAVEPOINT" not in query["sql"]]
        return [word for word in said if word not in {"BEGIN", "COMMIT"}]

    # The lock, whether there is an answer, the author, the answer.
    assert own(first) == ["SELECT", "SELECT", "INSERT", "INSERT"]
    assert own(again) == ["SELECT", "SELECT"]


@pytest.mark.parametrize(
    "other",
    [
        {"key": "another"},
        {"path": "/others"},
        {"method": "put"},
        {"service": "file"},
    ],
)
def test_another_key_path_method_or_caller_is_another_request(other):
    create(post())
    create(post(**other))

    assert authors() == 2


def test_users_have_separate_keys():
    for pk in (1, 2, 1):
        request = post(service="")
        request.user = User(pk=pk)
        create(request)
    request = post(service="")
    request.user = AnonymousUser()
    create(request)

    assert authors() == 3
    assert sorted(StoredResponse.objects.values_list("caller", flat=True)) == ["", "/1", "/2"]


def test_the_caller_argument_separates_keys():
    view = answers(201, caller=lambda request: request.headers["X-Tenant"])
    for tenant in ("one", "two", "one"):
        request = post()
        request.META["HTTP_X_TENANT"] = tenant
        view(request)

    assert authors() == 2


@pytest.mark.parametrize(
    "other", [{"body": '{"name": "Eve"}'}, {"path": "/authors?dry_run=1"}, {"content_type": "text/plain"}, {"body": ""}]
)
def test_a_key_is_refused_for_another_body(other):
    create(post())
    response = create(post(**other))

    assert response.status_code == 422
    assert response.content == b'{"error": "This Idempotency-Key was used for another request."}'
    assert authors() == 1


def test_a_multipart_form_is_compared_without_its_boundary():
    def send(content, boundary):
        request = RequestFactory().post(
            "/authors",
            {"file": SimpleUploadedFile("a.txt", content)},
            headers={"Idempotency-Key": KEY},
        )
        body = request.body.replace(b"BoUnDaRyStRiNg", boundary)
        return create(post(body, content_type=f"multipart/form-data; boundary={boundary.decode()}"))

    sent = [send(b"one", b"first"), send(b"one", b"second"), send(b"two", b"third")]
    assert [response.status_code for response in sent] == [201, 201, 422]


def test_the_view_can_still_read_the_body():
    @idempotent
    def echo(request):
        return HttpResponse(request.read() + request.body)

    assert echo(post(b"abc")).content == b"abcabc"


@pytest.mark.parametrize("key", ["", "a b", "é", "a" * 256, "a\tb", "\u0661"])
def test_an_invalid_key_is_400(key):
    response = create(post(key=key))

    assert response.status_code == 400
    assert b"Idempotency-Key of 1 to 255 visible ASCII characters" in response.content
    assert authors() == 0


@pytest.mark.parametrize("key", ["a", "~" * 255, '"8e03978e"', "a,b"])
def test_a_key_may_be_any_visible_ascii_text(key):
    assert [create(post(key=key)).status_code for _ in range(2)] == [201, 201]
    assert authors() == 1


def test_without_a_key_the_view_runs_unless_it_is_required():
    for _ in range(2):
        create(post(key=None))
    assert (authors(), StoredResponse.objects.count()) == (2, 0)

    assert answers(201, required=True)(post(key=None)).status_code == 400
    assert authors() == 2


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_get_head_and_options_ignore_the_key(method):
    view = answers(200, required=True)
    headers = {"Idempotency-Key": KEY}
    for _ in range(2):
        view(getattr(RequestFactory(), method)("/authors", headers=headers))

    assert (authors(), StoredResponse.objects.count()) == (2, 0)


@pytest.mark.parametrize("status", [200, 202, 204, 303, 400, 404, 410, 422])
def test_a_final_response_is_stored_with_the_views_rows(status):
    view = answers(status)

    assert [view(post()).status_code for _ in range(2)] == [status] * 2
    assert authors() == 1


@pytest.mark.parametrize("status", [500, 502, 503, 401, 403, 408, 409, 425, 429])
def test_a_response_worth_a_retry_is_rolled_back_and_not_stored(status):
    statuses = [status, 201]

    @idempotent
    def view(request):
        Author.objects.create(name="Ada")
        return HttpResponse(status=statuses.pop(0))

    seen = [view(post()).status_code]
    assert authors() == 0
    seen += [view(post()).status_code for _ in range(2)]

    assert seen == [status, 201, 201]
    assert authors() == 1


def test_a_view_that_raises_is_rolled_back_and_can_be_retried():
    errors = [ValueError("broken")]

    @idempotent
    def view(request):
        Author.objects.create(name="Ada")
        if errors:
            raise errors.pop()
        return HttpResponse(status=201)

    with pytest.raises(ValueError, match="broken"):
        view(post())
    assert (authors(), StoredResponse.objects.count()) == (0, 0)

    assert view(post()).status_code == 201


def test_a_rollback_inside_a_transaction_keeps_earlier_rows():
    with transaction.atomic():
        Author.objects.create(name="Eve")
        assert answers(503)(post()).status_code == 503
        assert answers(201)(post()).status_code == 201

    assert sorted(Author.objects.values_list("name", flat=True)) == ["Ada", "Eve"]


def test_a_stored_response_has_no_cookies():
    @idempotent
    def view(request):
        response = HttpResponse(status=201)
        response.set_cookie("session", "hunter2")
        return response

    assert "session" in view(post()).cookies
    assert not view(post()).cookies
    assert "hunter2" not in str(StoredResponse.objects.values())


def test_a_template_response_is_rendered_before_it_is_stored():
    @idempotent
    def view(request):
        return TemplateResponse(request, ENGINE.from_string("{{ 6 }}7"))

    assert [view(post()).content for _ in range(2)] == [b"67", b"67"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: StreamingHttpResponse([b"a"]),
        lambda: FileResponse(io.BytesIO(b"a")),
        lambda: {"id": 1},
        lambda: None,
    ],
    ids=["stream", "file", "dict", "none"],
)
def test_a_response_that_cannot_be_stored_is_an_error_and_rolled_back(make):
    @idempotent
    def view(request):
        Author.objects.create(name="Ada")
        return make()

    with pytest.raises(TypeError, match="cannot be stored: the view must return an HttpResponse that is no stream"):
        view(post())
    assert authors() == 0


def test_decorating_an_async_view_is_a_type_error():
    async def view(request):
        pass

    with pytest.raises(TypeError, match="not asynchronous"):
        idempotent(view)


@pytest.mark.parametrize("wait", [-1, 60, float("nan"), True, "1"])
def test_an_invalid_wait_is_refused(wait):
    with pytest.raises(ValueError, match="must be seconds, from 0 and below 60"):
        idempotent(wait=wait)


def test_decorating_above_service_auth_is_an_error():
    @idempotent
    def view(request):
        request.service = "ticket"  # as @service_auth_required below it would
        Author.objects.create(name="Ada")
        return HttpResponse()

    with pytest.raises(ImproperlyConfigured, match="put it below @service_auth_required"):
        view(post(service=""))
    assert authors() == 0


def test_without_its_app_the_error_says_what_to_install(settings, monkeypatch):
    def nowhere(*args):
        raise LookupError

    monkeypatch.setattr("shared_core.idempotency.views.apps.get_model", nowhere)

    with pytest.raises(ImproperlyConfigured, match=r'add "shared_core\.idempotency" to INSTALLED_APPS'):
        create(post())


def test_idempotent_keeps_view_attributes_and_decorates_class_based_views():
    @idempotent
    @csrf_exempt
    def view(request):
        """Say."""

    class Authors(View):
        @method_decorator(idempotent(required=True))
        def post(self, request):
            return create.__wrapped__(request)

    assert (view.__name__, view.__doc__, view.csrf_exempt) == ("view", "Say.", True)
    assert [Authors.as_view()(post()).status_code for _ in range(2)] == [201, 201]
    assert authors() == 1


def test_without_advisory_locks_the_unique_key_makes_a_concurrent_request_409(monkeypatch):
    monkeypatch.setattr(connection, "vendor", "another")

    @idempotent
    def view(request):
        # As somebody else does, at once.
        answers(201)(post())
        Author.objects.create(name="Eve")
        return HttpResponse(status=201)

    response = view(post())

    assert (response.status_code, response.headers["Retry-After"]) == (409, "1")
    assert authors() == 0
    assert [create(post()).status_code for _ in range(2)] == [201, 201]
    assert authors() == 1


class TestConcurrentRequests:
    pytestmark = pytest.mark.django_db(transaction=True)

    def send(self, view, count, **options):
        together = threading.Barrier(count)

        def run(_):
            together.wait(20)
            try:
                return view(post(**options))
            finally:
                connections.close_all()

        with ThreadPoolExecutor(count) as threads:
            return list(threads.map(run, range(count)))

    def test_concurrent_requests_run_the_view_once(self):
        @idempotent
        def view(request):
            Author.objects.create(name="Ada")
            time.sleep(0.3)
            return HttpResponse(b"first", status=201)

        responses = self.send(view, 8)

        assert authors() == 1
        assert {(response.status_code, response.content) for response in responses} == {(201, b"first")}
        assert sum("Idempotent-Replayed" in response.headers for response in responses) == 7

    def test_concurrent_requests_are_409_if_the_first_takes_too_long(self):
        @idempotent(wait=0.2)
        def view(request):
            Author.objects.create(name="Ada")
            time.sleep(1)
            return HttpResponse(status=201)

        responses = self.send(view, 4)

        assert sorted(response.status_code for response in responses) == [201, 409, 409, 409]
        assert {response.headers.get("Retry-After") for response in responses} == {None, "1"}
        assert authors() == 1

    def test_a_request_waits_no_longer_than_its_inbound_deadline(self):
        started = threading.Event()

        @idempotent(wait=30)
        def view(request):
            started.set()
            time.sleep(2.5)
            return HttpResponse(status=201)

        with ThreadPoolExecutor(1) as threads:
            first = threads.submit(self.send, view, 1)
            started.wait(20)
            with serving_request(Inbound(deadline="2"), extended({})):
                began = time.monotonic()
                response = view(post())
                waited = time.monotonic() - began
            first.result()

        assert response.status_code == 409
        assert waited < 1.8  # half of it is left to the view, had it to run

    def test_a_waiting_request_holds_no_server_connection(self):
        running, over = threading.Event(), threading.Event()

        @idempotent(wait=10)
        def view(request):
            running.set()
            over.wait(10)
            return HttpResponse(status=201)

        with ThreadPoolExecutor(4) as threads:
            asked = [threads.submit(self.send, view, 1) for _ in range(4)]
            running.wait(20)
            time.sleep(0.3)
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND state = 'idle in transaction' AND pid <> pg_backend_pid()"
                )
                (held,) = cursor.fetchone()
            over.set()
            answered = [one.result()[0].status_code for one in asked]

        assert held == 1  # the first one's
        assert answered == [201] * 4

    def test_different_keys_do_not_wait_for_each_other(self):
        together = threading.Barrier(3)

        @idempotent
        def view(request):
            together.wait(10)  # all three are in it at once
            return HttpResponse(status=201)

        def run(key):
            try:
                return view(post(key=key)).status_code
            finally:
                connections.close_all()

        with ThreadPoolExecutor(3) as threads:
            assert list(threads.map(run, ["a", "b", "c"])) == [201] * 3


def test_the_models_new_name_touches_no_table(settings):
    settings.MIGRATION_MODULES = {}
    text = io.StringIO()
    call_command("sqlmigrate", "shared_core_idempotency", "0002", stdout=text)
    call_command("makemigrations", "shared_core_idempotency", check=True, dry_run=True)

    assert [line for line in text.getvalue().splitlines() if line and not line.startswith("--")] == [
        "BEGIN;",
        "COMMIT;",
    ]
    assert StoredResponse._meta.db_table == "shared_core_idempotency_firstanswer"
