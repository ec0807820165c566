"""Acts on rows that are asked about first: a page says what will happen, and its form does it.

`Restore` brings rows back; `HardDelete` deletes deleted rows for good, once their name or their number is typed.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from typing import Any, ClassVar

import django
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, router, transaction
from django.db.models import ProtectedError, QuerySet, RestrictedError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from shared_core.admin import filters
from shared_core.admin.pages import Page, counted, phrase, with_others
from shared_core.admin.permissions import HARD_DELETE, RESTORE, ChangedError, Known, lacking, pinned, settled
from shared_core.models import RestoreError, preview
from shared_core.models.changes import Counts
from shared_core.models.collector import Group
from shared_core.models.restore import checked, find_restore_error

_LONGEST_REPR = 200  # characters, of LogEntry.object_repr

type Rows = QuerySet[Any]


def log(request: HttpRequest, rows: Iterable[Any], flag: int, message: str) -> list[LogEntry]:
    """Write into the history of each row what the user does to it."""
    rows = list(rows)
    if not rows:
        return []
    user: Any = request.user.pk  # Any: the admin has let nobody in who is anonymous
    content_type = ContentType.objects.get_for_model(rows[0], for_concrete_model=False)
    return LogEntry.objects.bulk_create(
        LogEntry(
            user_id=user,
            content_type=content_type,
            object_id=row.pk,
            object_repr=str(row)[:_LONGEST_REPR],
            action_flag=flag,
            change_message=message,
        )
        for row in rows
    )


def moment(row: Any) -> str:  # Any: a SoftDeleteModel
    """Return when a row was deleted, in the words of the user's language."""
    at = row.deleted_at
    return formats.localize(timezone.localtime(at) if timezone.is_aware(at) else at)


class _Step(ABC):
    """One of the acts, on rows of one request."""

    name: ClassVar[str]  # of its page's template
    title: ClassVar[Any]  # Any: a lazy text
    forbidden: ClassVar[Any]  # Any: as above
    permission: ClassVar[str]  # of `permissions`
    locks: ClassVar[bool]  # the rows, before it acts
    flag: ClassVar[int]
    logged: ClassVar[Any]  # Any: as above
    refusals: ClassVar[tuple[type[Exception], ...]]

    def __init__(self, shown: Any, request: HttpRequest, rows: Rows, obj: Any = None) -> None:
        """Take what it is about.

        Args:
            shown: The `SoftDeleteAdmin`.
            request: Who asks; a POST with ``post`` has confirmed it.
            rows: The rows; only deleted ones are meant.
            obj: The one row meant of these, where its own page asked.
        """
        self.shown, self.request, self.obj = shown, request, obj
        self.page = Page(request, shown.admin_site)
        self.using = router.db_for_write(rows.model)
        self.rows = filters.show(rows, filters.DELETED).using(self.using)

    def take(self) -> HttpResponse | None:
        """Return the page that asks, or says why not; None once it is done."""
        is_sent = bool(self.request.POST.get("post"))
        refused = ""
        if is_sent:
            try:
                with transaction.atomic(using=self.using):
                    done = self.do(pinned(self.rows, deleted=True, locks=self.locks))
            except self.refusals:
                refused = _("Something else changed meanwhile. Try again.")
            else:
                if done is not None:
                    self.shown.message_user(self.request, self.done(done), messages.SUCCESS)
                    return None
        tree = self.foretell(self.rows)
        if not tree.count:
            self.shown.message_user(self.request, _("None of these is deleted."), messages.WARNING)
            return None
        lacking = self.page.lacking(tree, self.permission)
        return self.asking(tree, lacking, self.why_not(tree) or refused, is_sent=is_sent)

    def do(self, rows: Rows) -> preview.Branch | None:
        """Act on the rows and return what it did; None where that is not confirmed.

        Raises:
            PermissionDenied: The user may not act on one of the rows, or on one that is restored or deleted with it.
            ChangedError: Rows below them were added since the user was asked.
        """
        tree = self.settle(rows)
        if self.page.lacking(tree, self.permission):
            raise PermissionDenied
        if not tree.count or not self.is_confirmed(tree):
            return None
        log(self.request, rows, self.flag, str(self.logged))
        with self.checked(tree):
            counts = self.act(rows)
        asked = {model._meta.label: count for model, count in tree.counts().items()}
        # An override may return nothing.
        if counts and any(count > asked.get(label, 0) for label, count in counts[1].items()):
            raise ChangedError
        return tree

    def asking(self, tree: preview.Branch, lacking: list[str], why_not: str, *, is_sent: bool) -> HttpResponse:
        opts, site = self.shown.opts, self.shown.admin_site
        across = self.request.POST.get("select_across") == "1"
        keys = [] if self.obj else self.request.POST.getlist(ACTION_CHECKBOX_NAME)
        context = {
            **site.each_context(self.request),
            **self.words(tree),
            "title": self.title,
            "opts": opts,
            "object": self.obj,
            "lacking": lacking,
            "forbidden": self.forbidden,
            "why_not": why_not,
            "tree": self.page.tree(tree, gone=self.flag == DELETION),
            # Where all rows were meant, one stands for them: a form may hold no more than 1,000 fields.
            "selected": keys[:1] if across else keys,
            "select_across": across,
            "action": self.request.POST.get("action"),
            "checkbox": ACTION_CHECKBOX_NAME,
            "media": self.shown.media,
            "breadcrumbs_are_listed": django.VERSION >= (6, 1),
            "is_mistyped": is_sent and not why_not,
            "preserved_filters": self.shown.get_preserved_filters(self.request),
        }
        self.request.current_app = site.name  # as Django's admin does
        templates = [
            f"admin/{opts.app_label}/{opts.model_name}/{self.name}.html",
            f"admin/{opts.app_label}/{self.name}.html",
            f"admin/shared_core/{self.name}.html",
        ]
        return TemplateResponse(self.request, templates, context)

    def what(self, tree: preview.Branch) -> str:
        """Return the rows' name in a sentence."""
        if self.obj is not None:
            return format_html("{} “{}”", self.shown.opts.verbose_name, self.page.name(self.obj))
        return counted(tree.model, tree.count)

    def is_confirmed(self, tree: preview.Branch) -> bool:  # noqa: ARG002  # for who asks for more
        return True

    def words(self, tree: preview.Branch) -> dict[str, Any]:
        return {"what": self.what(tree)}

    def settle(self, rows: Rows) -> preview.Branch:
        """Return what it would do, in the transaction that then does it."""
        return self.foretell(rows)

    def checked(self, tree: preview.Branch) -> AbstractContextManager[None]:  # noqa: ARG002  # for who checks more
        """Return what refuses other rows than those of the tree, while it acts."""
        return nullcontext()

    @abstractmethod
    def foretell(self, rows: Rows) -> preview.Branch: ...

    @abstractmethod
    def why_not(self, tree: preview.Branch) -> str: ...

    @abstractmethod
    def act(self, rows: Rows) -> Counts | None: ...

    @abstractmethod
    def done(self, tree: preview.Branch) -> str: ...


class Restore(_Step):
    """Bring rows back, with what went in their deletions."""

    name = "restore_confirmation"
    title = gettext_lazy("Restore")
    forbidden = gettext_lazy("Your account does not have permission to restore:")
    permission = RESTORE
    locks = False
    flag = CHANGE
    logged = gettext_lazy("Restored.")
    refusals = (RestoreError, ChangedError, IntegrityError)  # another transaction has taken a unique value meanwhile

    def foretell(self, rows: Rows) -> preview.Branch:
        """Return what it would do."""
        return preview.of_restore(rows)

    def why_not(self, tree: preview.Branch) -> str:  # noqa: ARG002  # as its twin
        """Return why it cannot be done; empty where it can."""
        error = find_restore_error(self.rows)
        return self.page.why_not(error) if error else ""

    def checked(self, tree: preview.Branch) -> AbstractContextManager[None]:
        """Return what refuses rows that were deleted together with these since they were asked about."""
        known = Known(tree)

        def check(groups: list[Group]) -> None:
            others = (known.other(group.model, self.using, group.keys) for group in groups)
            if lacking(self.request, self.shown.admin_site, others, self.permission):
                raise ChangedError

        return checked(check)

    def act(self, rows: Rows) -> Counts | None:
        """Do it."""
        counts: Counts | None
        if self.obj is not None:
            counts = self.shown.restore_model(self.request, self.obj)
        else:
            counts = self.shown.restore_queryset(self.request, rows)
        return counts

    def done(self, tree: preview.Branch) -> str:
        """Return what to say afterwards."""
        return format_html(_("Restored {}{}."), self.what(tree), with_others(tree))


class HardDelete(_Step):
    """Delete rows for good, with all that refers to them by CASCADE, as Django's own delete does."""

    name = "hard_delete_confirmation"
    title = gettext_lazy("Delete permanently")
    forbidden = gettext_lazy("Your account does not have permission to delete permanently:")
    permission = HARD_DELETE
    locks = True
    flag = DELETION
    logged = gettext_lazy("Deleted permanently.")
    refusals = (ProtectedError, RestrictedError, ChangedError)

    def take(self) -> HttpResponse | None:
        """Do what it does, if Django's deletion can: it follows relations by recursion."""
        try:
            return super().take()
        except RecursionError:
            text = _("Too many levels of rows refer to each other. The command purge_deleted can delete them.")
            self.shown.message_user(self.request, text, messages.ERROR)
            return None

    def foretell(self, rows: Rows) -> preview.Branch:
        """Return what it would do."""
        return preview.of_hard_deletion(rows)

    def settle(self, rows: Rows) -> preview.Branch:
        """Return what it would do; the rows are locked, so none leaves, and makes room for another in the count."""
        return settled(rows)

    def why_not(self, tree: preview.Branch) -> str:
        """Return why it cannot be done; empty where it can."""
        return _("Rows that are not deleted with it, marked below, refer to it.") if tree.counts(preview.BLOCKS) else ""

    def is_confirmed(self, tree: preview.Branch) -> bool:
        """Say whether it was confirmed as it must be."""
        typed = " ".join(self.request.POST.get("typed", "").split())
        return typed == self.phrase(tree)

    def words(self, tree: preview.Branch) -> dict[str, Any]:
        """Return what its page says beside."""
        return {**super().words(tree), "phrase": self.phrase(tree)}

    def phrase(self, tree: preview.Branch) -> str:
        """Return what must be typed."""
        rows = tree.first if self.obj is not None else self.page.visible(tree.first)
        return phrase(rows, tree.model, tree.count)

    def act(self, rows: Rows) -> Counts | None:
        """Do it."""
        counts: Counts | None
        if self.obj is not None:
            # Of a copy: Django takes the key from an instance that it deletes, even if that is rolled back.
            counts = self.shown.hard_delete_model(self.request, copy(self.obj))
        else:
            counts = self.shown.hard_delete_queryset(self.request, rows)
        return counts

    def done(self, tree: preview.Branch) -> str:
        """Return what to say afterwards."""
        what = f"{self.shown.opts.verbose_name} “{self.obj}”" if self.obj is not None else self.what(tree)
        return format_html(_("Deleted {} permanently{}."), what, with_others(tree))
