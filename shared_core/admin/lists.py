"""Lists and forms that show deleted rows."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy

from shared_core.admin import filters, steps
from shared_core.admin.forms import COLUMNS, adapt_form, adapt_formset, check_inlines_saved
from shared_core.admin.pages import Page
from shared_core.admin.permissions import RowPermissions
from shared_core.models.relations import is_soft_deletable


class ShowsDeletedRows(RowPermissions):
    """The half of `SoftDeleteAdmin` that changes nothing."""

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Return the row, be it deleted or not; None where there is none."""
        rows = self.all_rows(request)
        field: Any = self.opts.pk if from_field is None else self.opts.get_field(from_field)
        try:
            return rows.get(**{field.name: field.to_python(object_id)})
        except (self.model.DoesNotExist, ValidationError, ValueError):
            return None

    def get_list_filter(self, request: HttpRequest) -> Any:
        """Return the filters, with the one of deleted rows."""
        own = super().get_list_filter(request)
        return own if filters.DeletedFilter in own else [filters.DeletedFilter, *own]

    def get_list_display(self, request: HttpRequest) -> Any:
        """Return the columns; where deleted rows are shown, with the time of their deletion."""
        own = super().get_list_display(request)
        is_shown = filters.choice_of(request) == filters.ACTIVE or not {"when_deleted", "deleted_at"}.isdisjoint(own)
        return own if is_shown else [*own, "when_deleted"]

    @admin.display(description=gettext_lazy("deleted"), ordering="deleted_at")
    def when_deleted(self, obj: Any) -> str | None:
        """Return when the row was deleted."""
        if not obj.is_deleted:
            return None
        return format_html('<span class="soft-deleted">{}</span>', steps.format_deleted_at(obj))

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the list; where it shows deleted rows, none is edited in it."""
        changelist = super().get_changelist_instance(request)
        if filters.choice_of(request) != filters.ACTIVE:
            changelist.list_editable = ()
            # Django hides the actions where no row is active.
            changelist.show_admin_actions = True
        return changelist

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fields that no form changes: soft delete's own among them."""
        own = super().get_readonly_fields(request, obj)
        return [*own, *(name for name in COLUMNS if name not in own)]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fields of the form; soft delete's own where they were asked for."""
        fields = super().get_fields(request, obj)
        return fields if self.fields else [name for name in fields if name not in COLUMNS]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Return the form's class; saving it keeps links to deleted rows."""
        return adapt_form(super().get_form(request, obj, change=change, **kwargs))

    def get_formsets_with_inlines(self, request: HttpRequest, obj: Any = None) -> Iterator[Any]:
        """Yield the formsets of active rows, whose deletion can be undone."""
        page = Page(request, self.admin_site)
        for formset, inline in super().get_formsets_with_inlines(request, obj):
            yield adapt_formset(formset, page=page), inline

    def get_inline_formsets(self, request: HttpRequest, formsets: Any, inline_instances: Any, obj: Any = None) -> Any:
        """Return what the page shows of the inlines; soft delete's own fields where they are read-only."""
        shown: Any = super().get_inline_formsets(request, formsets, inline_instances, obj)
        for one in shown:
            if is_soft_deletable(one.formset.model):
                one.fieldsets = _without([name for name in COLUMNS if name not in one.readonly_fields], one.fieldsets)
        return shown

    def get_changelist_formset(self, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the class of formsets by which rows are edited in the list."""
        return adapt_formset(super().get_changelist_formset(request, **kwargs))

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save the inlines; rows that came below theirs since the forms were valid are asked about."""
        with check_inlines_saved(request, self.admin_site, formsets):
            super().save_related(request, form, formsets, change)

    def all_rows(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows that the user may see, deleted ones too."""
        return filters.filter_rows(self.get_queryset(request), filters.ALL)


def _without(names: list[str], fieldsets: Any) -> list[Any]:  # Any: Django's own
    """Return the fieldsets without these fields."""
    left = []
    for title, options in fieldsets:
        lines = [[line] if isinstance(line, str) else line for line in options["fields"]]
        kept = [[name for name in line if name not in names] for line in lines]
        left.append((title, {**options, "fields": [line[0] if len(line) == 1 else line for line in kept if line]}))
    return left
