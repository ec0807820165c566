"""A version is tagged where all is ready for it, and nothing is where it is not."""

import datetime as dt

import pytest

from tests.upgrades.repositories import Repository, program

CHANGELOG = """# Changelog

## [Unreleased]

## [0.2.0] - 2026-02-03

### Added

- Something. *Do:* nothing.

# What looks like a comment of git's

## [0.1.0] - 2026-01-02

### Added

- The first.
"""


@pytest.fixture
def repository(tmp_path):
    """One of which 0.1.0 is tagged, and 0.2.0 is ready."""
    repository = Repository(tmp_path / "core")
    repository.commit("The first", {"shared_core/__init__.py": '__version__ = "0.1.0"\n', ".gitignore": "tested\n"})
    repository.git("tag", "v0.1.0")
    repository.commit("The second", {"shared_core/__init__.py": '__version__ = "0.2.0"\n', "CHANGELOG.md": CHANGELOG})
    return repository


def release(repository, *arguments, tests="touch tested", **variables):
    return program("release.py", *arguments, "--root", ".", "--tests", tests, cwd=repository.folder, **variables)


def refuses(repository, done, *words):
    """Hold that it says so in a line, ran no tests, and tagged nothing."""
    assert done.returncode == 2, done.stderr
    assert [word for word in words if word not in done.stderr] == []
    assert "Traceback" not in done.stderr
    assert not (repository.folder / "tested").exists()
    assert repository.git("tag") == "v0.1.0"


def test_a_ready_release_is_tested_and_tagged(repository):
    done = release(repository, "0.2.0")

    assert done.returncode == 0, done.stderr
    assert (repository.folder / "tested").exists()
    assert repository.git("rev-parse", "v0.2.0^{commit}") == repository.git("rev-parse", "HEAD")
    assert repository.git("cat-file", "-t", "v0.2.0") == "tag"
    message = repository.git("tag", "--list", "--format", "%(contents)", "v0.2.0")
    assert message.startswith("shared_core 0.2.0\n\n### Added\n\n- Something. *Do:* nothing.")
    assert "The first" not in message
    assert "git push origin v0.2.0" in done.stdout


@pytest.mark.parametrize("version", ["2", "0.2", "v0.2.0", "0.2.0rc1", "00.2.0", "0.2.0 ", ""])
def test_an_invalid_version_is_refused(repository, version):
    refuses(repository, release(repository, version), "is no version", "VERSION=0.2.0")


@pytest.mark.parametrize(("version", "words"), [("0.1.0", "is tagged already"), ("0.0.9", "is below v0.1.0")])
def test_a_version_that_is_tagged_or_lower_is_refused(repository, version, words):
    refuses(repository, release(repository, version), words)


def test_versions_are_compared_as_numbers(repository):
    repository.git("tag", "v0.10.0")
    done = release(repository, "0.9.0")

    assert done.returncode == 2
    assert "below v0.10.0" in done.stderr


@pytest.mark.parametrize("name", ["CHANGELOG.md", "new.py"])
def test_an_unclean_working_tree_is_refused(repository, name):
    repository.write(**{name: "changed"})

    refuses(repository, release(repository, "0.2.0"), "not clean", name)


def test_another_branch_than_main_is_refused(repository):
    repository.git("checkout", "--quiet", "-b", "topic")

    refuses(repository, release(repository, "0.2.0"), "this is topic, not main", "BRANCH=topic")


def test_a_package_of_another_version_is_refused(repository):
    repository.commit("Oh", {"shared_core/__init__.py": '__version__ = "0.1.0"\n'})

    refuses(repository, release(repository, "0.2.0"), "says 0.1.0: set __version__ to 0.2.0")


TO_COME = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=3)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("## [0.2.0] - 2026-02-03", "## [0.3.0] - 2026-02-03", "has no ## [0.2.0]"),
        ("## [0.2.0] - 2026-02-03", "## [0.2.0]", "write YYYY-MM-DD"),
        ("2026-02-03", "2026-02-30", "write YYYY-MM-DD"),
        ("2026-02-03", f"{TO_COME}", "which is to come"),
        ("## [Unreleased]\n", "## [Unreleased]\n\n- Late.\n", "has entries under [Unreleased]: move them to 0.2.0"),
        ("- Something. *Do:* nothing.\n", "", "says nothing of 0.2.0"),
        ("## [0.2.0]", "## [0.3.0] - 2026-02-04\n\n## [0.2.0]", "below another version"),
    ],
    ids=lambda text: text[:20] if isinstance(text, str) and not text.endswith(f"{TO_COME}") else "to come",
)
def test_a_changelog_that_is_not_ready_for_the_version_is_refused(repository, old, new, words):
    repository.commit("Oh", {"CHANGELOG.md": CHANGELOG.replace(old, new)})

    refuses(repository, release(repository, "0.2.0"), words)


def test_failed_tests_prevent_the_tag(repository):
    done = release(repository, "0.2.0", tests="false")

    assert done.returncode == 1
    assert "nothing was tagged" in done.stderr
    assert repository.git("tag") == "v0.1.0"


@pytest.mark.parametrize("tests", ["touch left", "git commit --quiet --allow-empty --message another"])
def test_tests_that_change_the_tree_prevent_the_tag(repository, tests):
    done = release(repository, "0.2.0", tests=tests)

    assert done.returncode == 2
    assert repository.git("tag") == "v0.1.0"


def test_a_missing_git_identity_is_refused(repository):
    unknown = {f"GIT_{person}_{what}": "" for person in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

    done = release(repository, "0.2.0", **unknown)

    refuses(repository, done, "git config user.name NAME")
