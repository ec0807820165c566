"""Which names and parameters are gone, and does the changelog say so?"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

type Parameters = Sequence[tuple[str, str, bool]] | None  # name, kind, has a default
type Names = Mapping[str, Mapping[str, Parameters]]  # by module

_BY_PLACE = ("POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD")
_BY_NAME = ("KEYWORD_ONLY", "POSITIONAL_OR_KEYWORD")


def broken(old: Names, new: Names, entries: Sequence[Any]) -> list[str]:
    """Return what calls and imports of the old version meet in the new one, and the changelog does not tell of.

    A name may go where an entry under *Removed* names it and says what to do, and one under *Deprecated* did in a
    version before; parameters may change where one under *Changed*, *Removed* or *Deprecated* names it.

    Args:
        old: The names of the old version.
        new: Of the new one.
        entries: Of the changelog, the newest first: `Entry` of .ci/changelog.py.
    """
    return list(_broken(old, new, entries))


def _broken(old: Names, new: Names, entries: Sequence[Any]) -> Iterator[str]:
    for module, names in old.items():
        for name, parameters in names.items():
            full = f"{module}.{name}"
            now = new.get(module, {})
            if name not in now:
                removed = [entry for entry in entries if entry.kind == "Removed" and _tells(entry, name)]
                warned = [
                    entry
                    for entry in entries
                    if entry.kind == "Deprecated"
                    and _tells(entry, name)
                    and all(_minor(entry.version) != _minor(other.version) for other in removed)
                ]
                if not removed:
                    yield f"{full} is gone, and no entry under Removed says what to do"
                elif not warned:
                    yield f"{full} is gone, and was not deprecated in a minor version before"
                continue
            kinds = ("Changed", "Removed", "Deprecated")
            if not any(entry.kind in kinds and _tells(entry, name) for entry in entries):
                yield from (f"{full}: {change}" for change in changes(parameters, now[name]))


def changes(old: Parameters, new: Parameters) -> Iterator[str]:
    """Yield what a call of the old version would meet."""
    if old is None or new is None:
        return
    now = {name: (kind, has_default) for name, kind, has_default in new}
    takes_any_name = any(kind == "VAR_KEYWORD" for kind, _ in now.values())
    for name, kind, had_default in old:
        if kind.startswith("VAR_"):
            if all(other != kind for other, _ in now.values()):
                yield f"takes no {'*' if kind == 'VAR_POSITIONAL' else '**'}{name} now"
        elif name not in now:
            if kind not in _BY_NAME or not takes_any_name:
                yield f"{name} is gone"
        elif kind in _BY_NAME and now[name][0] not in _BY_NAME:
            yield f"{name} is not taken by name now"
        elif had_default and not now[name][1]:
            yield f"{name} must be given now"
    known = {name for name, _, _ in old}
    yield from (
        f"{name} is new, and must be given"
        for name, (kind, has_default) in now.items()
        if name not in known and not has_default and not kind.startswith("VAR_")
    )
    placed_before = [name for name, kind, _ in old if kind in _BY_PLACE and name in now]
    placed_now = [name for name, (kind, _) in now.items() if kind in _BY_PLACE]
    if placed_now[: len(placed_before)] != placed_before and not any(
        kind == "VAR_POSITIONAL" for kind, _ in now.values()
    ):
        yield f"the order is {', '.join(placed_now)} now"


def _tells(entry: Any, name: str) -> bool:
    """Return whether an entry names it, in code, and says what to do."""
    last = name.rpartition(".")[2]
    code = re.findall(r"`([^`]+)`", entry.text)
    return bool(entry.to_do) and any(re.search(rf"\b{re.escape(last)}\b", text) for text in code)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
