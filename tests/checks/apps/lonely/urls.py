from tests.checks.apps.lonely import clients
from tests.checks.apps.shop.urls import urlpatterns

__all__ = ["stock", "urlpatterns"]

stock = clients.StockClient()
