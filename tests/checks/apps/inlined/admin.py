from django.contrib import admin

from tests.checks.apps.inlined.models import Box, Crate


class BoxInline(admin.TabularInline):
    model = Box


@admin.register(Crate)
class CrateAdmin(admin.ModelAdmin):
    inlines = [BoxInline]
