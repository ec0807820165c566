"""The service's own tests: ``manage.py test``."""

import functools

from django.test import Client, TestCase, override_settings

from apps.users.models import User

TOKEN = "a-token-of-the-tests"


@override_settings(SERVICE_ACCEPTED_TOKENS={"gateway": [TOKEN]})
class UserTests(TestCase):
    client_class = functools.partial(Client, headers={"Authorization": f"Bearer {TOKEN}"})

    def test_a_stranger_is_told_nothing(self):
        self.assertEqual(Client().get("/api/v1/users").status_code, 401)

    def test_a_deleted_user_is_not_found_and_a_restored_one_is(self):
        user = User.objects.create_user("ada@example.com", "Ada")
        address = f"/api/v1/users/{user.pk}"
        user.delete()
        gone = self.client.get(address)
        self.client.post(f"{address}/restore")

        self.assertEqual(gone.status_code, 404)
        self.assertEqual(self.client.get(address).json()["name"], "Ada")
