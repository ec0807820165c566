"""Checks the four services as containers, once ``docker compose --profile fleet up --build --wait`` has started them.

Exit status: 0 where everything held, 1 where something differed.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

from tests.services.story import Check, Story

_HERE = Path(__file__).parent
# The ports that docker-compose.yml publishes, and the token that it lets people in by.
_TOKENS = {"gateway": "gateway-for-a-developers-machine-and-ci-only"}
_PORTS = {"user": 8001, "ticket": 8002, "communication": 8003, "file": 8004}


def main() -> int:
    """Tell the containers the story, but for what needs their processes or logs."""
    fleet = {
        name: SimpleNamespace(url=f"http://127.0.0.1:{os.environ.get(f'{name.upper()}_PORT', port)}", tokens=_TOKENS)
        for name, port in _PORTS.items()
    }
    story = Story(fleet)  # type: ignore[arg-type]  # what these steps use of a fleet: its URLs and tokens
    steps = (story.create_user, story.open_ticket, story.comment, story.refuse_strangers, story.delete, story.restore)
    checks = [check for step in steps for check in step()]
    checks.append(empty_submodule())
    for check in checks:
        print(f"{'ok     ' if check.holds else 'DIFFERS'}  {check.what}: {check.seen}")
    return 0 if all(check.holds for check in checks) else 1


def empty_submodule() -> Check:
    """Build a service whose submodule folder is empty; the build must stop and say what to do."""
    with tempfile.TemporaryDirectory() as empty:
        command = ["docker", "build", "--build-context", f"shared={empty}", str(_HERE / "user-service")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = "services/shared is empty. Run: git submodule update --init" in done.stderr
    return Check(
        "an empty submodule stops the build, which says what to do", (True, True), (done.returncode != 0, told)
    )


if __name__ == "__main__":
    sys.exit(main())
