"""CHANGELOG.md, read: its entries, and what a service has to do for them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

UNRELEASED = "Unreleased"
_VERSION = re.compile(r"## \[(?P<version>[^\]]+)\](?: - (?P<date>.+))?")


@dataclass(frozen=True)
class Entry:
    """One item of a list."""

    version: str
    kind: str  # Added, Changed …
    text: str  # in one line

    @property
    def to_do(self) -> str:
        """What a service has to do; empty where that is nothing."""
        said = self.text.partition("*Do:*")[2].strip()
        return "" if said.rstrip(".") == "nothing" else said


def entries(changelog: str) -> list[Entry]:
    """Return the entries, from the newest version on."""
    found: list[Entry] = []
    version = kind = ""
    lines: list[str] = []

    def end() -> None:
        if lines:
            found.append(Entry(version, kind, " ".join(lines)))
            lines.clear()

    for line in changelog.splitlines():
        if heading := _VERSION.fullmatch(line.strip()):
            end()
            version, kind = heading["version"], ""
        elif line.startswith("### "):
            end()
            kind = line[4:].strip()
        elif line.startswith("- "):
            end()
            lines.append(line[2:].strip())
        elif lines and line.strip():
            lines.append(line.strip())
    end()
    return found


def added(old: str, new: str) -> list[Entry]:
    """Return the entries of the new text that the old one has not, wherever they stood."""
    known = {entry.text for entry in entries(old)}
    return [entry for entry in entries(new) if entry.text not in known]


def versions(changelog: str) -> Iterator[tuple[str, str]]:
    """Yield each version and its date, the newest first; `UNRELEASED` has none."""
    for line in changelog.splitlines():
        if heading := _VERSION.fullmatch(line.strip()):
            yield heading["version"], heading["date"] or ""


def section(changelog: str, version: str) -> str:
    """Return what stands below the heading of a version; empty where there is none."""
    lines: list[str] = []
    is_in = False
    for line in changelog.splitlines():
        if heading := _VERSION.fullmatch(line.strip()):
            is_in = heading["version"] == version
        elif is_in:
            lines.append(line)
    return "\n".join(lines).strip()


def markdown(found: list[Entry]) -> str:
    """Return entries as a changelog has them."""
    lines: list[str] = []
    version = kind = ""
    for entry in found:
        if entry.version != version:
            lines += ["", f"#### {entry.version}"]
            version, kind = entry.version, ""
        if entry.kind != kind:
            lines += ["", f"*{entry.kind}*", ""]
            kind = entry.kind
        lines.append(f"- {entry.text}")
    return "\n".join(lines).strip()
