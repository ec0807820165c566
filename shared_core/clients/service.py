"""A client of the service that it names.

    class UserClient(ServiceClient):
        service = "user"                       # settings.USER_SERVICE_URL

        def find(self, user_id: str) -> dict | None:
            return self.get_json(f"/api/v1/users/{user_id}", missing_ok=True)

The setting is read when it is needed, never at import.
"""

from django.core.exceptions import ImproperlyConfigured

from shared_core import conf
from shared_core.clients.client import HTTPClient
from shared_core.origins import InvalidURLError, check_base, setting_of


class ServiceClient(HTTPClient):
    """An HTTPClient of the service that ``service`` names: its base URL is the setting of that name.

    ``service = "user-api"`` is at ``settings.USER_API_SERVICE_URL``, which is read when it is needed, never at import.
    """

    def _base(self) -> str:
        if self._base_url is not None:
            return self._base_url
        if not self.service:
            raise ImproperlyConfigured(f'{type(self).__name__} needs a name for its service, such as service = "user"')
        setting = setting_of(self.service)
        hint = f'{setting} = "http://{self.service}-service:8000"'
        url = conf.get(setting)
        if not url:
            raise ImproperlyConfigured(f"{type(self).__name__} needs the setting {setting}, for example: {hint}")
        try:
            return check_base(url)
        except (TypeError, InvalidURLError) as exc:
            raise ImproperlyConfigured(f"{setting} is no base URL: {exc.args[0]}; for example: {hint}") from exc
