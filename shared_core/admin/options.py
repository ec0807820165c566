"""The ModelAdmin of soft-deletable models.

A row is deleted twice: by "Delete", which can be undone, and after that, by who may and types its name, for good.
A deleted row is not edited: its page shows what it holds, and how it is restored.
"""

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.contrib.admin.models import DELETION
from django.contrib.admin.options import IS_POPUP_VAR, TO_FIELD_VAR
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db import router, transaction
from django.db.models import Model, ProtectedError, QuerySet, RestrictedError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext, gettext_lazy

from shared_core.admin import filters, steps
from shared_core.admin.lists import ShowsDeletedRows
from shared_core.admin.pages import Page
from shared_core.admin.permissions import DELETE, ChangedError, checked_deletion, select_by_key
from shared_core.models import preview
from shared_core.models.changes import Counts
from shared_core.models.relations import is_soft_deletable
from shared_core.models.statements import rows_of

type Rows = QuerySet[Any]


class SoftDeleteAdmin(ShowsDeletedRows):
    """A ModelAdmin whose Delete can be undone, with deleted rows in a filter.

    @admin.register(Ticket)
    class TicketAdmin(SoftDeleteAdmin):
        list_display = ["title", "status"]

    `has_delete_permission` decides about deletion and, by default, about restoring. Permanent deletion also needs the
    permission ``app.hard_delete_<model>``. Only superusers have it if the model does not declare it in
    ``Meta.permissions``. Each model of the rows that would change is asked about: see `shared_core.admin.permissions`.

    Raises:
        ImproperlyConfigured: It is registered for a model that is not soft-deletable.
    """

    class Media:
        css = {"all": ["shared_core/admin.css"]}

    def __init__(self, model: type[Model], admin_site: admin.AdminSite) -> None:
        if not is_soft_deletable(model):
            raise ImproperlyConfigured(
                f"{type(self).__name__} is a SoftDeleteAdmin, and {model._meta.label} is not soft-deletable: derive "
                "the model from shared_core.models.BaseModel, or its admin from django.contrib.admin.ModelAdmin."
            )
        super().__init__(model, admin_site)

    # Deleting, which can be undone

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[Any, int], set[str], list[Any]]:
        """Return what Django's confirmation shows: the tree, the counts, missing permissions, what forbids it."""
        rows = objs if isinstance(objs, QuerySet) else self.all_rows(request).filter(pk__in=[one.pk for one in objs])
        tree = preview.of_deletion(rows.using(router.db_for_write(self.model)))
        page = Page(request, self.admin_site)
        counts = {model._meta.verbose_name_plural: count for model, count in tree.counts().items()}
        forbidding = [row for branch in tree if branch.fate == preview.BLOCKS for row in branch.first]
        protected = [*map(page.name, page.visible(forbidding)), *page.hidden(forbidding)]
        return [page.tree(tree)], counts, set(page.missing_permissions(tree, DELETE)), protected

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        """Ask, and delete the row; see Django's own."""
        to_field = request.POST.get(TO_FIELD_VAR, request.GET.get(TO_FIELD_VAR))
        is_allowed = not to_field or self.to_field_allowed(request, to_field)
        obj = self.get_object(request, unquote(object_id), to_field) if is_allowed else None
        if obj is not None and obj.is_deleted and self.has_delete_permission(request, obj):
            self.message_user(request, gettext("It is deleted already."), messages.WARNING)
            return HttpResponseRedirect(self._url_of(request, "change", obj))
        try:
            if obj is None or request.method != "POST":
                response = super().delete_view(request, object_id, extra_context)
            else:
                rows = rows_of(self.model, router.db_for_write(self.model)).filter(pk=obj.pk)
                with checked_deletion(request, self.admin_site, rows):
                    response = super().delete_view(request, object_id, extra_context)
        except (ProtectedError, RestrictedError):
            # Something came up between the question and the answer.
            return HttpResponseRedirect(request.get_full_path())
        if obj is not None and isinstance(response, HttpResponseRedirect) and IS_POPUP_VAR not in request.POST:
            url = self._url_of(request, "restore", obj)
            self.message_user(request, format_html('<a href="{}">{}</a>', url, gettext("Restore it")), messages.INFO)
        return response

    def render_delete_form(self, request: HttpRequest, context: dict[str, Any]) -> Any:
        """Return the page that asks."""
        return self._with_template(super().render_delete_form(request, context), "delete_confirmation")

    @admin.action(permissions=["delete"], description=gettext_lazy("Delete selected %(verbose_name_plural)s"))
    def delete_selected(self, request: HttpRequest, queryset: Rows) -> Any:
        """Ask, and delete the active ones among the rows."""
        using = router.db_for_write(self.model)
        rows = filters.filter_rows(queryset, filters.ACTIVE)
        try:
            with transaction.atomic(using=using):
                if not request.POST.get("post"):
                    response: Any = delete_selected(self, request, rows)
                else:
                    rows = select_by_key(rows.using(using), deleted=False, locks=True)
                    with checked_deletion(request, self.admin_site, rows):
                        response = delete_selected(self, request, rows)
        except (ProtectedError, RestrictedError) as error:
            self.message_user(request, str(error.args[0]), messages.ERROR)
            return None
        if response is None:
            return None
        if request.POST.get("select_across") == "1":
            # One row stands for all: a form may hold no more than 1,000 fields.
            response.context_data |= {"queryset": queryset[:1], "select_across": True}
        return self._with_template(response, "delete_selected_confirmation")

    def log_deletion(self, request: HttpRequest, obj: Any, object_repr: str) -> None:  # noqa: ARG002  # Django 5.0
        """Write into the history that the row was deleted."""
        steps.log(request, [obj], DELETION, gettext("Deleted; can be restored."))

    def log_deletions(self, request: HttpRequest, queryset: Iterable[Any]) -> Any:
        """Write into the history that the rows were deleted."""
        return steps.log(request, queryset, DELETION, gettext("Deleted; can be restored."))

    def changeform_view(self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any) -> Any:
        """Return the row's page; a deleted row changes by no form, whatever `has_change_permission` says."""
        if request.method == "POST" and object_id:
            to_field = request.POST.get(TO_FIELD_VAR, request.GET.get(TO_FIELD_VAR))
            is_allowed = not to_field or self.to_field_allowed(request, to_field)
            obj = self.get_object(request, unquote(object_id), to_field) if is_allowed else None
            if obj is not None and obj.is_deleted:
                raise PermissionDenied
        try:
            return super().changeform_view(request, object_id, *args, **kwargs)
        except ChangedError:
            self.message_user(request, gettext("Something else changed meanwhile. Try again."), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    # Restoring, and deleting for good

    def get_urls(self) -> list[Any]:
        """Return Django's URLs, and those of the two other views of a row."""
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        view = self.admin_site.admin_view
        return [
            path("<path:object_id>/restore/", view(self.restore_view), name=f"{name}_restore"),
            path("<path:object_id>/hard-delete/", view(self.hard_delete_view), name=f"{name}_hard_delete"),
            *super().get_urls(),
        ]

    def restore_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, and restore the row with what went in its deletion."""
        return self._handle(request, object_id, steps.Restore, self.has_restore_permission)

    def hard_delete_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for its name to be typed, and delete the row for good."""
        return self._handle(request, object_id, steps.HardDelete, self.has_hard_delete_permission)

    @admin.action(permissions=["restore"], description=gettext_lazy("Restore selected %(verbose_name_plural)s"))
    def restore_selected(self, request: HttpRequest, queryset: Rows) -> HttpResponse | None:
        """Ask, and restore the deleted ones among the rows."""
        return steps.Restore(self, request, queryset).handle()

    @admin.action(
        permissions=["hard_delete"], description=gettext_lazy("Delete selected %(verbose_name_plural)s permanently")
    )
    def hard_delete_selected(self, request: HttpRequest, queryset: Rows) -> HttpResponse | None:
        """Ask for their number to be typed, and delete the deleted ones among the rows for good."""
        return steps.HardDelete(self, request, queryset).handle()

    def restore_model(self, request: HttpRequest, obj: Any) -> Counts:  # noqa: ARG002  # as Django's delete_model
        """Restore a row; to override, as Django's `delete_model` is."""
        counts: Counts = obj.restore()
        return counts

    def restore_queryset(self, request: HttpRequest, queryset: Any) -> Counts:  # noqa: ARG002  # as above
        """Restore rows; to override, as Django's `delete_queryset` is."""
        counts: Counts = queryset.restore()
        return counts

    def hard_delete_model(self, request: HttpRequest, obj: Any) -> Counts:  # noqa: ARG002  # as above
        """Delete a row for good; to override, as above."""
        counts: Counts = obj.hard_delete()
        return counts

    def hard_delete_queryset(self, request: HttpRequest, queryset: Any) -> Counts:  # noqa: ARG002  # as above
        """Delete rows for good; to override, as above."""
        counts: Counts = queryset.hard_delete()
        return counts

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> dict[str, Any]:
        """Return the actions: those that the rows shown can use, and the user may."""
        location = [] if action_location is None else [action_location]  # Django 6.1 has two places for them
        actions: dict[str, Any] = super().get_actions(request, *location)
        which = filters.choice_of(request)
        if self.actions is None or IS_POPUP_VAR in request.GET:
            return actions
        wanted = {
            "delete_selected": "delete_selected" in actions and which != filters.DELETED,
            "restore_selected": which != filters.ACTIVE and self.has_restore_permission(request),
            "hard_delete_selected": which != filters.ACTIVE and self.has_hard_delete_permission(request),
        }
        for name, is_wanted in wanted.items():
            actions.pop(name, None)
            if is_wanted and (action := self.get_action(name, *location)):
                actions[name] = action
        return actions

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Return the row's page; of a deleted one, with when that was and what can be done about it."""
        obj = context.get("original")
        if obj is None or not obj.is_deleted:
            return super().render_change_form(request, context, *args, **kwargs)
        context |= {
            "show_delete": False,
            "show_save": False,
            "show_save_and_continue": False,
            "show_save_and_add_another": False,
            "when_deleted": steps.format_deleted_at(obj),
            "restore_url": self.has_restore_permission(request, obj) and self._url_of(request, "restore", obj),
            "hard_delete_url": self.has_hard_delete_permission(request, obj)
            and self._url_of(request, "hard_delete", obj),
        }
        response: Any = super().render_change_form(request, context, *args, **kwargs)  # Any: a TemplateResponse
        response.context_data["save_as"] = False  # which Django sets to the ModelAdmin's own
        response.context_data["page_of_row"] = response.resolve_template(response.template_name)
        response.template_name = "admin/shared_core/deleted_change_form.html"
        return response

    def _handle(
        self,
        request: HttpRequest,
        object_id: str,
        step: type[steps.Restore | steps.HardDelete],
        may: Callable[..., bool],
    ) -> HttpResponse:
        obj = self.get_object(request, unquote(object_id))
        if not may(request, obj):
            raise PermissionDenied
        if obj is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined,no-any-return]  # Django's own
        confirmation = step(self, request, self.all_rows(request).filter(pk=obj.pk), obj).handle()
        if confirmation is not None:
            return confirmation
        is_there = self.get_object(request, unquote(object_id)) is not None
        return HttpResponseRedirect(self._url_of(request, "change" if is_there else "changelist", obj))

    def _url_of(self, request: HttpRequest, view: str, obj: Any) -> str:
        """Return the URL of a view of the row, or of the list, that keeps the filters of the list."""
        name = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_{view}"
        url = reverse(name, args=[] if view == "changelist" else [quote(obj.pk)])
        kept: Any = {"preserved_filters": self.get_preserved_filters(request), "opts": self.opts}
        return str(add_preserved_filters(kept, url))

    @staticmethod
    def _with_template(response: Any, name: str) -> Any:
        """Return the response with our template in the place of Django's; one of the service's own goes first."""
        if isinstance(response.template_name, list):
            ours = {f"admin/{name}.html": f"admin/shared_core/{name}.html"}
            response.template_name = [ours.get(one, one) for one in response.template_name]
        return response
