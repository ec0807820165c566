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
from shared_core.admin.forms import adapted
from shared_core.admin.pages import Page
from shared_core.admin.permissions import RowPermissions

_COLUMNS = ("is_deleted", "deleted_at")


class ShowsDeleted(RowPermissions):
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
        is_shown = filters.shown(request) == filters.ACTIVE or not {"when_deleted", "deleted_at"}.isdisjoint(own)
        return own if is_shown else [*own, "when_deleted"]

    @admin.display(description=gettext_lazy("deleted"), ordering="deleted_at")
    def when_deleted(self, obj: Any) -> str | None:
        """Return when the row was deleted."""
        if not obj.is_deleted:
            return None
        return format_html('<span class="soft-deleted">{}</span>', steps.moment(obj))

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the list; where it shows deleted rows, none is edited in it."""
        changelist = super().get_changelist_instance(request)
        if filters.shown(request) != filters.ACTIVE:
            changelist.list_editable = ()
            # Django hides the actions where no row is active.
            changelist.show_admin_actions = True
        return changelist

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fields that no form changes: soft delete's own among them."""
        own = super().get_readonly_fields(request, obj)
        return [*own, *(name for name in _COLUMNS if name not in own)]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fields of the form; soft delete's own where they were asked for."""
        fields = super().get_fields(request, obj)
        return fields if self.fields else [name for name in fields if name not in _COLUMNS]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Return the form's class; saving it keeps links to deleted rows."""
        return adapted(super().get_form(request, obj, change, **kwargs))

    def get_formsets_with_inlines(self, request: HttpRequest, obj: Any = None) -> Iterator[Any]:
        """Yield the formsets of active rows, whose deletion can be undone."""
        page = Page(request, self.admin_site)
        for formset, inline in super().get_formsets_with_inlines(request, obj):
            formset.form = adapted(formset.form, page=page)
            yield formset, inline

    def all_rows(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows that the user may see, deleted ones too."""
        return filters.show(self.get_queryset(request), filters.ALL)
