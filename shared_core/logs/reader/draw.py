"""Draws the trace of a request: as a timeline in a terminal, and as a picture."""

from collections.abc import Iterator
from html import escape

from shared_core.logs.reader.trace import Step, Trace

_RESET, _RED, _DIM = "\x1b[0m", "\x1b[31m", "\x1b[2m"

# Of the picture, in its own units.
_WIDTH, _ROW, _LEFT, _BAR = 1280, 22, 620, 460
_FONT = 'font-family="ui-monospace, monospace" font-size="12"'
_INK, _FAULT = "#222", "#c62828"


def as_text(trace: Trace, *, width: int = 120, colour: bool = False) -> Iterator[str]:
    """Yield the lines of a timeline that is ``width`` columns wide, at least 80."""
    bar = max(20, (width - 34) // 3)
    names = min(max(map(len, trace.services)), 20)
    label = max(24, max(width, 80) - bar - names - 34)
    yield (
        f"request {trace.request_id}  {trace.began:%Y-%m-%d %H:%M:%S} UTC  {trace.ms:.0f} ms  "
        f"{len(trace.services)} services  {trace.failures} failures"
    )
    for depth, step in trace.walk():
        mark = "!" if step.failed else " "
        what = "  " * depth + title(step)
        took = f"{step.ms:>6.0f} ms" if step.ms is not None else " " * 9
        outcome = step.outcome if step.failed or step.kind != "record" else ""
        line = (
            f"{mark}{step.start:>6.0f} ms  {_fit(step.service, names)}  {_fit(what, label)}  "
            f"|{_bar(step, trace, bar)}| {took}  {outcome}"
        ).rstrip()
        tint = _RED if step.failed else _DIM if step.kind == "record" else ""
        yield f"{tint}{line}{_RESET}" if colour and tint else line


def as_svg(trace: Trace) -> str:
    """Return the same as an SVG picture."""
    rows = list(trace.walk())
    height = _ROW * (len(rows) + 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" {_FONT}>',
        f"<title>Request {escape(trace.request_id)}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="8" y="{_ROW - 6}" font-weight="bold">{escape(next(as_text(trace)))}</text>',
    ]
    colours = dict(zip(trace.services, _palette(len(trace.services)), strict=True))
    scale = _BAR / max(trace.ms, 1.0)
    for number, (depth, step) in enumerate(rows, start=1):
        y = number * _ROW + 8
        fill, ink = (_FAULT, _FAULT) if step.failed else (colours[step.service], _INK)
        text = _fit(f"{step.service}  {title(step)}", 80 - 2 * depth).rstrip()
        x, wide = _LEFT + step.start * scale, max((step.ms or 0.0) * scale, 2.0)
        took = f"{step.outcome}  {step.ms:.0f} ms" if step.ms is not None else ""
        parts += [
            f'<text x="{8 + 14 * depth}" y="{y + 11}" fill="{ink}">{escape(text)}</text>',
            f'<rect x="{x:.1f}" y="{y}" width="{wide:.1f}" height="14" rx="2" fill="{fill}"/>',
            f'<text x="{_WIDTH - 8}" y="{y + 11}" text-anchor="end" fill="#555">{escape(took)}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def title(step: Step) -> str:
    """Return what a step is, in words."""
    if step.kind == "record":
        return f"· {step.label}"
    return f"-> {step.peer} {step.label}" if step.kind == "call" else step.label


def _bar(step: Step, trace: Trace, width: int) -> str:
    first = min(int(step.start / max(trace.ms, 1.0) * width), width - 1)
    if step.ms is None:
        return " " * first + "·" + " " * (width - first - 1)
    long = max(1, min(round(step.ms / max(trace.ms, 1.0) * width), width - first))
    return " " * first + ("░" if step.kind == "call" else "█") * long + " " * (width - first - long)


def _fit(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else f"{text[: width - 1]}…"


def _palette(count: int) -> Iterator[str]:
    for number in range(count):
        yield f"hsl({(210 + number * 360 // max(count, 1)) % 360}, 45%, 55%)"
