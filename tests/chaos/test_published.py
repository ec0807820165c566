"""Holds that docs/faults.md is of a whole run in which all held, and of nothing else."""

import json

import pytest

from tests.chaos import publish, report
from tests.chaos.faults import ALL

PUBLISHED = json.loads((publish.ROOT / "docs" / "faults.json").read_text())


def test_it_is_a_whole_run_in_which_all_held():
    assert report.wrong(PUBLISHED) == []
    assert {one["fault"] for one in PUBLISHED["faults"]["rounds"]} == {fault.name for fault in ALL}


def test_it_is_what_the_page_says():
    assert (publish.ROOT / "docs" / "faults.md").read_text() == report.page(PUBLISHED)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("faults", {"rounds": PUBLISHED["faults"]["rounds"][:199]}, "199 faults are not 200: run make chaos"),
        ("faults", {"rounds": [PUBLISHED["faults"]["rounds"][0] | {"violations": ["lost"]}] * 200}, "lost"),
        ("faults", {"disk": False}, "no disk was filled"),
        ("soak", {"minutes": 2}, "2 minutes are not 10: run make soak"),
        ("soak", {"said": ["memory 60 -> 90"]}, "memory 60 -> 90"),
    ],
)
def test_a_part_of_a_run_or_one_that_did_not_hold_is_not_published(name, value, said):
    changed = {**PUBLISHED, name: {**PUBLISHED[name], **value}}

    assert said in report.wrong(changed)[0]
