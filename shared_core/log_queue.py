"""The name that version 0.1 has for `shared_core.logs`. Version 0.3 removes it."""

import warnings

from shared_core.logs import QueuedHandler

__all__ = ["QueuedHandler"]

warnings.warn(
    "shared_core.log_queue is renamed: write shared_core.logs, for example shared_core.logs.QueuedHandler. "
    "Version 0.3 removes the old name.",
    DeprecationWarning,
    stacklevel=2,
)
