"""Rows for a test, as a factory_boy factory makes them, deleted or old where the test says so."""

import datetime as dt
import logging
from typing import Any

from django.utils import timezone

try:
    from factory.declarations import LazyAttribute, LazyFunction, SelfAttribute, Trait
    from factory.django import DjangoModelFactory
except ImportError:
    raise ImportError("BaseModelFactory needs factory_boy: pip install 'shared-core[test]'") from None

from shared_core.models import BaseModel
from shared_core.models.changes import timestamp

# They tell each value at DEBUG, and a test that fails is to show what the service said.
for _name in ("factory", "faker"):
    if logging.getLogger(_name).level == logging.NOTSET:
        logging.getLogger(_name).setLevel(logging.INFO)

_OLD = dt.timedelta(days=365)
_MOMENTS = ("created_at", "updated_at")


def _aligned(kwargs: dict[str, Any]) -> dict[str, Any]:  # Any: the fields' values
    """Return the values with both fields of a deletion, or with none."""
    said, at = kwargs.pop("is_deleted", None), kwargs.pop("deleted_at", None)
    if said is False and at is not None:
        raise ValueError(f"is_deleted=False, and deleted_at={at!r}: leave one of them out")
    deletion = {"is_deleted": True, "deleted_at": at or timestamp()} if said or at else {}
    return {**kwargs, **deletion}


def _when_deleted(row: Any) -> dt.datetime:  # Any: factory_boy's view on a row that is being made
    """Return the moment that the trait ``deleted`` means: now, and for an old row the day after it was made."""
    return row.created_at + dt.timedelta(days=1) if getattr(row, "old", False) else timestamp()


class BaseModelFactory[T: BaseModel](DjangoModelFactory[T]):
    """A factory_boy factory for a model that derives from `BaseModel`.

    class TicketFactory(BaseModelFactory[Ticket]):
        class Meta:
            model = Ticket

        title = factory.Sequence("Ticket {}".format)

    TicketFactory()                          # an active row
    TicketFactory(deleted=True)              # deleted, as `Ticket.delete` does it: with what refers to it, and signals
    TicketFactory(old=True)                  # made and last changed a year ago
    TicketFactory(deleted=True, old=True)    # made a year ago, and deleted the day after
    TicketFactory(created_at=moment)         # Django itself would write the time now over it

    ``deleted`` and ``old`` are factory_boy's traits, so other traits may use them. A row is deleted after all else is
    done, so that what the factory's `RelatedFactory` made goes along. ``build()`` sets the fields, and saves nothing.

    Raises:
        ValueError: ``is_deleted`` and ``deleted_at`` were given, and say different things.
        django.db.models.ProtectedError: Of a row that is to be deleted, as `BaseModel.delete` raises it.
    """

    class Meta:
        abstract = True
        # As factory_boy's next major version: what a post-generation hook changes, it saves.
        skip_postgeneration_save = True

    class Params:
        old = Trait(
            created_at=LazyFunction(lambda: timezone.now() - _OLD),
            updated_at=SelfAttribute("created_at"),
        )
        deleted = Trait(deleted_at=LazyAttribute(_when_deleted))

    @classmethod
    def _build(cls, model_class: type[T], *args: Any, **kwargs: Any) -> T:  # Any: the fields' values
        row: T = super()._build(model_class, *args, **_aligned(kwargs))  # type: ignore[no-untyped-call]  # factory_boy's
        return row

    @classmethod
    def _create(cls, model_class: type[T], *args: Any, **kwargs: Any) -> T:  # Any: as above
        kwargs = _aligned(kwargs)
        said = {name: kwargs.pop(name) for name in (*_MOMENTS, "is_deleted", "deleted_at") if name in kwargs}
        row: T = super()._create(model_class, *args, **kwargs)  # type: ignore[no-untyped-call]  # as above
        vars(row)["_said_to_factory"] = said
        return row

    @classmethod
    def _after_postgeneration(cls, instance: T, create: bool, results: Any = None) -> None:  # Any: as above
        super()._after_postgeneration(instance, create, results)  # type: ignore[no-untyped-call]  # as above
        said = vars(instance).pop("_said_to_factory", {})
        if moments := {name: said[name] for name in _MOMENTS if name in said}:  # save() itself writes the time now
            type(instance)._base_manager.using(instance._state.db).filter(pk=instance.pk).update(**moments)
            for name, moment in moments.items():
                setattr(instance, name, moment)
        if at := said.get("deleted_at"):
            instance._soft_delete_at(at)
