"""What does it cost as it grows? Each case is a chart: ours beside the floor, and beside what one would use instead.

    python -m tests.benchmarks.growth [case …] [--most N] [--json file]

    cascade     the delete of a tree of 10 to 1,000,000 rows
    depth       the delete of a tree of 1 to 8 levels below its root, of 200 rows each
    purge       the end of 10,000 to 5,000,000 deleted rows
    clients     1 to 200 clients, of a pooler with 20 connections to the server
    fields      a log record with 0 to 32 fields
    outage      an outage of 1 s to 5 min, and the requests that the dying service sees of one busy caller

The figure of a case is the power that its cost grows by: 1 is in proportion. A power says what no ratio does, that it
will be as good at ten times the size; it is bound, as is the ratio to the floor at the largest size.

``--most`` leaves out sizes above that many rows: the whole takes some 15 minutes.
"""
