from django.contrib import admin

from tests.checks.apps.shop.models import Archive, Customer, Item


@admin.register(Customer)
class CustomerAdmin(admin.ModelAdmin):
    def get_queryset(self, request):
        return self.model.all_objects.all()


@admin.register(Item)
class ItemAdmin(admin.ModelAdmin):
    def has_delete_permission(self, request, obj=None):
        return super().has_delete_permission(request, obj) and request.user.has_perm("shop.hard_delete_vase")


admin.site.register(Archive)
