from shared_core.clients import ServiceClient


class StockClient(ServiceClient):
    service = "stock-keeping"
