"""The table of first answers."""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    """Makes it."""

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="FirstAnswer",
            fields=[
                ("scope", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("caller", models.CharField(blank=True, max_length=255)),
                ("method", models.CharField(max_length=32)),
                ("path", models.CharField(max_length=1000)),
                ("key", models.CharField(max_length=255)),
                ("fingerprint", models.CharField(max_length=64)),
                ("status", models.PositiveSmallIntegerField()),
                ("headers", models.JSONField(default=dict)),
                ("body", models.BinaryField()),
                ("created_at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
            ],
        ),
    ]
