"""Checks whether the services answer that this one calls."""

from collections.abc import Iterator, Mapping
from functools import partial

from shared_core import conf
from shared_core.clients import HTTPClient, ServiceError, ServiceHTTPError
from shared_core.doctor.lines import Line, TimedCheck, describe_error, environment_values
from shared_core.logs.redaction import redact_url
from shared_core.origins import SETTING_SUFFIX, fault_of_base, service_of

_PATH = "/health/"
_ATTEMPT_TIMEOUT, _TIMEOUT = 3.0, 5.0  # seconds


def service_urls(*, by_settings: bool) -> Mapping[str, object]:
    """Return ``{"USER_SERVICE_URL": "http://user:8000"}``, of the settings or else of the environment."""
    if by_settings:
        return conf.ending_with(SETTING_SUFFIX)
    return {name: url for name, url in environment_values().items() if name.endswith(SETTING_SUFFIX)}


def start_service_checks(urls: Mapping[str, object]) -> list[TimedCheck]:
    """Start the checks of all services, side by side."""
    return [TimedCheck("services", partial(_check, name, url), timeout=_TIMEOUT) for name, url in urls.items()]


def _check(name: str, url: object) -> Iterator[Line]:
    if fault := fault_of_base(url):
        yield Line("FAIL", "services", f"{name}: {fault}", f"Write {name}=http://user:8000, say")
        return
    where = f"{service_of(name)} at {redact_url(str(url))}"
    hint = f"Start it, or correct {name}"
    with HTTPClient(
        str(url), token=False, timeout=_ATTEMPT_TIMEOUT, deadline=_ATTEMPT_TIMEOUT, breaker=None, budget=None
    ) as client:
        try:
            client.get(_PATH, retries=0)
        except ServiceHTTPError as error:
            status = error.response.status_code
            # Whoever refuses is there.
            mark, hint = ("FAIL", hint) if status >= 500 else ("warn", f"Look whether {name} names the right service")
            yield Line(mark, "services", f"{where} answers {status} to {_PATH}", hint)  # type: ignore[arg-type]  # of two texts
        except ServiceError as error:
            yield Line("FAIL", "services", f"{where}: {describe_error(error)}", hint)
        else:
            yield Line("ok", "services", f"{where} answers")
