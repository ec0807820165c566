"""The version before this one, for tests that upgrade from it."""

import pytest

from tests.upgrades.baseline import NoHistoryError, baseline


@pytest.fixture(scope="session")
def before(tmp_path_factory):
    """The folder of the version before: of its core, its services and its changelog."""
    try:
        version = baseline()
    except NoHistoryError as error:
        pytest.skip(str(error))
    return version.extract(tmp_path_factory.mktemp("before"))
