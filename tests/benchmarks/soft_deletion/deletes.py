"""What do deletes and restores cost beside the UPDATE statements that one would write by hand?"""

from tests.benchmarks.soft_deletion import by_hand, rows
from tests.benchmarks.soft_deletion.measure import Line, compared, in_turn
from tests.benchmarks.soft_deletion.models import Author, Book, Chapter, Child, Note, Parent


def childless(runs: int) -> Line:
    """One instance: one statement, and no transaction around it."""
    figures = in_turn(Note.objects.create, by_hand.delete_note, Note.delete, left=active_note, runs=runs * 10)
    return compared("childless", *figures, bound=1.8, queries=range(1, 2), may_begin=False)


def cascade(runs: int) -> Line:
    """A tree of three levels: one statement a level."""
    figures = in_turn(rows.tree, by_hand.delete_tree, Author.delete, left=active_below, runs=runs)
    return compared("cascade, 1 + 100 + 1,000", *figures, bound=1.4, queries=range(3, 4))


def flat(runs: int) -> Line:
    """A queryset of rows that nobody refers to."""

    def ours(batch: int) -> None:
        Note.objects.filter(batch=batch).delete()

    figures = in_turn(rows.notes, by_hand.delete_notes, ours, left=active_notes, runs=_fewer(runs))
    return compared("flat, 10,000", *figures, bound=1.2, queries=range(1, 2))


def parents(runs: int) -> Line:
    """A queryset of rows that others refer to."""

    def ours(batch: int) -> None:
        Parent.objects.filter(batch=batch).delete()

    figures = in_turn(rows.parents, by_hand.delete_parents, ours, left=_active_parents, runs=_fewer(runs))
    return compared("parents, 1,000 x 10", *figures, bound=1.4, queries=range(2, 4))


def restore(runs: int) -> Line:
    """The tree of `cascade`, brought back."""
    figures = in_turn(rows.deleted_tree, by_hand.restore_tree, Author.restore, left=_deleted_below, runs=runs)
    return compared("restore, 1 + 100 + 1,000", *figures, bound=1.2, queries=range(3, 4))


def active_notes(batch: int) -> int:
    """Return how many of a batch are active."""
    return Note.objects.filter(batch=batch).count()


def active_below(author: Author) -> int:
    """Return how much of a tree is active."""
    return (
        Author.objects.filter(pk=author.pk).count()
        + Book.objects.filter(author=author).count()
        + Chapter.objects.filter(book__author=author).count()
    )


def _fewer(runs: int) -> int:
    """Return the number of runs where each changes some 10,000 rows."""
    return max(runs // 2, 3)


def active_note(note: Note) -> int:
    return Note.objects.filter(pk=note.pk).count()


def _active_parents(batch: int) -> int:
    return Parent.objects.filter(batch=batch).count() + Child.objects.filter(parent__batch=batch).count()


def _deleted_below(author: Author) -> int:
    return 1 + rows.BOOKS + rows.BOOKS * rows.CHAPTERS_OF_A_BOOK - active_below(author)
