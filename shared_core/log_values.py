"""Values of a log record as a field can hold them: scalars, containers as their JSON text, other objects as ``str()``.

A record is cut at a number of bytes, so no more of a value is read than would be written. Secrets are masked.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

from shared_core.redaction import MASK, is_secret_key, mask_text

# Python writes no longer integers as text: https://docs.python.org/3/library/stdtypes.html#int-max-str-digits
_MAX_BITS = 10_000

# Characters and items that are read of each field, however long the fields before it are.
_ALWAYS_READ = 1024

type Value = str | int | float | bool | None


class Reader:
    """Reads the values of one record.

    ``is_cut`` is true after a value was not read to its end.
    """

    def __init__(self, mask_keys: Collection[str], longest: int) -> None:
        """Prepare to read.

        Args:
            mask_keys: Keys that are secret in addition to those that `redaction` knows.
            longest: Characters of a text, and characters and items of all fields together, that are read.
        """
        self._mask_keys = mask_keys
        self._longest = self._left = longest
        self._room = 0  # of the field that is being read
        self.is_cut = False

    def text(self, text: str) -> str:
        """Return a message or a traceback, masked."""
        self._room = self._longest
        return self._text(text)

    def field(self, value: Any) -> Value:  # Any: whatever was logged
        """Return the value of a field."""
        self._room = room = max(self._left, _ALWAYS_READ)
        read = self._read(value)
        self._left -= room - self._room
        return read

    def is_secret(self, key: object) -> bool:
        """Say whether the value under ``key``, a text or its bytes, must be masked."""
        name = key.decode("utf-8", "replace") if isinstance(key, bytes) else as_text(key)
        return is_secret_key(name[: self._longest], self._mask_keys)

    def _read(self, value: Any) -> Value:
        if type(value) is str:
            return self._text(value)
        if value is None or isinstance(value, bool | float):
            return value
        if type(value) is int and value.bit_length() < _MAX_BITS:
            return value
        if isinstance(value, Mapping | list | tuple):
            return self._json(value)
        return self._text(self._as_text(value))

    def _text(self, text: str) -> str:
        room = max(self._room, 0)
        self._room -= len(text)
        if len(text) <= room:
            return mask_text(text)
        self.is_cut = True
        return mask_text(_begin(text, room))

    def _as_text(self, value: object) -> str:
        # The text of bytes takes four times as much memory.
        return as_text(value[: self._room + 1] if isinstance(value, bytes | bytearray) else value)

    def _json(self, value: Any) -> str:
        try:
            return json.dumps(self._masked(value), ensure_ascii=False)
        except RecursionError:
            return f"<{type(value).__name__}: nested too deep>"
        except Exception as error:  # noqa: BLE001  # another thread may be changing it, and the record must be written
            return f"<{type(value).__name__}: reading it raised {type(error).__name__}>"

    def _masked(self, value: Any, *, in_list: bool = False) -> Any:
        """Return ``value`` with its secrets replaced, in copies of its containers."""
        self._room -= 1
        if isinstance(value, Mapping):
            return self._mapping(value)
        if isinstance(value, list | tuple):
            # A header, (b"authorization", b"…"). A list in no list, ["password", "email"], has names only.
            if len(value) == 2 and (in_list or isinstance(value, tuple)) and self._names_a_secret(value[0]):
                return [self._masked(value[0]), MASK]
            return self._items(value)
        if isinstance(value, int):
            self._room -= value.bit_length() // 3  # its digits
            return as_text(value) if value.bit_length() >= _MAX_BITS else value
        if value is None or isinstance(value, float):
            return value
        return self._text(value if isinstance(value, str) else self._as_text(value))

    def _mapping(self, value: Mapping[Any, Any]) -> dict[str, Any]:
        found = {}
        for key, inner in value.items():
            if self._is_full():
                break
            name = as_text(key)
            self._room -= len(name)
            found[name] = MASK if self.is_secret(key) else self._masked(inner)
        return found

    def _items(self, value: list[Any] | tuple[Any, ...]) -> list[Any]:
        found = []
        for inner in value:
            if self._is_full():
                break
            found.append(self._masked(inner, in_list=True))
        return found

    def _is_full(self) -> bool:
        self.is_cut = self.is_cut or self._room <= 0
        return self._room <= 0

    def _names_a_secret(self, key: object) -> bool:
        return isinstance(key, str | bytes) and self.is_secret(key)


def as_text(value: object) -> str:
    """Return ``str(value)``, or what it raised."""
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001  # whatever an object's __str__ does, its record must be written
        return f"<{type(value).__name__}: str() raised {type(error).__name__}>"


def _begin(text: str, length: int) -> str:
    """Return the beginning of ``text`` without a URL or JWT that the cut left without the end by which it is known."""
    text = text[:length]
    for sign in ("://", "eyJ"):
        at = text.rfind(sign)
        if at >= 0 and len(text[at:].split(None, 1)) == 1:
            text = text[: at + len(sign)]
    return text
