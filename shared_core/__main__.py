"""What a service is begun with, looked after with, and read with.

python -m shared_core startservice ticket       a new service, in ticket-service/
python -m shared_core doctor                    what is set, what answers and what is wrong, in a service's folder
python -m shared_core logs *.log --since 1h     the logs of several services, merged; as python -m shared_core.logs
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from shared_core.terminal import graceful_exit

# Imported when asked for: logs can be read where there is no Django.
_COMMANDS = {
    "startservice": "shared_core.scaffold",
    "doctor": "shared_core.doctor.__main__",
    "logs": "shared_core.logs.__main__",
}


@graceful_exit()
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that is named first, with what follows it; return its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser()
    if not given:
        parser.print_help()
        return 0
    run: Callable[[Sequence[str]], int] = import_module(_COMMANDS[parser.parse_args(given[:1]).command]).main
    return run(given[1:])


def _parser() -> argparse.ArgumentParser:
    summary, _, examples = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m shared_core",
        description=summary,
        epilog=f"{examples}\n'python -m shared_core doctor --help' and its like say more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=_COMMANDS, help="what to do; the rest is the command's own")
    return parser


if __name__ == "__main__":
    sys.exit(main())
