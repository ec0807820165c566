from tests.checks.projects.correct import *  # noqa: F403

SECRET_KEY = "django-insecure-Qe7w1oZ9hZp3vT5yN8sXkR2uLdBfGcJm4A6"
