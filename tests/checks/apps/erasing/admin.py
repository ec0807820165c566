from django.contrib import admin

from tests.checks.apps.erasing.models import Pot

admin.site.register(Pot)
