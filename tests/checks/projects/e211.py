from tests.checks.projects.correct import *  # noqa: F403

SERVICE_ACCEPTED_TOKENS = {"user": ["Jb5nHs8PcD4gUe6K", "gateway-on-this-machine-only"]}
