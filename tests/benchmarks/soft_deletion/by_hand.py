"""The floor: the statements that one would write by hand, on the same connection."""

from django.db import connection, transaction
from django.utils import timezone

from tests.benchmarks.soft_deletion.models import Author, Note

_DELETE = "SET is_deleted = true, deleted_at = %s, updated_at = %s"
_RESTORE = "SET is_deleted = false, deleted_at = NULL, updated_at = %s"
_BOOKS = "SELECT id FROM soft_deletion_book WHERE author_id = %s"
_PARENTS = "SELECT id FROM soft_deletion_parent WHERE batch = %s AND NOT is_deleted"


def delete_note(note: Note) -> None:
    now = timezone.now()
    _execute(f"UPDATE soft_deletion_note {_DELETE} WHERE id = %s AND NOT is_deleted", now, now, note.pk)


def delete_notes(batch: int) -> None:
    now = timezone.now()
    _execute(f"UPDATE soft_deletion_note {_DELETE} WHERE batch = %s AND NOT is_deleted", now, now, batch)


def delete_tree(author: Author) -> None:
    now, key = timezone.now(), author.pk
    with transaction.atomic():
        _execute(f"UPDATE soft_deletion_author {_DELETE} WHERE id = %s AND NOT is_deleted", now, now, key)
        _execute(f"UPDATE soft_deletion_book {_DELETE} WHERE author_id = %s AND NOT is_deleted", now, now, key)
        _execute(
            f"UPDATE soft_deletion_chapter {_DELETE} WHERE book_id IN ({_BOOKS}) AND NOT is_deleted", now, now, key
        )


def restore_tree(author: Author) -> None:
    now, key, at = timezone.now(), author.pk, author.deleted_at
    with transaction.atomic():
        _execute(f"UPDATE soft_deletion_author {_RESTORE} WHERE id = %s AND deleted_at = %s", now, key, at)
        _execute(f"UPDATE soft_deletion_book {_RESTORE} WHERE author_id = %s AND deleted_at = %s", now, key, at)
        _execute(
            f"UPDATE soft_deletion_chapter {_RESTORE} WHERE book_id IN ({_BOOKS}) AND deleted_at = %s", now, key, at
        )


def delete_parents(batch: int) -> None:
    now = timezone.now()
    with transaction.atomic():
        # Children first: afterwards no parent would be found as active.
        _execute(
            f"UPDATE soft_deletion_child {_DELETE} WHERE parent_id IN ({_PARENTS}) AND NOT is_deleted",
            now,
            now,
            batch,
        )
        _execute(f"UPDATE soft_deletion_parent {_DELETE} WHERE batch = %s AND NOT is_deleted", now, now, batch)


def _execute(sql: str, *parameters: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
