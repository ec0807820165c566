"""docs/testing.md is a test file of a new service: it passes there, and catches what it says it catches."""

import re
from pathlib import Path

import pytest

from tests.services.generated import Generated, database, other_service

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
FILES = dict(re.findall(r"^```python\n# (src/\S+\.py)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))
SHOW = 'return {"id": row.pk, '


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with database() as name, other_service() as users:
        service = Generated.make(tmp_path_factory.mktemp("made"), "ticket", name, USER_SERVICE_URL=users)
        for file, text in FILES.items():
            (service.folder / file).write_text(text)
        yield service


@pytest.fixture
def views(service):
    """Return a function that puts something else in place of a piece of views.py, for the length of a test."""
    path = service.folder / "src/apps/tickets/views.py"
    whole = path.read_text()

    def put(old, new):
        assert old in whole
        path.write_text(whole.replace(old, new))

    yield put
    path.write_text(whole)


def run(service, *arguments):
    done = service.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "src/apps/tickets/test_tickets.py", *arguments)
    return done.stdout + done.stderr


def masked(text):
    return re.sub(r"'[0-9a-f…-]+'", "'…'", re.sub(r":\d+ in ", ": in ", text))


def test_the_test_file_of_the_page_passes_and_uses_every_listed_helper(service):
    assert "9 passed" in run(service)
    assert set(FILES) == {"src/apps/tickets/factories.py", "src/apps/tickets/test_tickets.py"}
    used = "\n".join(FILES.values())
    assert all(name in used for name in re.findall(r"^\| \[`(\w+)`\]", PAGE, re.MULTILINE)[:5])


def test_a_failed_query_count_prints_what_the_page_shows(service, views):
    views(SHOW, f'{SHOW}"others": Ticket.objects.filter(owner_id=row.owner_id).count(), ')
    (shown,) = re.findall(r"^    (AssertionError: .*(?:\n    .+)+)", PAGE, re.MULTILINE)
    said = run(service, "-k", "however_many")

    assert "2 failed" in said
    assert masked(re.sub(r"^    ", "", shown, flags=re.MULTILINE)) in masked(
        re.sub(r"^E {7}", "", said, flags=re.MULTILINE)
    )


def test_only_the_through_pooler_marker_finds_a_leaked_setting(service):
    path = service.folder / "src/apps/tickets/test_left.py"
    path.write_text(
        "import pytest\n"
        "from django.db import connection\n"
        "def is_kept():\n"
        "    with connection.cursor() as cursor:\n"
        "        cursor.execute(\"SET work_mem = '5MB'\")\n"
        "        cursor.execute('SHOW work_mem')\n"
        "        return cursor.fetchone() == ('5MB',)\n"
        "@pytest.mark.django_db(transaction=True)\n"
        "def test_by_luck():\n"
        "    assert is_kept()\n"
        "@pytest.mark.through_pooler\n"
        "def test_with_the_marker():\n"
        "    assert is_kept()\n"
    )
    said = service.run("-m", "pytest", "-q", "-p", "no:cacheprovider", str(path)).stdout
    path.unlink()

    assert "1 failed, 1 passed" in said
    assert "test_with_the_marker" in said
