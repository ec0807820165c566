"""Sets what it wants whenever it connects, as one does without a pooler."""

from django.apps import AppConfig
from django.db.backends.signals import connection_created


def be_impatient(connection, **_):
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '7s'")


class ImpatientConfig(AppConfig):
    name = "tests.checks.apps.impatient"
    label = "impatient"

    def ready(self):
        connection_created.connect(be_impatient)
