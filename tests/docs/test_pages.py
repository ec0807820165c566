"""The pages that people read: they render, their links lead somewhere, and each is two clicks away."""

import itertools
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "shared_core"
README = ROOT / "README.md"
PAGES = [README, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LANGUAGES = {"", "console", "dockerfile", "ini", "js", "json", "python", "re2", "sh", "yaml"}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def tokens(page):
    return MarkdownIt("commonmark").enable("table").parse(page.read_text())


def inline(page):
    return [child for token in tokens(page) for child in token.children or ()]


def links(page):
    return [token.attrs["href"] for token in inline(page) if token.type == "link_open"]


def pictures(page):
    return [token for token in inline(page) if token.type == "image"]


def anchors(page):
    """Return what can stand behind a ``#``: the headings, as GitHub makes anchors of them."""
    parts = tokens(page)
    titles = [after.content for token, after in itertools.pairwise(parts) if token.type == "heading_open"]
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]


@each_page
def test_a_link_leads_to_a_file_and_a_heading_in_it(page):
    for link in links(page):
        parts = urlsplit(link)
        if parts.scheme:
            assert (parts.scheme, bool(parts.netloc)) == ("https", True), link
            continue
        target = (page.parent / parts.path) if parts.path else page
        assert target.exists(), link
        assert ROOT in target.resolve().parents, link
        if parts.fragment:
            assert parts.fragment in anchors(target), link


@each_page
def test_headings_of_a_page_are_unique_and_skip_no_level(page):
    levels = [int(token.tag[1]) for token in tokens(page) if token.type == "heading_open"]

    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in itertools.pairwise(levels))
    if page.name != "CHANGELOG.md":  # its versions have the same parts
        assert len(set(anchors(page))) == len(anchors(page))


@each_page
def test_a_table_has_as_many_cells_in_each_row(page):
    rows = [
        [line.count("|") - line.count(r"\|") - 1 for line in page.read_text().splitlines()[slice(*token.map)]]
        for token in tokens(page)
        if token.type == "table_open"
    ]

    assert all(len(set(cells)) == 1 for cells in rows), rows


@each_page
def test_a_block_of_code_says_its_language_and_ends(page):
    lines = page.read_text().splitlines()
    fences = [token for token in tokens(page) if token.type == "fence"]

    assert {token.info for token in fences} <= LANGUAGES
    assert [token.map[0] for token in fences if lines[token.map[1] - 1].strip() != "```"] == []


def test_a_page_with_code_is_run_by_a_test():
    tests = [path.read_text() for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__)]
    with_code = [page.name for page in PAGES if "```python" in page.read_text()]

    assert len(with_code) > 8
    assert [name for name in with_code if not any(f'{name}"' in text for text in tests)] == []


def test_every_page_is_one_click_from_the_readme():
    linked = {(README.parent / urlsplit(link).path).resolve() for link in links(README)}

    assert [page.name for page in PAGES[1:] if page.resolve() not in linked and page.parent.name != "internals"] == []


def test_every_page_of_internals_is_linked_from_the_page_of_its_part_and_from_contributing():
    for page in (ROOT / "docs" / "internals").glob("*.md"):
        part = ROOT / "docs" / page.name
        assert f"docs/internals/{page.name}" in links(ROOT / "CONTRIBUTING.md")
        assert not part.exists() or f"internals/{page.name}" in links(part)


def test_the_readme_links_ten_questions_to_their_answers():
    asked = re.findall(r"^\| … (.+)\? \| \[.+\]\((.+)\) \|$", README.read_text(), re.MULTILINE)

    assert len(asked) >= 10
    assert len(set(asked)) == len(asked)


@each_page
def test_a_picture_exists_and_has_an_alternative_text(page):
    for token in pictures(page):
        path = page.parent / token.attrs["src"]
        assert path.stat().st_size > 1000, path
        assert len(token.content) > 20, path
        if path.suffix == ".svg":
            root = ET.parse(path).getroot()
            assert root.find("{http://www.w3.org/2000/svg}title").text


def test_every_picture_is_on_a_page():
    shown = {(page.parent / token.attrs["src"]).resolve() for page in PAGES for token in pictures(page)}

    assert {path.resolve() for path in (ROOT / "docs" / "images").iterdir()} == shown


def test_every_setting_is_documented_on_its_page():
    source = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    read = set(re.findall(r'"((?:SERVICE|SHARED_CORE)_[A-Z_]+[A-Z])"', source)) - {"SERVICE_NAME"}
    read |= {f"SERVICE_JWT_{name}" for name in ("KEY", "ALGORITHMS", "AUDIENCE", "ISSUER", "LEEWAY")}
    page = (ROOT / "docs" / "settings.md").read_text()

    assert len(read) > 12
    assert [name for name in sorted(read) if f"`{name}`" not in page] == []
    known = re.findall(r"`((?:SERVICE|SHARED_CORE)_[A-Z_]+[A-Z])`", page)
    assert [name for name in known if name not in source and not name.startswith("SERVICE_JWT_")] == []


def test_every_make_target_that_is_named_exists():
    code = [token for page in PAGES for token in (*tokens(page), *inline(page)) if token.type.startswith("code_")]
    make = re.compile(r"^make (?:-sC \S+ )?([a-z-]+)", re.MULTILINE)
    named = {name for token in code for name in make.findall(token.content)}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert {"demo", "test", "lint", "bench"} <= named
    assert named <= targets
