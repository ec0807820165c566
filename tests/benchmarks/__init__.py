"""What does the core cost, beside the floor and beside what one would use instead? All programs below, in one run.

    python -m tests.benchmarks [program …] [--quick]

    soft_deletion   deletes, restores, keys and lists, beside hand-written SQL and other packages
    calls           calls, beside http.client, urllib3, requests and httpx
    logs            log records, beside the standard library's formatter and other packages
    running         queries through the pooler, readiness, tokens
    growth          what any of these cost as they grow
    storm           an outage of 100 servers that 10,000 processes call, simulated

They write ``build/bench``: ``figures.json``, with what each round took; ``figures.md``, and its charts. Programs that
are named replace their figures in what is there, where it is of the same machine and versions. ``--quick`` takes few
rounds and small sizes, and some minutes instead of an hour: to try a change, not to publish. The status is 1 where a
bound is missed.

    python -m tests.benchmarks.publish

writes docs/figures.md, its JSON and its charts, and the table in the README, from what is in ``build/bench``.
"""
