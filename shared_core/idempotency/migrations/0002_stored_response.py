"""The model's new name. The table keeps its name, so no statement touches it, and the version before works on it."""

from django.db import migrations


class Migration(migrations.Migration):
    """Renames FirstAnswer to StoredResponse."""

    dependencies = [("shared_core_idempotency", "0001_initial")]

    operations = [
        migrations.AlterModelTable("FirstAnswer", "shared_core_idempotency_firstanswer"),
        migrations.RenameModel("FirstAnswer", "StoredResponse"),
    ]
