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
from shared_core.admin.pages import Page, confirmation_phrase, count_of, describe_related
from shared_core.admin.permissions import (
    HARD_DELETE,
    RESTORE,
    ChangedError,
    KnownRows,
    lock_tree,
    missing_permissions,
    select_by_key,
)
from shared_core.models import RestoreError
from shared_core.models.changes import Counts
from shared_core.models.collector import Group
from shared_core.models.preview import BLOCKS, Branch, of_hard_deletion, of_restore
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


def format_deleted_at(row: Any) -> str:  # Any: a SoftDeleteModel
    """Return when a row was deleted, in the words of the user's language."""
    at = row.deleted_at
    return formats.localize(timezone.localtime(at) if timezone.is_aware(at) else at)


class _ConfirmedAction(ABC):
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
        self.rows = filters.filter_rows(rows, filters.DELETED).using(self.using)

    def handle(self) -> HttpResponse | None:
        """Return the page that asks, or says why not; None once it is done."""
        is_sent = bool(self.request.POST.get("post"))
        refused = ""
        if is_sent:
            try:
                with transaction.atomic(using=self.using):
                    done = self.execute(select_by_key(self.rows, deleted=True, locks=self.locks))
            except self.refusals:
                refused = _("Something else changed meanwhile. Try again.")
            else:
                if done is not None:
                    self.shown.message_user(self.request, self.success_message(done), messages.SUCCESS)
                    return None
        tree = self.preview(self.rows)
        if not tree.count:
            self.shown.message_user(self.request, _("None of these is deleted."), messages.WARNING)
            return None
        kinds = self.page.missing_permissions(tree, self.permission)
        return self.confirmation(tree, kinds, self.find_refusal(tree) or refused, is_sent=is_sent)

    def execute(self, rows: Rows) -> Branch | None:
        """Act on the rows and return what it did; None where that is not confirmed.

        Raises:
            PermissionDenied: The user may not act on one of the rows, or on one that is restored or deleted with it.
            ChangedError: Rows below them were added since the user was asked.
        """
        tree = self.prepare(rows)
        guard = self.guard(tree)  # reads the rows, so that those that are asked about now are the ones that may change
        if self.page.missing_permissions(tree, self.permission):
            raise PermissionDenied
        if not tree.count or not self.is_confirmed(tree):
            return None
        log(self.request, rows, self.flag, str(self.logged))
        with guard:
            counts = self.act(rows)
        asked = {model._meta.label: count for model, count in tree.counts().items()}
        # An override may return nothing.
        if counts and any(count > asked.get(label, 0) for label, count in counts[1].items()):
            raise ChangedError
        return tree

    def confirmation(self, tree: Branch, missing: list[str], refusal: str, *, is_sent: bool) -> HttpResponse:
        opts, site = self.shown.opts, self.shown.admin_site
        across = self.request.POST.get("select_across") == "1"
        keys = [] if self.obj else self.request.POST.getlist(ACTION_CHECKBOX_NAME)
        context = {
            **site.each_context(self.request),
            **self.extra_context(tree),
            "title": self.title,
            "opts": opts,
            "object": self.obj,
            "lacking": missing,
            "forbidden": self.forbidden,
            "why_not": refusal,
            "tree": self.page.tree(tree, gone=self.flag == DELETION),
            # Where all rows were meant, one stands for them: a form may hold no more than 1,000 fields.
            "selected": keys[:1] if across else keys,
            "select_across": across,
            "action": self.request.POST.get("action"),
            "checkbox": ACTION_CHECKBOX_NAME,
            "media": self.shown.media,
            "breadcrumbs_are_listed": django.VERSION >= (6, 1),
            "is_mistyped": is_sent and not refusal,
            "preserved_filters": self.shown.get_preserved_filters(self.request),
        }
        self.request.current_app = site.name  # as Django's admin does
        templates = [
            f"admin/{opts.app_label}/{opts.model_name}/{self.name}.html",
            f"admin/{opts.app_label}/{self.name}.html",
            f"admin/shared_core/{self.name}.html",
        ]
        return TemplateResponse(self.request, templates, context)

    def describe_rows(self, tree: Branch) -> str:
        """Return the rows' name in a sentence."""
        if self.obj is not None:
            return format_html("{} “{}”", self.shown.opts.verbose_name, self.page.name(self.obj))
        return count_of(tree.model, tree.count)

    def is_confirmed(self, tree: Branch) -> bool:  # noqa: ARG002  # for who asks for more
        return True

    def extra_context(self, tree: Branch) -> dict[str, Any]:
        return {"what": self.describe_rows(tree)}

    def prepare(self, rows: Rows) -> Branch:
        """Return what it would do, in the transaction that then does it."""
        return self.preview(rows)

    def guard(self, tree: Branch) -> AbstractContextManager[None]:  # noqa: ARG002  # for who checks more
        """Return what refuses other rows than those of the tree, while it acts."""
        return nullcontext()

    @abstractmethod
    def preview(self, rows: Rows) -> Branch: ...

    @abstractmethod
    def find_refusal(self, tree: Branch) -> str: ...

    @abstractmethod
    def act(self, rows: Rows) -> Counts | None: ...

    @abstractmethod
    def success_message(self, tree: Branch) -> str: ...


class Restore(_ConfirmedAction):
    """Bring rows back, with what went in their deletions."""

    name = "restore_confirmation"
    title = gettext_lazy("Restore")
    forbidden = gettext_lazy("Your account does not have permission to restore:")
    permission = RESTORE
    locks = False
    flag = CHANGE
    logged = gettext_lazy("Restored.")
    refusals = (RestoreError, ChangedError, IntegrityError)  # another transaction has taken a unique value meanwhile

    def preview(self, rows: Rows) -> Branch:
        """Return what it would do."""
        return of_restore(rows)

    def find_refusal(self, tree: Branch) -> str:  # noqa: ARG002  # as its twin
        """Return why it cannot be done; empty where it can."""
        error = find_restore_error(self.rows)
        return self.page.find_refusal(error) if error else ""

    def guard(self, tree: Branch) -> AbstractContextManager[None]:
        """Return what refuses rows that were deleted together with these since they were asked about."""
        known = KnownRows(tree)

        def check(groups: list[Group]) -> None:
            others = (known.other(group.model, self.using, group.keys) for group in groups)
            if missing_permissions(self.request, self.shown.admin_site, others, self.permission):
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

    def success_message(self, tree: Branch) -> str:
        """Return what to say afterwards."""
        return format_html(_("Restored {}{}."), self.describe_rows(tree), describe_related(tree))


class HardDelete(_ConfirmedAction):
    """Delete rows for good, with all that refers to them by CASCADE, as Django's own delete does."""

    name = "hard_delete_confirmation"
    title = gettext_lazy("Delete permanently")
    forbidden = gettext_lazy("Your account does not have permission to delete permanently:")
    permission = HARD_DELETE
    locks = True
    flag = DELETION
    logged = gettext_lazy("Deleted permanently.")
    refusals = (ProtectedError, RestrictedError, ChangedError)

    def handle(self) -> HttpResponse | None:
        """Do what it does, if Django's deletion can: it follows relations by recursion."""
        try:
            return super().handle()
        except RecursionError:
            text = _("Too many levels of rows refer to each other. The command purge_deleted can delete them.")
            self.shown.message_user(self.request, text, messages.ERROR)
            return None

    def preview(self, rows: Rows) -> Branch:
        """Return what it would do."""
        return of_hard_deletion(rows)

    def prepare(self, rows: Rows) -> Branch:
        """Return what it would do; the rows are locked, so none leaves, and makes room for another in the count."""
        return lock_tree(rows)

    def find_refusal(self, tree: Branch) -> str:
        """Return why it cannot be done; empty where it can."""
        return _("Rows that are not deleted with it, marked below, refer to it.") if tree.counts(BLOCKS) else ""

    def is_confirmed(self, tree: Branch) -> bool:
        """Say whether it was confirmed as it must be."""
        typed = " ".join(self.request.POST.get("typed", "").split())
        return typed == self.confirmation_phrase(tree)

    def extra_context(self, tree: Branch) -> dict[str, Any]:
        """Return what its page says beside."""
        return {**super().extra_context(tree), "phrase": self.confirmation_phrase(tree)}

    def confirmation_phrase(self, tree: Branch) -> str:
        """Return what must be typed."""
        rows = tree.first if self.obj is not None else self.page.visible(tree.first)
        return confirmation_phrase(rows, tree.model, tree.count)

    def act(self, rows: Rows) -> Counts | None:
        """Do it."""
        counts: Counts | None
        if self.obj is not None:
            # Of a copy: Django takes the key from an instance that it deletes, even if that is rolled back.
            counts = self.shown.hard_delete_model(self.request, copy(self.obj))
        else:
            counts = self.shown.hard_delete_queryset(self.request, rows)
        return counts

    def success_message(self, tree: Branch) -> str:
        """Return what to say afterwards."""
        name = f"{self.shown.opts.verbose_name} “{self.obj}”" if self.obj is not None else self.describe_rows(tree)
        return format_html(_("Deleted {} permanently{}."), name, describe_related(tree))
