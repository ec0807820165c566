"""docs/first-service.md is done as it is written: its blocks are run one after the other, in one shell."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.services.fleet import plain_environment
from tests.services.generated import database, database_environment

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "first-service.md"
# A file's text stands in a block that begins with its name.
FILE = re.compile(r"# (src/\S+?\.py)")
# For all of the page: a new service, its tests, a model and its migration, a line in the log.
AT_MOST = 120  # seconds


def as_shell(language, block):
    """Return the commands that do what a block says."""
    if language == "sh":
        return block
    name = FILE.match(block)[1]
    return f"mkdir -p {Path(name).parent}\ncat >> {name} <<'END'\n\n{block.partition('\n')[2]}END\n"


def test_the_commands_of_the_page_make_a_running_service_in_two_minutes(tmp_path):
    blocks = re.findall(r"^```(sh|python)\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    script = "\n".join(as_shell(*block) for block in blocks)
    path = f"{Path(sys.executable).parent}:{plain_environment()['PATH']}"
    began = time.monotonic()
    with database() as name:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            env={**plain_environment(), **database_environment(), "DB_NAME": name, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
            timeout=AT_MOST,
        )

    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - began < AT_MOST
    assert " passed" in done.stdout
    assert "deleted: 0 comments, of 1\nrestored: 1 comment\n" in done.stdout
    *_, line = done.stdout.splitlines()
    shown = r"INFO .+ apps\.tickets\.\S+ Hello from a command tickets=42 password=\*\*\* .*service=ticket"
    assert re.fullmatch(shown, line)
    assert "never written" not in done.stdout
    (said,) = re.findall(r"^    (INFO .+)$", PAGE.read_text(), re.MULTILINE)
    assert re.fullmatch(shown, said)
