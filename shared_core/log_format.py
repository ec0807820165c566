"""The name that version 0.1 has for `shared_core.logs`. Version 0.3 removes it."""

import warnings

from shared_core.logs import DevFormatter, JsonFormatter, TextFormatter, parse_line

__all__ = ["DevFormatter", "JsonFormatter", "TextFormatter", "parse_line"]

warnings.warn(
    "shared_core.log_format is renamed: write shared_core.logs, for example shared_core.logs.TextFormatter. "
    "Version 0.3 removes the old name.",
    DeprecationWarning,
    stacklevel=2,
)
