"""``python -m tests.stack``: a stack in the foreground, for people; it prints the DB_* variables and ends on Ctrl-C."""

import signal
import sys

from tests.stack import Stack, StackError

try:
    with Stack() as stack:
        for name, value in stack.environment.items():
            print(f"export {name}={value}", flush=True)  # a command's own output
        signal.pause()
except StackError as error:
    sys.exit(f"stack: {error}")
except KeyboardInterrupt:
    sys.exit(130)
