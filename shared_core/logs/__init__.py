"""A log line's whole life: what a record says, how it is written, where it goes, and how it is read back.

    shared_core.logs.parse_line(line)          # what a line says
    "()": "shared_core.logs.TextFormatter"     # in LOGGING: as one line of text, JsonFormatter, or DevFormatter
    "class": "shared_core.logs.QueuedHandler"  # in LOGGING: for slow destinations; SharedFileHandler for shared files

`python -m shared_core.logs` reads logs; it is not loaded by importing this package.
"""

from shared_core.logs.formatters import DevFormatter, JsonFormatter, TextFormatter
from shared_core.logs.handlers import SharedFileHandler
from shared_core.logs.line import parse_line
from shared_core.logs.queue import QueuedHandler

__all__ = ["DevFormatter", "JsonFormatter", "QueuedHandler", "SharedFileHandler", "TextFormatter", "parse_line"]
