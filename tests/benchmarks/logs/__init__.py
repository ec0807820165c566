"""What does a log record cost, beside the standard library's and what else one would use? And a request, and a search?

    python -m tests.benchmarks.logs [case …] [--runs N] [--records N] [--json file]

    format      TextFormatter.format() beside logging.Formatter, which renders no fields
    record      logger.info() from call to destination, to a null stream and to a file, beside structlog,
                python-json-logger and logfmter
    disabled    a call below the level, beside the standard library's
    middleware  a request through RequestContextMiddleware and its access line, beside an empty stack
    reader      lines/s of python -m shared_core.logs, filtered by a request's id

A record has four extras (a ticket's UUID, of 1,000; a text; two numbers), arguments in its message, and a request id
that is bound. Writers have their turns round by round, in an order that rotates; figures are medians of the ratios of
a round, with the lowest and the highest. Absolute times say more about the machine, and come last.

Each case ends with a line that says which bounds hold; the exit status is 1 where one is missed. ``by chance?`` stands
where the middle half of the rounds lies astride the bound: other work on the machine disturbed them.

structlog, python-json-logger and logfmter are compared with where they are installed: ``make bench-logs`` has them in
an environment of its own, ``.venv-bench``.
"""
