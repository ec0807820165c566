"""What can a service do around a soft delete or a restore?

Each signal is sent for each row, that of the call and those that go along, with ``sender`` (the model), ``instance``,
``using`` (the database's alias) and ``deleted_at`` (the moment that identifies the deletion). A receiver of a ``pre_``
signal may raise: then nothing is written. All of them run inside the transaction of the change.
"""

from django.db.models.signals import ModelSignal

pre_soft_delete = ModelSignal(use_caching=True)
post_soft_delete = ModelSignal(use_caching=True)
pre_restore = ModelSignal(use_caching=True)
post_restore = ModelSignal(use_caching=True)
