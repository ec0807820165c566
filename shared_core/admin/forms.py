"""Adapts the admin's forms to rows that are deleted, and an inline's deletion to what it deletes."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import router
from django.db.models import Model, Q
from django.forms.formsets import DELETION_FIELD_NAME
from django.utils.text import get_text_list
from django.utils.translation import gettext as _

from shared_core.admin.pages import Page
from shared_core.admin.permissions import DELETE, lacking
from shared_core.models import SoftDeleteQuerySet, preview
from shared_core.models.relations import is_soft_deletable
from shared_core.models.statements import rows_of


def adapted(form: Any, *, page: Page | None = None) -> Any:  # Any: a class of forms, which is generic in the stubs only
    """Return the admin's form class, adapted to rows that may be deleted.

    Args:
        form: The class.
        page: Where the form's errors appear, if it is an inline's: its rows can be deleted.
    """
    model: type[Model] = form._meta.model
    if page is not None and is_soft_deletable(model):
        return type(form)(form.__name__, (_ChecksDeletion, _KeepsDeletedLinks, form), {"_page": page})
    return type(form)(form.__name__, (_KeepsDeletedLinks, form), {})


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
    """An inline's row is deleted unless an active row forbids it, or the user may not delete a row below it.

    Django's own form counts deleted rows too. Whether the user may delete the inline's row itself is decided by the
    inline's `has_delete_permission`, as in Django.
    """

    _page: Page
    _meta: Any  # Any: a ModelForm's own, as below
    instance: Any
    cleaned_data: dict[str, Any]

    def hand_clean_DELETE(self) -> None:  # noqa: N802  # a hook of Django's
        """Raise ValidationError where the deletion that is asked for is forbidden."""
        if self.instance._state.adding or not self.cleaned_data.get(DELETION_FIELD_NAME):
            return
        model = self._meta.model
        rows = rows_of(model, router.db_for_write(model)).filter(pk=self.instance.pk)
        root, *below = preview.of_deletion(rows)
        names = {"class_name": model._meta.verbose_name, "instance": self.instance}
        forbidding = [row for branch in (root, *below) if branch.fate == preview.BLOCKS for row in branch.first]
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
        if kinds := lacking(self._page.request, self._page.site, iter(below), DELETE):
            raise ValidationError(
                _(
                    "Deleting %(class_name)s %(instance)s would delete related rows, and your account does not have "
                    "permission to delete them: %(related_objects)s"
                ),
                code="deleting_not_permitted",
                params={**names, "related_objects": get_text_list(kinds, _("and"))},
            )
