"""Runs the checks of projects, each in a process of its own, which is forked: starting Python for each takes longer.

python -m tests.checks.run [--database ALIAS] PROJECT…

prints {"e001": [["shared_core.E001", "what", "hint", "object"], …], …}
"""

import argparse
import json
import os
import sys
import traceback

import celery
import django
import django.db.migrations.executor
import django.forms
import django.middleware.csrf
import django.template.backends.django
import django.views.debug
import django.views.generic
import psycopg
from django.core import checks

import shared_core.celery
import shared_core.checks.live
import shared_core.checks.models
import shared_core.checks.services
import shared_core.clients
import shared_core.middleware

# What each project imports is imported once, but for what needs settings.
_PRELOADED = (celery, psycopg, shared_core)


def messages_of(project, databases):
    os.environ["DJANGO_SETTINGS_MODULE"] = f"tests.checks.projects.{project}"
    django.setup()
    shared_core.checks.register()
    found = checks.run_checks(databases=databases)
    return [[one.id, one.msg, one.hint, str(one.obj)] for one in found]


def in_a_process(project, databases):
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        with os.fdopen(reader) as answer:
            text = answer.read()
        _, status = os.wait()
        return json.loads(text) if not status else sys.exit(f"{project} ended with {status}")
    status = 1
    try:
        with os.fdopen(writer, "w") as answer:
            json.dump(messages_of(project, databases), answer)
        status = 0
    except BaseException:  # noqa: BLE001  # the parent must not go on twice
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", action="append", metavar="ALIAS")
    parser.add_argument("projects", nargs="+", metavar="PROJECT")
    arguments = parser.parse_args()
    print(json.dumps({project: in_a_process(project, arguments.database) for project in arguments.projects}))


if __name__ == "__main__":
    main()
