"""What does a field of a log record cost?"""

from collections.abc import Callable
from contextlib import ExitStack

from tests.benchmarks.figures import Chart, Figure, Result, exponent
from tests.benchmarks.logs.writers import OURS, Write, writers
from tests.benchmarks.logs.writing import bound
from tests.benchmarks.turns import Work, in_turn

FIELDS = (0, 1, 2, 4, 8, 16, 32)
RECORDS, ROUNDS = 1_000, 15
IN_PROPORTION = 1.1


def fields() -> Result:
    """Measure records with more and more fields, to a null stream."""
    with ExitStack() as stack:
        stack.enter_context(bound())
        taken: dict[str, list[tuple[float, float]]] = {}
        for number in FIELDS:
            extra: dict[str, object] = {f"field_{i}": (i, f"value {i}", i / 8, "open")[i % 4] for i in range(number)}
            work = {name: _writing(write, extra) for name, write in writers(None).items()}
            for name, one in in_turn(work, ROUNDS).items():
                taken.setdefault(name, []).append((number, one.median / RECORDS * 1e6))
    lines = ["fields, us a record:"]
    lines += [f"  {name:<44} {'  '.join(f'{x:.0f}: {y:.1f}' for x, y in points)}" for name, points in taken.items()]
    ours = [(x, y) for x, y in taken[OURS] if x >= 4]
    figures = [
        Figure(
            what="the power by which the time of a record grows with its fields",
            figure=exponent(ours),
            limit=IN_PROPORTION,
            unit="",
        )
    ]
    figures += [
        Figure(what=f"time of a record of {x:.0f} fields beside {name}", figure=taken[OURS][-1][1] / points[-1][1])
        for name, points in taken.items()
        if name != OURS
        for x in [points[-1][0]]
    ]
    chart = Chart(title="fields", x="fields", y="us a record", lines=taken, is_logarithmic=False)
    return Result("fields", lines, figures, [chart])


def _writing(write: Write, extra: dict[str, object]) -> Work:
    def prepare() -> Callable[[], None]:
        made = [dict(extra) for _ in range(RECORDS)]

        def turn() -> None:
            for number, one in enumerate(made):
                write(number, one)

        return turn

    return prepare
