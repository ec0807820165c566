"""Writes the README's table of mistakes: ``python -m tests.checks.table``."""

import re
import sys
from pathlib import Path

from shared_core.checks.catalogue import MISTAKES

README = Path(__file__).parents[2] / "README.md"
_BEGIN, _END = "<!-- checks -->", "<!-- /checks -->"


class _Names(dict):
    """Fills what a hint asks for with its name."""

    def __missing__(self, name):
        return f"<{name}>"


def table():
    rows = ["| id | what is wrong | what to write |", "|---|---|---|"]
    for mistake in MISTAKES:
        number = mistake.id.removeprefix("shared_core.")
        cells = (f"`{number}`", _escaped(mistake.title), _escaped(mistake.hint.format_map(_Names())))
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def with_table(text):
    """Return the page with the table between its markers.

    Raises:
        ValueError: It has not one pair of them.
    """
    if [text.count(_BEGIN), text.count(_END)] != [1, 1] or text.index(_BEGIN) > text.index(_END):
        raise ValueError(f"The page needs one line {_BEGIN} and, below it, one line {_END}.")
    before, rest = text.split(_BEGIN)
    return f"{before}{_BEGIN}\n{table()}\n{_END}{rest.split(_END)[1]}"


def _escaped(text):
    """Return it for a cell; what stands in backticks is code."""
    parts = re.split(r"(`[^`]*`)", text.replace("|", r"\|"))
    return "".join(part if part.startswith("`") else re.sub(r"([<*])", r"\\\1", part) for part in parts)


def main(page=README):
    try:
        page.write_text(with_table(page.read_text()))
    except ValueError as error:
        sys.exit(f"{page}: {error}")


if __name__ == "__main__":
    main()
