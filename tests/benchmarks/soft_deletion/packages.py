"""Which other packages are installed, and what do models on their base classes look like?"""

from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from django.db import models

PACKAGES = {  # distribution: its app
    "django-safedelete": "safedelete",
    "django-softdelete-model": "django_softdelete_model",
    "django-soft-delete": "django_softdelete",
    "django-softdelete": "softdelete",
}


@dataclass(frozen=True)
class Models:
    """The models of one package: a key and columns of one kind, so that only the base class differs."""

    note: Any  # Any: as the package's metaclass and managers have it
    author: Any
    book: Any
    chapter: Any

    def all(self) -> list[Any]:  # Any: as above
        """Return each, parents before children."""
        return [self.note, self.author, self.book, self.chapter]


def labels() -> dict[str, str]:
    """Return ``{distribution: name and version}`` of those that are installed."""
    # Found, not imported: some read the settings, which wait for this answer.
    installed = [distribution for distribution, app in PACKAGES.items() if find_spec(app)]
    return {distribution: f"{distribution} {version(distribution)}" for distribution in installed}


def installed_apps() -> list[str]:
    """Return the apps of those."""
    return [PACKAGES[distribution] for distribution in labels()]


def models_of(distribution: str) -> Models:
    """Return models on a package's base class, which delete along CASCADE."""
    if distribution == "django-safedelete":
        from safedelete.config import SOFT_DELETE_CASCADE
        from safedelete.models import SafeDeleteModel

        return _models("Policy", SafeDeleteModel, _safedelete_policy=SOFT_DELETE_CASCADE)
    if distribution == "django-softdelete-model":
        from django_softdelete_model.models import SoftDeleteModel as OneLevelModel

        return _models("OneLevel", OneLevelModel)
    if distribution == "django-soft-delete":
        from django_softdelete.models import SoftDeleteModel

        return _models("Transaction", SoftDeleteModel)
    if distribution == "django-softdelete":
        from softdelete.models import SoftDeleteObject

        return _models("ChangeSet", SoftDeleteObject)
    raise ValueError(f"{distribution} is none of {', '.join(PACKAGES)}")


def plain_models() -> Models:
    """Return models that Django deletes for good."""
    return _models("Plain", models.Model)


# Prefixes differ in more than case, which Django's registry ignores.
def _models(prefix: str, base: type[models.Model], **attributes: object) -> Models:
    from shared_core.models import uuid7  # not before Django is set up: `installed_apps` is asked for the settings

    def make(name: str, **fields: object) -> Any:
        namespace = {
            "__module__": __name__,
            "Meta": type("Meta", (), {"app_label": "soft_deletion", "db_table": f"{prefix}_{name}".lower()}),
            "id": models.UUIDField(primary_key=True, default=uuid7),
            **attributes,
            **fields,
        }
        return type(f"{prefix}{name}", (base,), namespace)

    author = make("Author")
    book = make("Book", parent=models.ForeignKey(author, models.CASCADE))
    chapter = make("Chapter", parent=models.ForeignKey(book, models.CASCADE))
    note = make("Note", batch=models.IntegerField(default=0, db_index=True))
    return Models(note, author, book, chapter)
