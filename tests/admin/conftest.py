from tests.admin.fixtures import _of_a_site, admin_of

__all__ = ["_of_a_site", "admin_of"]
