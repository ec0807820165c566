"""Adapts the admin's forms to rows that are deleted, and an inline's deletion to what it deletes."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django import forms
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import router, transaction
from django.db.models import Model, Q, QuerySet
from django.forms.formsets import DELETION_FIELD_NAME
from django.http import HttpRequest
from django.utils.text import get_text_list
from django.utils.translation import gettext as _

from shared_core.admin.pages import Page
from shared_core.admin.permissions import DELETE, HARD_DELETE, checked_deletion, lock_tree, missing_permissions
from shared_core.models import SoftDeleteQuerySet, preview
from shared_core.models.relations import is_soft_deletable
from shared_core.models.statements import rows_of

COLUMNS = ("is_deleted", "deleted_at")  # which no form changes: a deletion by hand would have no cascade and no checks


def adapt_form(form: Any, *, page: Page | None = None) -> Any:  # Any: a class of forms, generic in the stubs only
    """Return the admin's form class, adapted to rows that may be deleted.

    Args:
        form: The class.
        page: Where the form's errors appear, if it is an inline's: its rows can be deleted.
    """
    model: type[Model] = form._meta.model
    bases: tuple[type, ...] = (_KeepsDeletedLinks, form)
    attributes: dict[str, Any] = {}
    if page is not None:
        bases = (_ChecksDeletion, *bases)
        attributes["_page"] = page
    if is_soft_deletable(model):
        bases = (_RefusesDeletedRows, *bases)
        # Out of Meta, the fields are not saved. None drops those that the class declares itself.
        attributes |= dict.fromkeys(COLUMNS)
        attributes["Meta"] = type("Meta", (form.Meta,), {"exclude": [*(form._meta.exclude or ()), *COLUMNS]})
    return type(form)(form.__name__, bases, attributes)


def adapt_formset(formset: Any, *, page: Page | None = None) -> Any:  # Any: as above
    """Return the admin's class of formsets, with adapted forms.

    Args:
        formset: The class.
        page: See `adapt_form`.
    """
    bases = (formset,) if page is None else (_ChecksDeletions, formset)
    return type(formset.__name__, bases, {"form": adapt_form(formset.form, page=page)})


@contextmanager
def check_inlines_saved(request: HttpRequest, site: AdminSite, formsets: Iterable[Any]) -> Iterator[None]:
    """Save formsets in this block, in a transaction; their deletions are asked about again, in that transaction.

    Raises:
        PermissionDenied: The user may not delete a row that came below an inline's row since the forms were valid.
    """
    with ExitStack() as stack:
        for formset in formsets:
            keys = [form.instance.pk for form in formset.deleted_forms if not form.instance._state.adding]
            if not keys:
                continue
            rows = rows_of(formset.model, router.db_for_write(formset.model)).filter(pk__in=keys)
            stack.enter_context(transaction.atomic(using=rows.db))
            tree, act = _preview(rows, locks=True)
            if missing_permissions(request, site, iter(tree), act, decided=tree):
                raise PermissionDenied
            if act == DELETE:
                stack.enter_context(checked_deletion(request, site, rows))
        yield


def _preview(rows: QuerySet[Any], *, locks: bool = False) -> tuple[preview.Branch, str]:
    """Return what the deletion of an inline's rows takes, and which act that is."""
    if is_soft_deletable(rows.model):
        return preview.of_deletion(rows), DELETE
    return (lock_tree(rows) if locks else preview.of_hard_deletion(rows)), HARD_DELETE


class _RefusesDeletedRows:
    """A deleted row is not saved, whatever the form holds and whoever may change the row."""

    instance: Any
    add_error: Any  # Any: a form's own
    changed_data: list[str]
    is_bound: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: a form's own
        super().__init__(*args, **kwargs)
        self._stored_keys = {} if self.instance._state.adding else self._keys()

    def full_clean(self) -> None:
        keys = self._keys()  # that of an inline's parent, which the form may lack
        super().full_clean()  # type: ignore[misc]  # a form's own
        keys |= self._keys()
        is_deleted = self.instance.is_deleted and not self.instance._state.adding
        if is_deleted and self.is_bound and self.has_changed():  # type: ignore[attr-defined]  # as above
            self.add_error(None, ValidationError(_("It is deleted. Restore it first."), code="deleted"))
        for name in self._taken_from_deleted(keys) if self.is_bound else ():
            text = _("A deleted row has this key. Restore it, or choose another key.")
            self.add_error(name, ValidationError(text, code="deleted"))

    def _keys(self) -> dict[Any, Any]:  # Any: a field, and what it holds
        keys = {
            one: getattr(self.instance, one.attname) for one in self.instance._meta.concrete_fields if one.primary_key
        }
        return {key: value for key, value in keys.items() if value is not None}

    def _taken_from_deleted(self, keys: dict[Any, Any]) -> Iterator[str | None]:  # Any: as above
        """Yield the names of keys that are new and of a deleted row: to save them would write into that row.

        `changed_data` alone does not tell: it leaves out an inline's foreign key, and a forged form has it empty.
        """
        if self.empty_permitted and not self.has_changed():  # type: ignore[attr-defined]  # as above
            return
        for key, value in keys.items():
            # A new row of which nobody chose the key is inserted: that writes into no other.
            is_chosen = not self.instance._state.adding or key.remote_field or key.name in self.changed_data
            if value == self._stored_keys.get(key) or not is_chosen:
                continue
            # The key of a table that others inherit is that of rows of which not all are of this model.
            model = key.model if is_soft_deletable(key.model) else type(self.instance)
            rows = rows_of(model, router.db_for_write(model)).filter(is_deleted=True)
            if rows.filter(**{key.name: value}).exists():
                # The page shows no error at an inline's foreign key.
                yield key.name if key.name in self.changed_data else None


class _KeepsDeletedLinks:
    """A foreign key to a deleted row (its on_delete is SET_NULL, say) stays, unless another row is chosen.

    Else it would not be among the choices, and to save the form for another reason would cut the link.
    """

    fields: dict[str, forms.Field]
    instance: Model

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: a form's own
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            choices = getattr(field, "queryset", None)
            if isinstance(choices, SoftDeleteQuerySet) and choices._shown() is False:
                self._keep(name, field)

    def _keep(self, name: str, field: Any) -> None:  # Any: a ModelChoiceField of any model
        attribute = next((one.attname for one in self.instance._meta.concrete_fields if one.name == name), "")
        value = getattr(self.instance, attribute, None) if attribute else None
        if value is None or self.instance._state.adding:
            return
        label = field.label_from_instance
        kept = Q(is_deleted=False) | Q(**{field.to_field_name or "pk": value})
        field.queryset = field.queryset.with_deleted().filter(kept)
        field.label_from_instance = lambda row: _("%s (deleted)") % label(row) if row.is_deleted else label(row)


class _ChecksDeletion:
    """An inline's row is deleted unless an active row forbids it, or the user may not delete a row that goes with it.

    Django's own form counts deleted rows too. Whether the user may delete the inline's row itself is decided by the
    inline's `has_delete_permission`, as in Django. The same row as a row of another model, by multi-table inheritance,
    is that model's.
    """

    _page: Page
    _meta: Any  # Any: a ModelForm's own, as below
    instance: Any
    cleaned_data: dict[str, Any]

    def hand_clean_DELETE(self) -> None:  # noqa: N802  # a hook of Django's
        """Raise ValidationError where the deletion that is asked for is forbidden."""
        if not self.cleaned_data.get(DELETION_FIELD_NAME):
            return
        if self.instance._state.adding:
            # The inline has no such row. Django 5.0 deletes whatever row has the key that the form was sent with.
            self.instance.pk = None
            return
        model = self._meta.model
        if not is_soft_deletable(model):
            super().hand_clean_DELETE()  # type: ignore[misc]  # a form's own
        root, act = _preview(rows_of(model, router.db_for_write(model)).filter(pk=self.instance.pk))
        names = {"class_name": model._meta.verbose_name, "instance": self.instance}
        forbidding = [row for branch in root if branch.fate == preview.BLOCKS for row in branch.first]
        if forbidding:
            texts = [f"{row._meta.verbose_name} {row}" for row in self._page.visible(forbidding)]
            texts += self._page.hidden(forbidding)
            raise ValidationError(
                # Django's own words.
                _(
                    "Deleting %(class_name)s %(instance)s would require deleting the following protected related "
                    "objects: %(related_objects)s"
                ),
                code="deleting_protected",
                params={**names, "related_objects": get_text_list(texts, _("and"))},
            )
        if kinds := missing_permissions(self._page.request, self._page.site, iter(root), act, decided=root):
            raise ValidationError(
                _(
                    "Deleting %(class_name)s %(instance)s would delete related rows, and your account does not have "
                    "permission to delete them: %(related_objects)s"
                ),
                code="deleting_not_permitted",
                params={**names, "related_objects": get_text_list(kinds, _("and"))},
            )


class _ChecksDeletions:
    """A formset asks each form about its deletion. Django asks by `clean`, which an override may not call."""

    can_delete: bool
    initial_forms: list[Any]  # Any: forms, as below
    error_class: Any
    renderer: Any
    _non_form_errors: Any
    _should_delete_form: Any

    def full_clean(self) -> None:
        super().full_clean()  # type: ignore[misc]  # a formset's own
        if not (self.is_bound and self.can_delete) or self._non_form_errors:  # type: ignore[attr-defined]  # as above
            return
        try:
            for form in self.initial_forms:
                if self._should_delete_form(form):
                    form.hand_clean_DELETE()
        except ValidationError as error:
            self._non_form_errors = self.error_class(error.error_list, error_class="nonform", renderer=self.renderer)
