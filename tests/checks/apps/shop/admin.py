from django.contrib import admin

from tests.checks.apps.shop.models import Archive, Customer, Item


@admin.register(Customer)
class CustomerAdmin(admin.ModelAdmin):
    def get_queryset(self, request):
        return self.model.all_objects.all()


admin.site.register([Archive, Item])
