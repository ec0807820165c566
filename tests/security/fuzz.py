"""``make fuzz``: atheris grows texts that reach further and further into a parser, until one of them breaks its rule.

    python -m tests.security.fuzz url --seconds 60

What it finds belongs among the examples of ``test_parsers.py``. Exit status: 0 where nothing was found, else 77.
"""

import argparse
import os
import sys

import atheris

with atheris.instrument_imports(include=["shared_core", "urllib.parse", "tests.security.parsers"]):
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings_sqlite")
    django.setup()
    from tests.security import parsers

_LONGEST = 512  # bytes


def main() -> None:
    """Fuzz one parser."""
    command = argparse.ArgumentParser(prog="fuzz", description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    command.add_argument("parser", choices=[*parsers.ALL, "log_line"])
    command.add_argument("--seconds", type=int, default=60, metavar="N", help="for how long (60)")
    options = command.parse_args()

    def one(data: bytes) -> None:
        if options.parser == "log_line":
            parsers.log_line(data)
        else:
            parsers.ALL[options.parser](data.decode("utf-8", "surrogateescape"))

    limits = [f"-max_total_time={options.seconds}", f"-max_len={_LONGEST}", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *limits], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
