"""gunicorn's own lines too are in the service's format."""

from shared_core.logging_config import get_logging_config

logconfig_dict = get_logging_config("user")
