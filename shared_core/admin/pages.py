"""Describes to a user what will happen to rows, or why it cannot.

A row is named only where the user can see it in the admin: the `get_queryset` of its registered ModelAdmin has it, and
`has_view_permission` allows it. Other rows appear as their kind and their number.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import model_ngettext, quote
from django.db.models import Model
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import Truncator, capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from shared_core.admin import filters
from shared_core.admin.permissions import admin_of, missing_permissions
from shared_core.models import ParentDeletedError, RestoreConflictError, RestoreError
from shared_core.models.preview import BLOCKS, GOES, STAYS, Branch
from shared_core.models.relations import is_soft_deletable

LONGEST_NAME = 60  # characters of a row's name that are shown


class Page:
    """What a page of the admin shows of rows to the user of a request."""

    def __init__(self, request: HttpRequest, site: AdminSite) -> None:
        self.request = request
        self.site = site
        self._is_visible: dict[Model, bool] = {}

    def tree(self, root: Branch, *, gone: bool = False) -> SafeString:
        """Return the tree of what goes along, or comes back, and what stays or forbids it.

        Args:
            root: The rows themselves.
            gone: Whether what goes is gone for good, and what stays loses its link.
        """
        self.visible(row for branch in root for row in branch.first)  # one query per model, not per branch
        context = {"branch": self._branch(root, [root], gone=gone), "is_root": True}
        return render_to_string("admin/shared_core/tree.html", context)

    def visible(self, rows: Iterable[Model]) -> list[Model]:
        """Return the rows that the user can see; the others must not be named."""
        rows = list(rows)
        unknown: dict[type[Model], list[Model]] = {}
        for row in rows:
            if row not in self._is_visible:
                unknown.setdefault(type(row), []).append(row)
        for model, some in unknown.items():
            keys = self._keys(model, some)
            shown = admin_of(self.site, model)
            for row in some:
                self._is_visible[row] = row.pk in keys and shown.has_view_permission(self.request, row)
        return [row for row in rows if self._is_visible[row]]

    def name(self, row: Model) -> SafeString:
        """Return the name of a row that the user can see or acts on, as a link where the user can open its page."""
        text = _name(row)
        url = self._url(row)
        return format_html('<a href="{}">{}</a>', url, text) if url else conditional_escape(text)

    def describe(self, rows: Iterable[Model]) -> list[SafeString]:
        """Return the kind and name of each row that the user can see, and the kind and number of the others."""
        rows = list(rows)
        visible = self.visible(rows)
        return [
            *(format_html("{} “{}”", row._meta.verbose_name, self.name(row)) for row in visible),
            *map(conditional_escape, self.hidden(rows)),
        ]

    def hidden(self, rows: Iterable[Model]) -> list[str]:
        """Return ``1 ticket that you may not see``, for each kind of row among those that the user cannot see."""
        rows = list(rows)
        visible = self.visible(rows)
        kinds = Counter(type(row) for row in rows if row not in visible)
        return [_("%s that you may not see") % count_of(model, count) for model, count in kinds.items()]

    def find_refusal(self, error: RestoreError) -> SafeString:
        """Return why rows cannot be restored, and what to do about it."""
        rows = error.objects[:3]
        others = len(error.objects) - len(rows)
        named = format_html_join(mark_safe(", "), "{}", ((text,) for text in self.describe(rows)))
        if others:
            more = ngettext("%(count)d more", "%(count)d more", others) % {"count": others}
            named = format_html(_("{} and {}"), named, more)
        if isinstance(error, ParentDeletedError):
            return format_html(
                _("It cannot be restored as long as what it belongs to is deleted. Restore this first: {}."), named
            )
        if isinstance(error, RestoreConflictError) and error.fields and error.objects:
            fields = [error.objects[0]._meta.get_field(name) for name in error.fields]
            names = ", ".join(str(getattr(field, "verbose_name", field.name)) for field in fields)
            return format_html(
                _("It cannot be restored: its {} is taken by {}. Change or delete that one first."), names, named
            )
        return format_html(
            _("It cannot be restored: a value that must be unique is taken by {}. Change or delete that one first."),
            named,
        )

    def missing_permissions(self, root: Branch, act: str) -> list[str]:
        """Return the kinds of rows in the tree on which the user may not act; see `permissions`."""
        return missing_permissions(self.request, self.site, iter(root), act)

    def _branch(self, branch: Branch, beside: list[Branch], *, gone: bool) -> dict[str, Any]:  # Any: for a template
        label = capfirst(count_of(branch.model, branch.count))
        if branch.link is not None and [one.model for one in beside].count(branch.model) > 1:
            label += f" ({branch.link.verbose_name})"
        rows = [self.name(row) for row in self.visible(branch.first)]
        fates = {GOES: "", STAYS: _("kept, without the link") if gone else _("kept"), BLOCKS: _("protected")}
        return {
            "fate": branch.fate,
            "label": label,
            "mark": fates[branch.fate],
            "rows": rows,
            "more": branch.count - len(rows),
            "branches": [
                self._branch(below, branch.branches, gone=gone) for below in sorted(branch.branches, key=_order)
            ],
        }

    def _keys(self, model: type[Model], rows: list[Model]) -> set[Any]:  # Any: keys of whatever type
        """Return the keys of the rows that the model's ModelAdmin lists."""
        shown = admin_of(self.site, model)
        if shown is None:
            return set()
        listed = shown.get_queryset(self.request)
        if is_soft_deletable(model):
            listed = filters.filter_rows(listed, filters.ALL)
        keys = {row.pk for row in rows}
        if not listed.query.where:
            return keys  # nothing hides a row
        return set(listed.using(rows[0]._state.db).filter(pk__in=keys).order_by().values_list("pk", flat=True))

    def _url(self, row: Model) -> str | None:
        shown = admin_of(self.site, type(row))
        if not self.visible([row]):
            return None
        # Only an admin of ours has pages of deleted rows.
        if getattr(row, "is_deleted", False) and not hasattr(shown, "restore_view"):
            return None
        try:
            return reverse(
                f"{self.site.name}:{row._meta.app_label}_{row._meta.model_name}_change", args=[quote(row.pk)]
            )
        except NoReverseMatch:
            return None


def count_of(model: type[Model], count: int) -> str:
    """Return ``3 tickets``."""
    return f"{count} {model_ngettext(model._meta, count)}"


def confirmation_phrase(rows: list[Model], model: type[Model], count: int) -> str:
    """Return what must be typed to delete rows for good: the name of one, else how many there are.

    Args:
        rows: The first of the rows.
        model: Their model.
        count: How many there are.
    """
    name = " ".join(str(rows[0]).split()) if count == 1 and rows else ""
    return name if 0 < len(name) <= LONGEST_NAME else count_of(model, count)


def describe_related(root: Branch) -> str:
    """Return ``, with 3 comments and 1 attachment``; nothing where the rows were alone."""
    below: dict[type[Model], int] = {}
    for branch in root.branches:
        for model, count in branch.counts().items():
            below[model] = below.get(model, 0) + count
    return _(", with %s") % _join(count_of(model, count) for model, count in below.items()) if below else ""


def _join(texts: Iterable[str]) -> str:
    *first, last = texts
    return _("%(first)s and %(last)s") % {"first": ", ".join(first), "last": last} if first else last


def _name(row: Model) -> str:
    return Truncator(str(row) or str(row.pk)).chars(LONGEST_NAME)


def _order(branch: Branch) -> int:
    return (BLOCKS, GOES, STAYS).index(branch.fate)
