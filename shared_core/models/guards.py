"""Refuse an active row under a parent that is deleted, or is being deleted.

    with atomic(): Comment.objects.create(ticket=t)      with atomic(): t.delete()
      INSERT comment                                       UPDATE ticket     t is marked
                                                           UPDATE comment    sees no comment: not committed yet
      COMMIT                                               COMMIT
                                                         an active comment of a deleted ticket

A foreign key does not help: the ticket's row is still there. So the parent is checked again when the row is committed.
"""

from collections.abc import Collection, Sequence
from typing import Any

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import models
from django.db.models.constraints import BaseConstraint
from django.utils.translation import gettext_lazy as _

from shared_core.models.statements import rows_of

# The row is read again: it may have been changed or deleted since the statement that fired the trigger.
_FUNCTION = """\
CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $guard$
BEGIN
  SELECT * INTO NEW FROM {table} WHERE {key} = NEW.{key} AND NOT is_deleted;
  IF NOT FOUND THEN RETURN NULL; END IF;
{checks}\
  RETURN NULL;
END
$guard$;
"""
_CHECK = """\
  PERFORM 1 FROM {parent} WHERE {target} = NEW.{link} AND NOT is_deleted FOR SHARE;
  IF NOT FOUND AND NEW.{link} IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation', MESSAGE = {message}, CONSTRAINT = {constraint};
  END IF;
"""
_TRIGGER = """\
CREATE CONSTRAINT TRIGGER {name} AFTER INSERT OR UPDATE OF {columns}, is_deleted ON {table}
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NOT NEW.is_deleted) EXECUTE FUNCTION {name}()
"""


class ActiveParentConstraint(BaseConstraint):
    """An active row refers to active rows by these foreign keys; PostgreSQL enforces it, also between requests.

    Without it, a row that is inserted while its parent is being deleted stays active under it: neither transaction
    sees the other. With it, a deferred constraint trigger locks the parent (FOR SHARE) when the transaction that
    inserted, restored or moved the row is committed. The trigger waits for a running deletion, and raises
    IntegrityError if the parent is deleted then. A later deletion waits for the row, and deletes it too.

    `full_clean` validates it. On other databases than PostgreSQL, nothing else does.

    Args:
        fields: Names of foreign keys to models that can be soft-deleted.
        name: Of the trigger and of its function; unique in the database's schema.
    """

    default_violation_error_message = _("This refers to a row that is deleted.")

    def __init__(self, *, fields: Sequence[str], name: str, violation_error_message: str | None = None) -> None:
        if isinstance(fields, str) or not fields:
            raise ValueError("ActiveParentConstraint needs the names of foreign keys: fields=['ticket'].")
        self.fields = tuple(fields)
        super().__init__(name=name, violation_error_message=violation_error_message)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ActiveParentConstraint):
            return NotImplemented
        return self.deconstruct() == other.deconstruct()

    def __hash__(self) -> int:
        return hash((self.name, self.fields))

    def deconstruct(self) -> tuple[str, Any, dict[str, Any]]:
        """Return the path that migrations hold; it never changes."""
        _, arguments, options = super().deconstruct()
        return "shared_core.models.ActiveParentConstraint", arguments, {**options, "fields": list(self.fields)}

    def constraint_sql(self, model: Any, schema_editor: Any) -> Any:  # Any: as Django's own
        """Return nothing, and create the trigger after the table: it is no part of CREATE TABLE."""
        if sql := self.create_sql(model, schema_editor):
            schema_editor.deferred_sql.append(sql)

    def create_sql(self, model: Any, schema_editor: Any) -> Any:  # Any: as Django's own
        """Return the SQL that creates the function and its trigger, on PostgreSQL."""
        if schema_editor.connection.vendor != "postgresql":
            return None
        quote = schema_editor.connection.ops.quote_name
        links = [self._link(model, name) for name in self.fields]
        names = {
            "name": quote(self.name),
            "table": quote(model._meta.db_table),
            "key": quote(model._meta.pk.column),
            "columns": ", ".join(quote(link.column) for link, _ in links),
        }
        checks = [
            _CHECK.format(
                parent=quote(parent._meta.db_table),
                target=quote(link.target_field.column),
                link=quote(link.column),
                message=_literal(f"{model._meta.db_table}.{link.column}: {parent._meta.db_table} has no active row"),
                constraint=_literal(self.name),
            )
            for link, parent in links
        ]
        return _FUNCTION.format(checks="".join(checks), **names) + _TRIGGER.format(**names)

    def remove_sql(self, model: Any, schema_editor: Any) -> Any:  # Any: as Django's own
        """Return the SQL that drops both, on PostgreSQL."""
        if schema_editor.connection.vendor != "postgresql":
            return None
        quote = schema_editor.connection.ops.quote_name
        name = quote(self.name)
        return f"DROP TRIGGER IF EXISTS {name} ON {quote(model._meta.db_table)};\nDROP FUNCTION IF EXISTS {name}()"

    def validate(
        self,
        model: type[models.Model],
        instance: models.Model,
        exclude: Collection[str] | None = None,
        using: str = "default",
    ) -> None:
        """Raise ValidationError if an active instance refers to a row that is deleted or missing."""
        if getattr(instance, "is_deleted", False):
            return
        for name in set(self.fields) - set(exclude or ()):
            link, _ = self._link(model, name)
            value = getattr(instance, link.attname)
            if value is None:
                continue
            parents = rows_of(link.related_model, using)
            if not parents.filter(**{link.target_field.name: value, "is_deleted": False}).exists():
                raise ValidationError({name: ValidationError(self.get_violation_error_message(), code="deleted")})

    def _link(self, model: type[models.Model], name: str) -> tuple[Any, type[models.Model]]:
        """Return the foreign key and the model that it refers to; both tables must have ``is_deleted``."""
        link: Any = model._meta.get_field(name)
        parent = link.related_model
        if not isinstance(link, models.ForeignKey) or not _has_own_columns(model) or not _has_own_columns(parent):
            raise ImproperlyConfigured(
                f"{self.name}: {model._meta.label}.{name} must be a foreign key between models that can be "
                "soft-deleted, and both tables must have is_deleted (that of a multi-table child has not)."
            )
        return link, parent


def _has_own_columns(model: Any) -> bool:  # Any: a model, or what a field without one has
    return hasattr(model, "_meta") and any(field.name == "is_deleted" for field in model._meta.local_fields)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
