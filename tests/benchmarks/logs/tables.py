"""What do the tables of the cases look like?"""

from collections.abc import Mapping

from tests.benchmarks.turns import Taken

COLUMNS = "  {:<44} {:<26} {}"


def absolute(taken: Mapping[str, Taken], count: int, what: str) -> list[str]:
    """Return the table of medians."""
    lines = [f"  this machine's medians, a {what}"]
    return lines + [f"    {name:<42} {one.median / count * 1e6:8.2f} us" for name, one in taken.items()]
