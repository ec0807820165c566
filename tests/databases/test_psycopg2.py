"""Where a service has psycopg2 and no psycopg."""

import os
import subprocess
import sys

from django.conf import settings

CODE = """
import sys
sys.modules["psycopg"] = None
import django
from django.conf import settings
from shared_core.databases import AdvisoryLockTimeout, advisory_lock, get_database_config, local_settings
settings.configure(DATABASES=get_database_config(), INSTALLED_APPS=["shared_core"])
django.setup()
from django.db import connection, connections
with connection.cursor() as cursor, local_settings(statement_timeout=1000):
    cursor.execute("SHOW statement_timeout")
    print(connection.Database.__name__, cursor.fetchone())
import threading
held, leave = threading.Event(), threading.Event()
def hold():
    with advisory_lock("k"):
        held.set()
        leave.wait(20)
    connections.close_all()
thread = threading.Thread(target=hold)
thread.start()
held.wait(20)
try:
    with advisory_lock("k", timeout=0.1):
        print("held twice")
except AdvisoryLockTimeout as error:
    print(error)
leave.set()
thread.join()
"""


def test_settings_and_locks_work_through_the_pooler_with_psycopg2():
    default = settings.DATABASES["default"]
    environment = (
        os.environ
        | {f"DB_{name}": default[name] for name in ("HOST", "PORT", "USER", "PASSWORD")}
        | {"DB_NAME": "postgres"}
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE], env=environment, capture_output=True, text=True, check=False
    )

    assert done.stdout.splitlines() == [
        "psycopg2 ('1s',)",
        "the advisory lock 'k' was held by somebody else for 0.1 s",
    ], done.stderr
