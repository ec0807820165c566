"""Base models for services: a UUID key, timestamps, and a soft delete that can be restored.

Import from here: migrations name these objects by this path.
"""

from shared_core.models.base import BaseModel, SoftDeleteModel, TimeStampedModel, UUIDModel
from shared_core.models.constraints import (
    ActiveIndex,
    DeletedIndex,
    SoftDeleteMeta,
    UniqueActiveConstraint,
    active,
)
from shared_core.models.guards import ActiveParentConstraint
from shared_core.models.ids import uuid7
from shared_core.models.purging import purge
from shared_core.models.querysets import AllObjectsManager, SoftDeleteManager, SoftDeleteQuerySet
from shared_core.models.restore import ParentDeletedError, RestoreConflictError, RestoreError
from shared_core.models.signals import post_restore, post_soft_delete, pre_restore, pre_soft_delete

__all__ = [
    "ActiveIndex",
    "ActiveParentConstraint",
    "AllObjectsManager",
    "BaseModel",
    "DeletedIndex",
    "ParentDeletedError",
    "RestoreConflictError",
    "RestoreError",
    "SoftDeleteManager",
    "SoftDeleteMeta",
    "SoftDeleteModel",
    "SoftDeleteQuerySet",
    "TimeStampedModel",
    "UUIDModel",
    "UniqueActiveConstraint",
    "active",
    "post_restore",
    "post_soft_delete",
    "pre_restore",
    "pre_soft_delete",
    "purge",
    "uuid7",
]
