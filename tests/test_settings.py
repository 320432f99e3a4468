"""Settings come from the environment, each wrong one is named, and the README lists them all."""

from pathlib import Path

import pytest

from deconvdemo.errors import ControlError
from deconvdemo.settings import Settings

README = Path(__file__).parent.parent / "README.md"


def test_an_empty_environment_gives_the_defaults():
    assert Settings.from_environment({}) == Settings()
    assert Settings.from_environment({"DECONVDEMO_PORT": " ", "HOME": "/"}) == Settings()


def test_values_get_the_type_of_their_setting():
    settings = Settings.from_environment(
        {"DECONVDEMO_PORT": "8080", "DECONVDEMO_DATA_DIR": "/tmp/x", "DECONVDEMO_RESULTS_HOURS": " 1.5 "}
    )
    assert settings.port == 8080
    assert settings.data_dir == Path("/tmp/x")
    assert settings.results_hours == 1.5


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DECONVDEMO_PORT", "http"),
        ("DECONVDEMO_PORT", "80.5"),
        ("DECONVDEMO_MAX_PIXELS", "50 MP"),
        ("DECONVDEMO_RESULTS_HOURS", "a day"),
        ("DECONVDEMO_MIN_FREE_MB", "1e3"),
    ],
)
def test_a_wrong_value_is_named_with_its_variable(variable, value):
    with pytest.raises(ControlError, match=f"{variable} is '{value}', but it takes a value like"):
        Settings.from_environment({variable: value})


def test_every_setting_has_a_variable_of_its_own_and_a_meaning():
    table = Settings.table()
    rows = table.splitlines()[2:]
    assert len(rows) == len({row.split("|")[1] for row in rows})
    assert all(row.startswith("| `DECONVDEMO_") and row.count("|") == 4 and len(row.split("|")[3]) > 10 for row in rows)


@pytest.mark.skipif(not README.exists(), reason="there is no README.md yet")
def test_the_readme_lists_every_setting():
    assert Settings.table() in README.read_text(), "copy Settings.table() into README.md"


def test_moderation_is_on_or_off_and_on_by_default():
    assert Settings().moderated
    assert not Settings(moderate="off").moderated
    with pytest.raises(ControlError, match="DECONVDEMO_MODERATE is 'maybe', but it is on or off"):
        _ = Settings(moderate="maybe").moderated
