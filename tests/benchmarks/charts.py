"""How do the figures look? Ours is thick and blue; the rest is thin."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot
from matplotlib.ticker import FuncFormatter

from tests.benchmarks.render import Measured, chart_name, digest

OURS = ("shared_core", "ours")
_COLOURS = ("#d1495b", "#edae49", "#66a182", "#8d6a9f", "#7f7f7f", "#2e4057")
_STYLE = {
    "svg.fonttype": "none",  # text stays text: small, searched and read aloud
    "svg.hashsalt": "shared_core",  # the same figures make the same file
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e5e5e5",
    "legend.frameon": False,
}


def draw(measured: Measured, folder: Path) -> None:
    """Write all charts there, and remove those of figures that are no more."""
    for old in folder.glob("bench-*.svg"):
        old.unlink()
    with mpl.rc_context(_STYLE):
        for program, told in measured["programs"].items():
            for case in told["cases"]:
                for chart in case["charts"]:
                    _draw(chart, folder / chart_name(program, chart["title"]))


def _draw(chart: Mapping[str, Any], to: Path) -> None:
    figure, axes = pyplot.subplots(figsize=(8, 4.2), layout="constrained", facecolor="white")
    colours = iter(_COLOURS)
    for name, points in chart["lines"].items():
        is_ours = name in OURS
        axes.plot(
            *zip(*points, strict=True),
            label=name,
            color="#1f6feb" if is_ours else next(colours),
            linewidth=2.6 if is_ours else 1.4,
            marker="o" if chart["is_logarithmic"] else None,
            markersize=5 if is_ours else 3.5,
            zorder=3 if is_ours else 2,
        )
    axes.set(xlabel=chart["x"], ylabel=chart["y"])
    if chart["is_logarithmic"]:
        axes.set(xscale="log", yscale="log")
    else:
        axes.set_ylim(bottom=0)
    for name, (begin, end) in chart["spans"].items():
        axes.axvspan(begin, end, color="#f3f3f3", zorder=0)
        axes.text((begin + end) / 2, 0.98, name, transform=axes.get_xaxis_transform(), ha="center", va="top")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    figure.legend(loc="outside upper left", ncols=3)
    figure.savefig(to, metadata={"Date": None, "Creator": None, "Title": chart["title"], "Description": digest(chart)})
    pyplot.close(figure)
