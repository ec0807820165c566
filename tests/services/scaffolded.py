"""Checks a new service as containers: makes one, puts this checkout where its submodule stands, and runs it.

python -m tests.services.scaffolded

Exit status: 0 where it came up, answered and passed its own tests, 1 where something differed.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from shared_core.clients import HTTPClient, ServiceError
from shared_core.scaffold import ScaffoldError, start_service
from tests.stack.servers import free_port

_ROOT = Path(__file__).parents[2]
_NAME = "ticket"
_UP_WITHIN = 600  # seconds, to build and to start


def main() -> int:
    """Make a service, run it, and take it down again, whatever came of it."""
    if shutil.which("docker") is None:
        print("scaffolded: docker is not installed: install it, with its compose plugin", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="scaffolded-") as parent:
        folder = Path(parent) / f"{_NAME}-service"
        environment = {**os.environ, "PORT": str(free_port()), "DB_PORT": str(free_port())}
        try:
            start_service(_NAME, folder)
            _check_empty_submodule(folder)
            _copy_checkout(folder / "services" / "shared")
            _check(folder, environment)
        except (ScaffoldError, ServiceError, subprocess.SubprocessError, AssertionError) as error:
            print(f"DIFFERS  {type(error).__name__}: {error}", flush=True)
            _compose(folder, environment, "logs", check=False)
            return 1
        finally:
            _compose(folder, environment, "--profile", "tests", "down", "--volumes", "--timeout", "5", check=False)
    return 0


def _check_empty_submodule(folder: Path) -> None:
    """Build the service as it is in a clone without its submodule: that stops, and says what to do."""
    (folder / "services" / "shared").mkdir(parents=True)
    done = subprocess.run(["docker", "build", "."], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode != 0, "an empty submodule was built"
    assert "services/shared is empty. Run: git submodule update --init" in done.stderr, done.stderr
    print("ok       an empty submodule stops the build, which says what to do", flush=True)


def _copy_checkout(folder: Path) -> None:
    """Copy what git knows of this checkout, as it is now."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=_ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (source := _ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name)


def _check(folder: Path, environment: dict[str, str]) -> None:
    _compose(folder, environment, "up", "--build", "--wait")
    print("ok       docker compose up --build --wait", flush=True)
    with HTTPClient(f"http://127.0.0.1:{environment['PORT']}", token=False) as client:
        answer = client.get_json("/ready/")
        assert answer["status"] == "ok", answer
    print("ok       /ready/ answers", flush=True)
    _compose(folder, environment, "run", "--rm", "tests")
    print("ok       docker compose run --rm tests", flush=True)
    # Of what it calls nothing runs here: that, and no more, fails.
    page = _compose(folder, environment, "exec", "-T", _NAME, "python", "-m", "shared_core", "doctor", check=False)
    failed = [line.split()[1] for line in page.splitlines() if line.startswith("FAIL")]
    assert failed == ["services", "doctor"], page
    print("ok       python -m shared_core doctor", flush=True)


def _compose(folder: Path, environment: dict[str, str], *arguments: str, check: bool = True) -> str:
    """Run docker compose, show what it prints, and return what it printed to its output."""
    command = ["docker", "compose", "--project-name", "scaffolded", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=check, timeout=_UP_WITHIN
    )
    print(done.stdout, end="", flush=True)
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
