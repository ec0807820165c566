"""Forks while threads are inside calls; parent and children call at the same time: ``forking.py URL [BUNDLE]``.

Each answer must be the one to its own request: the service answers with the path that was asked for.
"""

import os
import signal
import sys
import threading
import time

from shared_core.clients import HTTPClient

CHILDREN, CALLS = 4, 25


def call(client: HTTPClient, who: str) -> None:
    for number in range(CALLS):
        path = f"/{who}/{number}"
        text = client.get(path, headers={"X-Process": str(os.getpid())}).content.decode()
        if text != path:
            raise SystemExit(f"{path} was answered with {text}")


def token() -> str:
    time.sleep(0.3)  # still under way when the children are made
    return "abc"


def main() -> None:
    signal.alarm(30)  # whatever hangs is ended
    client = HTTPClient(sys.argv[1], token=token, verify=sys.argv[2] if len(sys.argv) > 2 else True, pool_maxsize=4)
    client.get("/first", token=False)
    busy = [threading.Thread(target=call, args=(client, f"thread{number}")) for number in range(4)]
    for thread in busy:
        thread.start()
    children = []
    for number in range(CHILDREN):
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            call(client, f"child{number}")
            client.close()
            os._exit(0)
        children.append(child)
        time.sleep(0.15)  # in the midst of fetching the token, and of calls
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    for thread in busy:
        thread.join()
    call(client, "after")
    raise SystemExit(0 if statuses == [0] * CHILDREN else f"children ended with {statuses}")


if __name__ == "__main__":
    main()
