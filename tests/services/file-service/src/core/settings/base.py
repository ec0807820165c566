"""What is the same wherever file-service runs: attachments: metadata in the database, content on disk."""

from pathlib import Path

from decouple import config

from shared_core.service_settings import get_service_settings

globals().update(get_service_settings("file", apps=["apps.attachments"]))

FILE_STORAGE = Path(config("FILE_STORAGE"))
MAX_UPLOAD_BYTES = config("MAX_UPLOAD_BYTES", default=100_000_000, cast=int)
