"""Models that every service starts from: a UUID key, timestamps, and a delete that can be undone.

Import from here: migrations name these objects by this path.
"""

from shared_core.models.base import BaseModel, SoftDeleteModel, TimeStampedModel, UUIDModel
from shared_core.models.ids import uuid7
from shared_core.models.querysets import AllObjectsManager, SoftDeleteManager, SoftDeleteQuerySet
from shared_core.models.restore import ParentDeletedError, RestoreError

__all__ = [
    "AllObjectsManager",
    "BaseModel",
    "ParentDeletedError",
    "RestoreError",
    "SoftDeleteManager",
    "SoftDeleteModel",
    "SoftDeleteQuerySet",
    "TimeStampedModel",
    "UUIDModel",
    "uuid7",
]
