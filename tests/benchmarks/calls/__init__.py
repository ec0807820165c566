"""What does a call through `HTTPClient` cost, beside requests and what else one would use?

    python -m tests.benchmarks.calls [case …] [--runs N] [--calls N] [--json file]

    get         a GET of 300 bytes of JSON over a kept connection, by 1 thread and by 8
    outage      requests that a service sees which answers each with 503
    memory      what a body of 50 MB, and a download of 200 MB, take

Each server is a process of its own, on a free port of 127.0.0.1, and ends with its case.

In ``get``, every client makes its calls in turn, round by round, in an order that rotates. Figures are medians of the
ratios of a round, with the lowest and the highest; absolute times say more about the machine, and come last. Ours has
everything on, as in a service: a token, ids and trace that are bound, retries, breaker, budget, deadline, settings and
an idle database connection; of its log lines, those at INFO are off.

Each case ends with a line that says which bounds hold; the exit status is 1 where one is missed. ``by chance?`` stands
where the middle half of the rounds lies astride the bound: other work on the machine disturbed them, and only a quiet
one will tell.

httpx is compared with where it is installed: ``make bench-calls`` has it in an environment of its own, ``.venv-bench``.
"""
