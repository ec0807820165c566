"""How is it said what will happen to which rows, and why it cannot?"""

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

from shared_core.models import ParentDeletedError, RestoreConflictError, RestoreError
from shared_core.models.preview import BLOCKS, GOES, STAYS, Branch

LONGEST_NAME = 60  # characters of a row's name that are shown


class Page:
    """What a page of the admin says of rows, to who is asking."""

    def __init__(self, request: HttpRequest, site: AdminSite) -> None:
        self.request = request
        self.site = site

    def tree(self, root: Branch, *, gone: bool = False) -> SafeString:
        """Return the tree of what goes along, or comes back, and what stays or forbids it.

        Args:
            root: The rows themselves.
            gone: Whether what goes is gone for good, and what stays loses its link.
        """
        context = {"branch": self._branch(root, [root], gone=gone), "is_root": True}
        return render_to_string("admin/shared_core/tree.html", context)

    def name(self, row: Model) -> SafeString:
        """Return a row's name, as a link where its page can be seen."""
        text = _name(row)
        url = self._url(row)
        return format_html('<a href="{}">{}</a>', url, text) if url else conditional_escape(text)

    def named(self, row: Model) -> SafeString:
        """Return what kind of row it is, and its name."""
        return format_html("{} “{}”", row._meta.verbose_name, self.name(row))

    def why_not(self, error: RestoreError) -> SafeString:
        """Return why rows cannot be restored, and what to do about it."""
        rows = list(error.objects)[:3]
        others = len(error.objects) - len(rows)
        named = format_html_join(mark_safe(", "), "{}", ((self.named(row),) for row in rows))
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

    def lacking(self, root: Branch) -> list[str]:
        """Return the kinds of rows that would go along, or come back, and that the user may not delete.

        As Django's own confirmation: models that are not in the admin are not asked about.
        """
        found = []
        for model in root.counts():
            shown = self.site._registry.get(model)
            if shown is not None and not shown.has_delete_permission(self.request):
                found.append(str(model._meta.verbose_name))
        return sorted(found)

    def _branch(self, branch: Branch, beside: list[Branch], *, gone: bool) -> dict[str, Any]:  # Any: for a template
        label = capfirst(counted(branch.model, branch.count))
        if branch.link is not None and [one.model for one in beside].count(branch.model) > 1:
            label += f" ({branch.link.verbose_name})"
        fates = {GOES: "", STAYS: _("kept, without the link") if gone else _("kept"), BLOCKS: _("protected")}
        return {
            "fate": branch.fate,
            "label": label,
            "mark": fates[branch.fate],
            "rows": [self.name(row) for row in branch.first],
            "more": branch.count - len(branch.first),
            "branches": [
                self._branch(below, branch.branches, gone=gone) for below in sorted(branch.branches, key=_order)
            ],
        }

    def _url(self, row: Model) -> str | None:
        shown = self.site._registry.get(type(row))
        if shown is None or not shown.has_view_permission(self.request, row):
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


def counted(model: type[Model], count: int) -> str:
    """Return ``3 tickets``."""
    return f"{count} {model_ngettext(model._meta, count)}"


def phrase(rows: list[Model], model: type[Model], count: int) -> str:
    """Return what must be typed to delete rows for good: the name of one, else how many there are.

    Args:
        rows: The first of the rows.
        model: Their model.
        count: How many there are.
    """
    name = " ".join(str(rows[0]).split()) if count == 1 and rows else ""
    return name if 0 < len(name) <= LONGEST_NAME else counted(model, count)


def with_others(root: Branch) -> str:
    """Return ``, with 3 comments and 1 attachment``; nothing where the rows were alone."""
    below: dict[type[Model], int] = {}
    for branch in root.branches:
        for model, count in branch.counts().items():
            below[model] = below.get(model, 0) + count
    return _(", with %s") % _listed(counted(model, count) for model, count in below.items()) if below else ""


def _listed(texts: Iterable[str]) -> str:
    *first, last = texts
    return _("%(first)s and %(last)s") % {"first": ", ".join(first), "last": last} if first else last


def _name(row: Model) -> str:
    return Truncator(str(row) or str(row.pk)).chars(LONGEST_NAME)


def _order(branch: Branch) -> int:
    return (BLOCKS, GOES, STAYS).index(branch.fate)
