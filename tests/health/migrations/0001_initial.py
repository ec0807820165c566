"""Stands in for the library's migrations, which the suite does without."""

from django.db import migrations


class Migration(migrations.Migration):
    initial = True
    operations = []
