"""The service's own tests: ``manage.py test``."""

from django.test import TestCase

from apps.users.models import User


class UserTests(TestCase):
    def test_a_deleted_user_is_not_found_and_a_restored_one_is(self):
        user = User.objects.create_user("ada@example.com", "Ada")
        address = f"/api/v1/users/{user.pk}"
        user.delete()
        gone = self.client.get(address)
        self.client.post(f"{address}/restore")

        self.assertEqual(gone.status_code, 404)
        self.assertEqual(self.client.get(address).json()["name"], "Ada")
