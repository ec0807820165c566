import pytest
from django.core.exceptions import ImproperlyConfigured

from shared_core import environment


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("dev", "development"),
        ("development", "development"),
        ("PROD", "production"),
        ("staging", "staging"),
    ],
)
def test_each_name_and_alias_of_an_environment_is_understood(monkeypatch, text, name):
    monkeypatch.setenv("ENVIRONMENT", text)

    assert environment.environment_name() == name


def test_an_environment_that_is_not_set_is_production(monkeypatch):
    monkeypatch.delenv("ENVIRONMENT", raising=False)

    assert environment.environment_name() == "production"


def test_an_unknown_environment_is_an_error_that_names_the_known_ones(monkeypatch):
    monkeypatch.setenv("ENVIRONMENT", "live")

    with pytest.raises(ImproperlyConfigured, match=r"ENVIRONMENT='live' is none of development, dev, test"):
        environment.environment_name()


def test_a_value_is_read_from_the_env_file_of_the_working_folder_or_above(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("COLOUR=green\nSHAPE=round\n")
    (tmp_path / "src").mkdir()
    monkeypatch.chdir(tmp_path / "src")
    monkeypatch.setenv("SHAPE", "square")

    assert environment.read("COLOUR") == "green"
    assert environment.read("SHAPE") == "square"
    assert environment.read("MISSING", "none") == "none"
    assert environment.settings_file() == tmp_path / ".env"
    assert "COLOUR" in environment.names_beginning_with("CO")


def test_settings_ini_takes_precedence_over_the_env_file_in_its_folder(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("COLOUR=green\n")
    (tmp_path / "settings.ini").write_text("[settings]\nCOLOUR=red\n")
    monkeypatch.chdir(tmp_path)

    assert environment.read("COLOUR") == "red"
    assert environment.settings_file() == tmp_path / "settings.ini"
