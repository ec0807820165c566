"""Code blocks of a page, found by what stands in them: a block that is added or moved breaks no test."""

import re


def block(page: str, marker: str, language: str = "python") -> str:
    """Return the one block of ``language`` whose code has ``marker``."""
    found = [code for code in blocks(page, language) if marker in code]
    assert len(found) == 1, f"{len(found)} {language} blocks have {marker!r}"
    return found[0]


def blocks(page: str, language: str = "python") -> list[str]:
    """Return the code of all blocks of ``language``, in the order of the page."""
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
