"""The admin of soft-deletable models: deleted rows are found, restored, and only on purpose deleted for good."""

from shared_core.admin.filters import DeletedFilter
from shared_core.admin.options import SoftDeleteAdmin

__all__ = ["DeletedFilter", "SoftDeleteAdmin"]
