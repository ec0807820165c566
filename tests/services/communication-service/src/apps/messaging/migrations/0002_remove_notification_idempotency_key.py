# Keys are kept by shared_core.idempotency from now on.

from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('messaging', '0001_initial'),
    ]

    operations = [
        migrations.RemoveField(
            model_name='notification',
            name='idempotency_key',
        ),
    ]
