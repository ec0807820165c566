"""Holds that the README's figures, docs/figures.md and its charts are those that were measured."""

import json
import re

import pytest

from tests.benchmarks import __main__ as programs
from tests.benchmarks import publish, render
from tests.benchmarks.figures import Chart, Figure, Ratios, Result, compact, exponent

ROOT = publish.ROOT
MEASURED = json.loads((ROOT / "docs" / "figures.json").read_text())


class TestPublishedFigures:
    def test_the_published_figures_are_of_a_whole_run(self):
        assert not MEASURED["quick"]
        assert MEASURED["programs"].keys() == render.PROGRAMS.keys() == programs.PROGRAMS.keys()

    def test_the_published_figures_hold_all_bounds(self):
        cases = [case for told in MEASURED["programs"].values() for case in told["cases"]]
        missed = [figure["what"] for case in cases for figure in case["figures"] if not figure["holds"]]

        assert missed == []

    def test_the_page_and_the_readme_show_the_published_figures(self):
        assert (ROOT / "docs" / "figures.md").read_text() == render.page(MEASURED, images="images/")
        readme = (ROOT / "README.md").read_text()
        assert readme == render.in_readme(readme, MEASURED)

    def test_the_charts_show_the_published_figures(self):
        drawn = {
            render.chart_name(program, chart["title"]): render.digest(chart)
            for program, told in MEASURED["programs"].items()
            for case in told["cases"]
            for chart in case["charts"]
        }
        found = {path.name: path.read_text() for path in (ROOT / "docs" / "images").glob("bench-*.svg")}

        assert found.keys() == drawn.keys()
        assert [name for name, digest in drawn.items() if digest not in found[name]] == []


def test_a_readme_figure_that_was_not_measured_is_an_error():
    programs = {**MEASURED["programs"], "running": {**MEASURED["programs"]["running"], "cases": []}}

    with pytest.raises(ValueError, match="running has no figure"):
        render.in_readme(render.BEGIN + render.END, {**MEASURED, "programs": programs})


def test_a_readme_without_the_marks_is_not_written():
    with pytest.raises(ValueError, match="lacks"):
        render.in_readme("# shared_core", MEASURED)


class TestFigures:
    @pytest.mark.parametrize(
        ("figure", "limit", "at_least", "holds"),
        [(1.0, 1.1, False, True), (1.2, 1.1, False, False), (1.2, 1.1, True, True), (1.0, 1.1, True, False)],
    )
    def test_a_bound_is_an_upper_or_a_lower_limit(self, figure, limit, at_least, holds):
        assert Figure(what="a", figure=figure, limit=limit, at_least=at_least).holds is holds

    def test_a_missed_bound_is_printed_and_fails_the_case(self):
        result = Result("case", ["line"], [Figure(what="a", figure=2.0, limit=1.0)])

        assert str(result) == "line\ncase MISSED: a 2.00x (<= 1x)"
        assert not result.holds

    def test_a_bound_within_the_spread_of_the_rounds_is_unsure(self):
        busy, sure = Ratios([0.5, 1.0, 1.5, 2.0], [1] * 4), Ratios([1.9, 2.0, 2.0, 2.1], [1] * 4)

        assert busy.figure("a", 1.3).is_unsure
        assert not sure.figure("a", 1.3).is_unsure

    def test_json_keeps_zeros_and_chart_lines(self):
        chart = Chart(title="t", x="x", y="y", lines={"a": [(1, 2.0)]})
        said = Result("case", [], [Figure(what="a", figure=0, unit=" s")], [chart]).as_json()

        assert said["figures"] == [{"what": "a", "figure": 0, "unit": " s", "holds": True}]
        assert json.loads(compact(said))["charts"][0]["lines"] == {"a": [[1, 2.0]]}

    def test_six_digits_are_kept(self):
        assert json.loads(compact({"a": 1234567.891, "b": [0.000123456789]})) == {"a": 1234570.0, "b": [0.000123457]}

    def test_linear_growth_has_the_exponent_one(self):
        assert exponent([(1, 3), (10, 30), (100, 300)]) == pytest.approx(1)
        assert exponent([(1, 3), (10, 300)]) == pytest.approx(2)


class TestErrors:
    def test_an_unknown_program_is_an_error(self, capsys):
        with pytest.raises(SystemExit):
            programs.main(["soft_delete"])

        assert "no such program: soft_delete" in capsys.readouterr().err

    @pytest.mark.parametrize("there", [{"quick": True}, {"machine": "another"}, {"versions": {}}])
    def test_figures_of_another_kind_are_not_mixed(self, tmp_path, monkeypatch, there):
        now = {"machine": "this", "versions": {"Python": "3.12"}}
        kept = tmp_path / "figures.json"
        kept.write_text(json.dumps({"quick": False, **now, "programs": {}} | there))
        monkeypatch.setattr(programs, "BUILD", tmp_path)
        monkeypatch.setattr(programs, "machine", lambda: now)

        with pytest.raises(SystemExit, match="run all programs, or remove it"):
            programs.main(["storm"])

    @pytest.mark.parametrize(
        "there", [None, {**MEASURED, "quick": True}, {**MEASURED, "programs": {}}], ids=["none", "quick", "parts"]
    )
    def test_an_incomplete_run_is_not_published(self, tmp_path, monkeypatch, capsys, there):
        kept = tmp_path / "figures.json"
        if there is not None:
            kept.write_text(json.dumps(there))
        monkeypatch.setattr(publish, "KEPT", kept)
        monkeypatch.setattr(publish, "ROOT", tmp_path)

        assert publish.main() == 1
        assert re.search("run make bench", capsys.readouterr().err)
        assert list(tmp_path.iterdir()) == ([kept] if there is not None else [])
