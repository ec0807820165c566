"""The changelog is read as people write it, and as this repository's is."""

import pytest

from tests.upgrades.repositories import ROOT, module

OLD = """# Changelog

## [Unreleased]

### Added

- A name, which takes two
  lines. *Do:* look at `b`,
  and at c.
- Another. *Do:* nothing.
"""
NEW = OLD.replace("## [Unreleased]\n", "## [Unreleased]\n\n### Fixed\n\n- A fault.\n\n## [0.2.0] - 2026-02-03\n")


@pytest.fixture(scope="module")
def changelog():
    return module("changelog")


def test_an_entry_has_its_version_kind_text_and_to_do(changelog):
    first, second = changelog.entries(OLD)

    assert (first.version, first.kind) == ("Unreleased", "Added")
    assert first.text == "A name, which takes two lines. *Do:* look at `b`, and at c."
    assert first.to_do == "look at `b`, and at c."
    assert second.to_do == ""


def test_an_entry_that_moved_to_a_version_is_not_new(changelog):
    assert [(entry.version, entry.kind, entry.text) for entry in changelog.added(OLD, NEW)] == [
        ("Unreleased", "Fixed", "A fault.")
    ]


def test_a_section_ends_at_the_next_heading(changelog):
    assert changelog.section(NEW, "Unreleased") == "### Fixed\n\n- A fault."
    assert changelog.section(NEW, "0.2.0").startswith("### Added")
    assert changelog.section(NEW, "0.3.0") == ""
    assert list(changelog.versions(NEW)) == [("Unreleased", ""), ("0.2.0", "2026-02-03")]


def test_the_changelog_of_this_repository_has_valid_entries(changelog):
    text = (ROOT / "CHANGELOG.md").read_text()
    entries = changelog.entries(text)

    assert len(entries) == sum(line.startswith("- ") for line in text.splitlines())
    assert {entry.kind for entry in entries} <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert [entry.text for entry in entries if entry.kind in ("Deprecated", "Removed") and not entry.to_do] == []
    assert next(iter(changelog.versions(text)))[0] == "Unreleased"
