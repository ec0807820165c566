"""The README's table is what the checks say."""

import pytest

from shared_core.checks.catalogue import MISTAKES
from tests.checks import table

PAGE = "above\n<!-- checks -->\nof long ago\n<!-- /checks -->\nbelow\n"


def test_the_readme_has_the_table_of_checks():
    text = table.README.read_text()

    assert text == table.with_table(text), "run: python -m tests.checks.table"


def test_the_table_is_written_between_the_markers(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    table.main(page)
    table.main(page)  # changes nothing more

    lines = page.read_text().splitlines()
    assert lines[:2] + lines[-2:] == ["above", "<!-- checks -->", "<!-- /checks -->", "below"]
    assert "of long ago" not in lines
    rows = [line.split(" | ") for line in lines[4:-2]]
    assert [row[0] for row in rows] == [f"| `{mistake.id.removeprefix('shared_core.')}`" for mistake in MISTAKES]
    assert {len(row) for row in rows} == {3}


@pytest.mark.parametrize(
    "page",
    ["", "<!-- checks -->", "<!-- /checks -->\n<!-- checks -->", PAGE + PAGE],
    ids=["none", "one", "the wrong way round", "two pairs"],
)
def test_a_page_without_both_markers_is_not_written(tmp_path, page):
    path = tmp_path / "page.md"
    path.write_text(page)

    with pytest.raises(SystemExit, match=r"page\.md: The page needs one line <!-- checks --> and, below it"):
        table.main(path)
    assert path.read_text() == page
