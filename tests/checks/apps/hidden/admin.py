from django.contrib import admin

from tests.checks.apps.hidden.models import Member

admin.site.register(Member)
