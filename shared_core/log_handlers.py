"""The name that version 0.1 has for `shared_core.logs`. Version 0.3 removes it."""

import warnings

from shared_core.logs import SharedFileHandler

__all__ = ["SharedFileHandler"]

warnings.warn(
    "shared_core.log_handlers is renamed: write shared_core.logs, for example shared_core.logs.SharedFileHandler. "
    "Version 0.3 removes the old name.",
    DeprecationWarning,
    stacklevel=2,
)
