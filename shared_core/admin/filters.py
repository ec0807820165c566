"""The filter of lists: active rows, unless the user asks for others.

?              active
?deleted=yes   deleted
?deleted=all   both
"""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IS_POPUP_VAR
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from shared_core.models import SoftDeleteQuerySet

PARAMETER = "deleted"
ACTIVE, DELETED, ALL = None, "yes", "all"


def choice_of(request: HttpRequest) -> str | None:
    """Return which rows the list at this URL shows; a popup, in which a row is chosen for a form, active ones."""
    value = request.GET.get(PARAMETER)
    return value if value in {DELETED, ALL} and IS_POPUP_VAR not in request.GET else ACTIVE


def filter_rows(rows: QuerySet[Any], which: str | None) -> QuerySet[Any]:
    """Return the same rows, as far as they are deleted or not, and with all other filters on them."""
    if isinstance(rows, SoftDeleteQuerySet):
        return {ACTIVE: rows.active, DELETED: rows.deleted, ALL: rows.with_deleted}[which]()
    return rows if which == ALL else rows.filter(is_deleted=which == DELETED)


class DeletedFilter(admin.SimpleListFilter):
    """Active, deleted, all: the filter of each `SoftDeleteAdmin`; it starts on active."""

    title = _("deletion")
    parameter_name = PARAMETER

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str | None, Any]]:  # type: ignore[override]  # noqa: ARG002  # Django's; Any: lazy texts, None is no value of the stubs
        """Return the choices; none in a popup."""
        if IS_POPUP_VAR in request.GET:
            return []
        return [(ACTIVE, _("Active")), (DELETED, _("Deleted")), (ALL, _("All"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows that are asked for."""
        return filter_rows(queryset, choice_of(request))

    def choices(self, changelist: Any) -> Iterator[Any]:  # Any: a ChangeList; what its template takes
        """Yield the choices, with the number of rows where the list shows facets."""
        counts = self.get_facet_queryset(changelist) if changelist.add_facets else {}
        for value, title in self.lookup_choices:
            number = counts.get(str(value))
            yield {
                "selected": choice_of(self.request) == value,
                "query_string": changelist.get_query_string({PARAMETER: value}),
                "display": title if number is None else f"{title} ({number})",
            }

    def get_facet_queryset(self, changelist: Any) -> dict[str, int]:
        """Return how many rows each choice would show, by one query."""
        rows = changelist.get_queryset(self.request, exclude_parameters=self.expected_parameters())
        key = changelist.pk_attname
        counted: dict[str, int] = filter_rows(rows, ALL).aggregate(
            **{
                str(ACTIVE): Count(key, filter=Q(is_deleted=False)),
                str(DELETED): Count(key, filter=Q(is_deleted=True)),
                str(ALL): Count(key),
            }
        )
        return counted
