"""Names and parameters stay, or go in two steps that the changelog tells of; this version's do."""

import json
import subprocess
import sys

import pytest

from tests.upgrades.baseline import promised
from tests.upgrades.compatibility import broken, changes
from tests.upgrades.repositories import ROOT, environment, module

pytestmark = pytest.mark.slow

PLAIN = ("a", "POSITIONAL_OR_KEYWORD", False)
OPTIONAL = ("b", "POSITIONAL_OR_KEYWORD", True)
NAMED = ("c", "KEYWORD_ONLY", True)
ANY = ("options", "VAR_KEYWORD", False)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ([PLAIN, OPTIONAL], [PLAIN, OPTIONAL, NAMED], []),
        ([PLAIN], [("a", "POSITIONAL_OR_KEYWORD", True)], []),
        ([PLAIN, NAMED], [PLAIN, ANY], []),
        (None, [PLAIN], []),
        ([PLAIN, NAMED], [PLAIN], ["c is gone"]),
        ([OPTIONAL], [("b", "POSITIONAL_OR_KEYWORD", False)], ["b must be given now"]),
        ([PLAIN], [PLAIN, ("d", "KEYWORD_ONLY", False)], ["d is new, and must be given"]),
        ([PLAIN, OPTIONAL], [OPTIONAL, PLAIN], ["the order is b, a now"]),
        ([PLAIN], [("a", "KEYWORD_ONLY", False)], ["the order is  now"]),
        ([PLAIN], [("a", "POSITIONAL_ONLY", False)], ["a is not taken by name now"]),
        ([PLAIN, ANY], [PLAIN], ["takes no **options now"]),
    ],
)
def test_a_changed_signature_reports_what_breaks_calls(old, new, said):
    assert list(changes(old, new)) == said


class TestDeprecationRule:
    OLD = {"shared_core.models": {"purge": [PLAIN], "uuid7": []}}

    def entries(self, text):
        return module("changelog").entries(text)

    def test_an_unchanged_name_is_accepted(self):
        assert broken(self.OLD, self.OLD, []) == []

    def test_a_removed_name_must_have_been_deprecated_a_minor_version_before(self):
        new = {"shared_core.models": {"uuid7": []}}
        removed = "## [0.3.0] - 2026-03-01\n### Removed\n- `purge`. *Do:* call `end`.\n"
        deprecated = "### Deprecated\n- `purge(…)`. *Do:* call `end`.\n"

        assert broken(self.OLD, new, []) == [
            "shared_core.models.purge is gone, and no entry under Removed says what to do"
        ]
        not_before = ["shared_core.models.purge is gone, and was not deprecated in a minor version before"]
        assert broken(self.OLD, new, self.entries(removed)) == not_before
        same = removed + "## [0.3.0] - 2026-03-01\n" + deprecated
        assert broken(self.OLD, new, self.entries(same)) == not_before
        assert broken(self.OLD, new, self.entries(removed + "## [0.2.9] - 2026-02-01\n" + deprecated)) == []

    def test_a_changed_name_needs_a_changelog_entry_with_something_to_do(self):
        new = {"shared_core.models": {"purge": [], "uuid7": []}}
        for text in ("- `purge` takes less.", "- `purged`. *Do:* look.", "- `purge`. *Do:* nothing."):
            assert broken(self.OLD, new, self.entries(f"## [0.2.0]\n### Changed\n{text}\n")) == [
                "shared_core.models.purge: a is gone"
            ]
        assert broken(self.OLD, new, self.entries("## [0.2.0]\n### Changed\n- `purge`. *Do:* drop `a`.\n")) == []


def described(core, modules):
    command = [sys.executable, str(ROOT / "tests" / "upgrades" / "describe.py"), *modules]
    done = subprocess.run(
        command,
        env={**environment(), "PYTHONPATH": str(core), "PYTHONDONTWRITEBYTECODE": "1", "DJANGO_SETTINGS_MODULE": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["file"].startswith(str(core)), told["file"]
    return told["names"]


def test_names_and_parameters_of_the_previous_version_still_exist(before):
    public = promised(before)
    old = {
        name: {part: found for part, found in names.items() if part.partition(".")[0] in public[name]}
        for name, names in described(before, public).items()
    }
    entries = module("changelog").entries((ROOT / "CHANGELOG.md").read_text())

    assert old.keys() == public.keys()
    assert {"BaseModel", "BaseModel.delete", "uuid7"} <= old["shared_core.models"].keys()
    new = described(ROOT, [f"{name}={','.join(names)}" for name, names in public.items()])
    assert broken(old, new, entries) == []
