"""Values of a record as a field can hold them: masked, and no more of them read than is written.

``str()`` of a container makes the text of all that it holds, of shared members once for each way to them: 60 lists that
each hold the one before twice have a text that no computer can hold. So the members are counted first, as ``str()``
would meet them, and an object that holds too many is shown cut.
"""

import dataclasses
import datetime as dt
import json
import reprlib
import threading
from array import array
from collections import UserDict, UserList, UserString, deque
from collections.abc import ItemsView, Iterable, KeysView, Mapping, ValuesView
from decimal import Decimal
from itertools import islice
from types import MappingProxyType, SimpleNamespace
from typing import Any
from urllib.parse import DefragResult, ParseResult, SplitResult

from shared_core.logs.redaction import MASK, KeyKind, begins_key, is_count, key_kind, mask_text

type Value = str | int | float | bool | None

# Characters and items that are read of each field, however long the fields before it are.
ALWAYS_READ = 1024
# Python writes no longer integers as text: https://docs.python.org/3/library/stdtypes.html#int-max-str-digits
_MAX_BITS = 10_000

_SCALARS = frozenset({str, bytes, int, float, complex, bool, type(None)})
# It is known what the text of these types is made of. They are found by `type()`: a lazy object says that it is of
# another class, and runs code of its own to say so.
_ITEMS = (list, tuple, set, frozenset, deque, array, KeysView, ValuesView, ItemsView)
_MAPPINGS = (dict, MappingProxyType)
_TEXTS = (str, bytes, bytearray)
_URLS = (SplitResult, ParseResult, DefragResult)
_MAX_ERRORS = 1000  # of one exception's chain and groups
_MAX_OFFSET = 10_000  # columns below a SyntaxError's line that are marked
# What a traceback writes of an exception, besides its arguments.
_WRITTEN_OF = {
    OSError: ("strerror", "filename", "filename2"),
    SyntaxError: ("msg", "filename", "text"),
    BaseException: ("__notes__",),
}


def is_short(value: object, limit: int) -> bool:
    """Return whether the text of ``value`` is of at most about ``limit`` characters and members.

    An object whose members are not known counts as one: what its ``__str__`` does is its own.
    """
    waiting = [value]
    while waiting:
        item = waiting.pop()
        kind = type(item)
        if issubclass(kind, str):
            limit -= str.__len__(item)  # type: ignore[arg-type]  # a subclass may say something else
        elif issubclass(kind, bytes | bytearray):
            limit -= 4 * len(item)  # type: ignore[arg-type]  # likewise
        elif issubclass(kind, Decimal):
            limit -= abs(Decimal.adjusted(item))  # type: ignore[arg-type]  # the digits that %d writes
        elif kind not in _SCALARS:
            members = _members(item, limit)
            if members is None:
                return False
            limit -= len(members)
            waiting += members
        limit -= 1
        if limit < 0:
            return False
    return True


def _members(item: object, limit: int) -> list[object] | None:
    """Return the objects whose text is a part of the text of ``item``; None if there are more than ``limit``."""
    kind = type(item)
    if issubclass(kind, (*_MAPPINGS, *_ITEMS)) and len(item) > limit:  # type: ignore[arg-type]  # just looked at
        return None
    found: list[object] = []
    if issubclass(kind, _MAPPINGS):
        found = [*item.keys(), *item.values()]  # type: ignore[attr-defined]  # just looked at
    elif issubclass(kind, _ITEMS):
        found = list(item)  # type: ignore[call-overload]  # likewise
    elif issubclass(kind, BaseException):
        found = list(item.args)  # type: ignore[attr-defined]  # likewise
    elif issubclass(kind, UserList | UserDict | UserString):
        found = [item.data]  # type: ignore[attr-defined]  # likewise
    elif issubclass(kind, SimpleNamespace):
        found = list(vars(item).values())
    elif dataclasses.is_dataclass(kind):
        found = [getattr(item, one.name, None) for one in dataclasses.fields(kind) if one.repr]
    return found


class _Cut(reprlib.Repr):
    """Shows the first members of a container, a few levels deep, and of other objects their type."""

    def __init__(self) -> None:
        super().__init__(
            maxlevel=4, maxtuple=16, maxlist=16, maxarray=16, maxdict=16, maxset=16, maxfrozenset=16, maxdeque=16,
            maxstring=200, maxlong=100, maxother=200,
        )  # fmt: skip

    def repr_set(self, x: Iterable[object], level: int) -> str:
        # reprlib sorts all of it first.
        return "{" + ", ".join(self.repr1(one, level - 1) for one in islice(x, self.maxset)) + ", ...}"

    repr_frozenset = repr_set

    def repr_dict(self, x: dict[object, object], level: int) -> str:
        shown = (f"{self.repr1(key, level - 1)}: {self.repr1(one, level - 1)}" for key, one in dict.items(x))
        return "{" + ", ".join(islice(shown, self.maxdict)) + ", ...}"

    def repr_instance(self, x: object, level: int) -> str:  # noqa: ARG002  # as reprlib has it
        return f"<{type(x).__name__}>"


_cut = _Cut()


def cut_text(value: object) -> str:
    """Return the beginning of the text of a value that is not short."""
    if issubclass(type(value), str):
        return str.__str__(value)
    if isinstance(value, bytes | bytearray):
        return str(value[:ALWAYS_READ])
    try:
        return _cut.repr(value)
    except Exception as error:  # noqa: BLE001  # whatever it holds, its record must be written
        return f"<{type(value).__name__}: reading it raised {type(error).__name__}>"


_reading = threading.local()


def as_text(value: object) -> str:
    """Return ``str(value)``, or what it raised.

    A text is made only once at a time in a thread: an object whose text is made by code that logs, with itself bound,
    would have no end.
    """
    if type(value) is str:
        return value
    if getattr(_reading, "depth", 0) > 2:
        return f"<{type(value).__name__}: logged while its text is made>"
    _reading.depth = getattr(_reading, "depth", 0) + 1
    try:
        return "".join((str(value),))  # an exact text, whatever a subclass of str says of itself
    except Exception as error:  # noqa: BLE001  # whatever an object's __str__ does, its record must be written
        return f"<{type(value).__name__}: str() raised {type(error).__name__}>"
    finally:
        _reading.depth -= 1


def is_short_error(error: BaseException, limit: int) -> bool:
    """Return whether the traceback of ``error`` can be made, with its chain, its groups, and all their arguments."""
    waiting, seen, count = [error], {id(error)}, 0
    while waiting:
        one = waiting.pop()
        count += 1
        offset = getattr(one, "end_offset", 0) if isinstance(one, SyntaxError) else 0
        written = [
            getattr(one, name, None) for kind in _WRITTEN_OF if isinstance(one, kind) for name in _WRITTEN_OF[kind]
        ]
        is_long = not is_short([one, *written], limit) or (isinstance(offset, int) and offset > _MAX_OFFSET)
        if count > _MAX_ERRORS or is_long:
            return False
        for other in (one.__cause__, one.__context__):
            if other is not None and id(other) not in seen:
                seen.add(id(other))
                waiting.append(other)
        if isinstance(one, BaseExceptionGroup):
            if len(one.exceptions) > _MAX_ERRORS:
                return False
            waiting += one.exceptions
    return True


class ValueReader:
    """Reads the values of one record.

    ``is_cut`` is true after a value was not read to its end.
    """

    def __init__(self, mask_keys: tuple[str, ...], max_length: int) -> None:
        """Prepare to read.

        Args:
            mask_keys: Keys that are secret in addition to those that `redaction` knows.
            max_length: Characters of a text, and characters and items of all fields together, that are read.
        """
        self._mask_keys = mask_keys
        self._max_length = self._left = max_length
        self._room = 0  # of the field that is being read
        self.is_cut = False

    def text(self, text: str) -> str:
        """Return a message or a traceback, masked."""
        if len(text) <= self._max_length:
            return mask_text(text, self._mask_keys)
        self._room = self._max_length
        return self._text(text)

    def field(self, value: Any, kind: KeyKind | None = None) -> Value:  # Any: whatever was logged
        """Return the value of a field; ``kind`` is what its key says of it."""
        self._room = room = max(self._left, ALWAYS_READ)
        read = MASK if kind is not None and is_hidden(value, kind) else self._read(value, kind)
        self._left -= room - self._room
        return read

    def _read(self, value: Any, under: KeyKind | None) -> Value:
        kind = type(value)
        if kind is str:
            return self._text(value)
        if value is None or issubclass(kind, bool | float):
            found: Value = value
            return found
        if kind is int and value.bit_length() < _MAX_BITS:
            return int(value)
        if issubclass(kind, Mapping | list | tuple) and not issubclass(kind, _URLS):
            return self._json(value, under)
        return self._text(self._as_text(value))

    def _text(self, text: str) -> str:
        room = max(self._room, 0)
        self._room -= len(text)
        if len(text) > room:
            self.is_cut = True
            text = begin_of(text, room)
        return mask_text(text, self._mask_keys)

    def _as_text(self, value: object) -> str:
        kind = type(value)
        if issubclass(kind, bytes | bytearray):
            value = value[: self._room + 1]  # type: ignore[index]  # their text takes four times as much memory
        elif issubclass(kind, _URLS):
            value = value.geturl()  # type: ignore[attr-defined]  # in which a password is found
        elif kind not in _SCALARS and not is_short(value, max(self._room, ALWAYS_READ)):
            self.is_cut = True
            text = cut_text(value)
            self._room = min(self._room, len(text))  # it was read as far as there was room
            return text
        return as_text(value)

    def _json(self, value: Any, under: KeyKind | None) -> str:
        try:
            return json.dumps(self._masked(value, under), ensure_ascii=False)
        except RecursionError:
            return f"<{type(value).__name__}: nested too deep>"
        except Exception as error:  # noqa: BLE001  # another thread may be changing it, and the record must be written
            return f"<{type(value).__name__}: reading it raised {type(error).__name__}>"

    def _masked(self, value: Any, under: KeyKind | None = None, *, in_list: bool = False) -> Any:  # noqa: PLR0911  # a kind of values each
        """Return ``value`` with its secrets replaced, in copies of its containers; ``under`` a key of this kind."""
        self._room -= 1
        if under is not None and is_hidden(value, under):
            return MASK
        kind = type(value)
        if issubclass(kind, Mapping):
            return self._mapping(value.items(), under)
        if issubclass(kind, list | tuple) and not issubclass(kind, _URLS):
            if names := getattr(kind, "_fields", ()):  # a NamedTuple, whose names say what is secret
                return self._mapping(zip(names, value, strict=False), under)
            # A header, (b"authorization", b"…"). A list in no list, ["password", "email"], has names only.
            if (in_list or issubclass(kind, tuple)) and self._is_pair(value):
                name, its_value, *more = value
                return [self._masked(name), self._masked(its_value, self._kind(name)), *map(self._masked, more)]
            return self._items(value, under)
        if issubclass(kind, int):
            self._room -= value.bit_length() // 3  # its digits
            return as_text(value) if value.bit_length() >= _MAX_BITS else value
        if value is None or issubclass(kind, float):
            return value
        return self._text(value if kind is str else self._as_text(value))

    def _mapping(self, pairs: Iterable[tuple[Any, Any]], under: KeyKind | None) -> dict[str, Any]:
        found = {}
        for key, inner in pairs:
            if self._is_full():
                break
            name = self._text(self._as_text(key))
            found[name] = self._masked(inner, kind_of(key, self._mask_keys, self._max_length) or under)
        return found

    def _items(self, value: list[Any] | tuple[Any, ...], under: KeyKind | None) -> list[Any]:
        found = []
        is_in_key = False
        for inner in value:
            if self._is_full():
                break
            masked = self._masked(inner, under, in_list=True)
            if type(masked) is str and (is_in_key or ("-----BEGIN " in masked and begins_key(masked))):
                is_in_key = "-----END " not in masked
                masked = MASK
            found.append(masked)
        return found

    def _is_full(self) -> bool:
        self.is_cut = self.is_cut or self._room <= 0
        return self._room <= 0

    def _is_pair(self, value: list[Any] | tuple[Any, ...]) -> bool:
        """Say whether a name that says what its value is comes first; a third may be a yes or no, or a number."""
        is_short = len(value) == 2 or (len(value) == 3 and (value[2] is None or type(value[2]) in {bool, int}))
        return is_short and issubclass(type(value[0]), _TEXTS) and self._kind(value[0]) is not None

    def _kind(self, key: object) -> KeyKind | None:
        return kind_of(key, self._mask_keys, self._max_length)


# What a cut may leave without the end by which it is known: a URL, also one that is encoded, and a JWT.
_BEGINNINGS = ("://", "%2F%2F", "%2f%2f", ":\\/\\/", "eyJ", "eyA")


def begin_of(text: str, length: int) -> str:
    """Return the beginning of ``text`` without a URL or JWT that the cut left without the end by which it is known."""
    text = text[:length]
    for sign in _BEGINNINGS:
        at = text.rfind(sign)
        if at >= 0 and len(text[at:].split(None, 1)) == 1:
            text = text[: at + len(sign)]
    return text


def kind_of(key: object, mask_keys: tuple[str, ...], max_length: int) -> KeyKind | None:
    """Return what ``key``, a text or its bytes, says of the value under it."""
    if type(key) is str:
        name = key
    else:
        name = key.decode("utf-8", "replace") if isinstance(key, bytes | bytearray) else as_text(key)
    return key_kind(name[: min(max_length, ALWAYS_READ)], mask_keys)


_NUMBERS = (int, float, Decimal, dt.date, dt.time, dt.timedelta)
_MAY_BE_EMPTY = frozenset({str, bytes, bytearray, list, tuple, dict, set, frozenset})
_MOST_SECRETS = 10**9  # a number of as many digits may be one


def is_hidden(value: object, under: KeyKind) -> bool:
    """Say whether ``value`` must be masked under a key of this kind. None, a yes or no and what is empty tell nothing.

    A container under a counter's key is not, but what it holds may be.
    """
    kind = type(value)
    if under == "own":
        return True
    if value is None or kind is bool or (kind in _MAY_BE_EMPTY and not value):
        return False
    if under == "counter":
        is_fine = issubclass(kind, (*_NUMBERS, Mapping, list, tuple)) and not issubclass(kind, _URLS)
        return not (is_fine or (kind is str and is_count(value)))  # type: ignore[arg-type]  # just looked at
    return not (under == "secrets" and kind is int and abs(value) < _MOST_SECRETS)  # type: ignore[arg-type]  # likewise
