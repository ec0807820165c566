"""How much does a soft delete cost beside the SQL that one would write by hand?

    python -m tests.benchmarks.soft_deletion [name …] [--runs N] [--rows N] [--others] [--json file]

    childless   one instance of a model that nobody refers to
    cascade     an author with 100 books and 1,000 chapters
    flat        10,000 rows of a queryset
    parents     1,000 rows of a queryset with 10 children each
    restore     the tree of ``cascade``, brought back
    latency     one row at a time, by 8 processes at once
    uuid7       COPY of 2,000,000 rows with keys of version 7, beside version 4
    listing     the newest 50 active rows of 500,000 of which 90 % are deleted, by a partial index

Figures are ratios to a floor that is measured in the same run, in turn with ours, through PgBouncer, in a database of
the run; the floor's time is printed as a hint, and says more about the machine. The exit status is 1, and a line names
it, where a bound is missed. ``by chance?`` stands where the middle half of the runs lies astride the bound: other work
on the machine disturbed them, and only a quiet one will tell.

``--others`` sets other packages and Django's own delete beside; what is not installed is listed as such.
``make bench-models`` has them in an environment of its own, ``.venv-bench``.
"""
