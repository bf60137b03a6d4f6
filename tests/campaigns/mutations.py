"""Seeded damage to bytes and to JSON values."""

from __future__ import annotations

import copy
import json
import random
import struct
from collections.abc import Callable, Iterator
from typing import Any

EXTREMES = (b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\0\0\0", b"\0\0\0\x80")


def flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        changed[_place(data, rng)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def emptied(data: bytes, rng: random.Random) -> bytes:
    return b""


def zeroed(data: bytes, rng: random.Random) -> bytes:
    at, size = _place(data, rng), rng.choice((4, 64, 4096))
    return data[:at] + bytes(min(size, len(data) - at)) + data[at + size :]


def removed(data: bytes, rng: random.Random) -> bytes:
    at = _place(data, rng)
    return data[:at] + data[at + rng.randint(1, 64) :]


def repeated(data: bytes, rng: random.Random) -> bytes:
    at, size = _place(data, rng), rng.randint(1, 256)
    return data[:at] + data[at : at + size] * rng.choice((2, 2, 50)) + data[at + size :]


def inserted(data: bytes, rng: random.Random) -> bytes:
    at = _place(data, rng)
    return data[:at] + rng.randbytes(rng.choice((1, 4, 64))) + data[at:]


def extreme(data: bytes, rng: random.Random) -> bytes:
    at, value = _place(data, rng), rng.choice(EXTREMES)
    return data[:at] + value + data[at + len(value) :]


def number(data: bytes, rng: random.Random) -> bytes:
    at = _place(data, rng)
    value = struct.pack(rng.choice("<>") + "I", rng.choice((1, 2, 2**16, 2**24, rng.randrange(2**32))))
    return data[:at] + value + data[at + len(value) :]


DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(flip, cut, zeroed, removed, repeated, inserted, extreme, number, emptied),
)


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Return `data` after one to three kinds of damage."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = rng.choice(DAMAGES[: -1 if rng.random() < 0.9 else None])(data, rng) if data else data
    return data


def _place(data: bytes, rng: random.Random) -> int:
    """An offset: as often among the first bytes, where headers are, as anywhere."""
    return rng.randrange(min(len(data), 128) if rng.random() < 0.5 else len(data))


ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 101, 10**20, 1e308, -1e-300, 0.5, [], {}, [[]], {"a": 1}, "", "x", "true", "5"),
    *("\ud800", "\x1b[2J\x07", "a\nb", "a" * 5000, "=1+1", "../../x", "<b>", "é", "\u202eabc", "\x00", "1e5"),
)


def odd_json(value: Any, rng: random.Random) -> str:
    """Return a JSON text of `value` with one to three nodes replaced, removed, renamed, exchanged or wrapped."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = list(_places(value))
        if not places:
            break
        _change(*rng.choice(places), places, rng)
    text = json.dumps(value)
    fate = rng.random()
    if fate < 0.03:
        text = text.replace("null", rng.choice(("NaN", "Infinity", "-Infinity", "nul", "1e999")), 1)
    elif fate < 0.06:
        depth = rng.choice((50, 1000, 100_000))
        text = text.replace("null", "[" * depth + "]" * depth, 1)
    elif fate < 0.08:
        text = text[:-1] + ', "method": {"name": "twice"}}'
    return text


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _change(parent: Any, key: Any, places: list[tuple[Any, Any]], rng: random.Random) -> None:
    old, how = parent[key], rng.randrange(7)
    if how == 0:
        del parent[key]
    elif how == 1 and isinstance(parent, dict):
        parent[rng.choice((key + "s", key.upper(), "", "\ud800", "\x1b[31m", rng.choice(places)[1].__str__()))] = (
            parent.pop(key)
        )
    elif how == 2:
        other, name = rng.choice(places)
        parent[key], other[name] = copy.deepcopy(other[name]), copy.deepcopy(old)
    elif how == 3:
        parent[key] = rng.choice(([old], {"value": old}, [old, old], str(old)))
    elif isinstance(old, int | float) and not isinstance(old, bool) and how < 6:
        parent[key] = rng.choice((-old, old * 10, old * 1e30, old + 1e-3, old + 1, old / 3, str(old)))
    else:
        parent[key] = rng.choice(ODD)
