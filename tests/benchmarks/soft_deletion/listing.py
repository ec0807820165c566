"""What does a partial index save to a list of the newest active rows, where most rows are deleted?"""

from functools import partial
from typing import Any

from django.db import connection, models

from tests.benchmarks.soft_deletion.database import analyze
from tests.benchmarks.soft_deletion.measure import Code, Line, WrongResultError, compared
from tests.benchmarks.soft_deletion.models import BooleanEntry, PartialEntry, PlainEntry

ROWS, SHOWN = 500_000, 50
BOUND = 0.7


def listing(runs: int) -> list[Line]:
    """Read the newest 50 active rows of 500,000, with each kind of index in turn.

    The floor with a bound is what every BaseModel has, the index on is_deleted: what a team gets that adds nothing.
    Who adds an index for this list could as well add a plain one on created_at. That passes over ten rows for each it
    shows, which costs little beside what Django needs for 50 instances, as long as active rows are spread evenly as
    they are here. So that comparison is shown too, but without a bound: it measures Django more than the index.
    """
    tables = (BooleanEntry, PlainEntry, PartialEntry)
    for model in tables:
        _fill(model)
    analyze()
    figures = {model: Code(queries=1) for model in tables}
    for model in tables:
        _newest(model)  # fills caches
    for _ in range(runs):
        for model, figure in figures.items():
            figure.time(partial(_newest, model))
    ours = figures[PartialEntry]
    beside = compared("", figures[PlainEntry], ours, bound=BOUND, queries=range(1, 2))
    told = ours.beside(figures[PlainEntry], "listing, beside plain index")
    return [
        compared("listing, beside boolean index", figures[BooleanEntry], ours, bound=BOUND, queries=range(1, 2)),
        Line(
            case="listing, beside plain index",
            figure=beside.figure,
            spread=beside.spread,
            floor=beside.floor,
            told=told,
        ),
    ]


def _newest(model: Any) -> None:  # Any: one of the models with managers of ours
    if len(model.objects.order_by("-created_at")[:SHOWN]) != SHOWN:
        raise WrongResultError(f"{model.__name__} does not show {SHOWN} rows")


def _fill(model: type[models.Model]) -> None:
    """Insert rows of which every tenth is active, in the order of their age."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO {model._meta.db_table} (id, created_at, updated_at, is_deleted, deleted_at)
            SELECT gen_random_uuid(), now() - i * interval '1 second', now(), i %% 10 > 0,
                   CASE WHEN i %% 10 > 0 THEN now() END
              FROM generate_series(%s, 1, -1) AS i
            """,
            [ROWS],
        )
