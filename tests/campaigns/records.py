"""Damaged records and scores: the board keeps its other rows, and shows nothing that cannot be."""

from __future__ import annotations

import json
import math
import random
import shutil
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from boards import metric, stored
from campaigns.mutations import damaged, odd_json
from campaigns.report import Report

from benchmark.leaderboard import formats
from benchmark.leaderboard.board import Board
from benchmark.leaderboard.build import build_board
from benchmark.leaderboard.possible import definition, only_possible
from benchmark.records.record import UNITS, RunRecord, identity_of, write_scores
from benchmark.records.store import Store
from benchmark.utils.errors import UserError
from benchmark.utils.text import visible

COLUMNS = ("ais", "iis", "aic", "fid", "clip.similarity")
GOOD = ("one", "two", "three")
BAD = "bad"
CLIPS = 24


def run(place: Path, report: Report) -> None:
    """Put `count` damaged records beside good ones, one at a time, and make the board."""
    count, seed = report.asked, report.seed
    store = Store(place / "runs")
    for number, name in enumerate((*GOOD, BAD)):
        _write(store.root / "mini" / name / "seed0", name, number)
    folder = store.root / "mini" / BAD / "seed0"
    original = {path.name: path.read_bytes() for path in folder.iterdir()}
    whole = _rows(_board(store)[0])
    shown, mean = whole.pop(BAD), json.loads(original["record.json"])
    shutil.rmtree(folder)
    alone = _rows(_board(store)[0])
    assert alone == whole and len(whole) == len(GOOD)
    for case in range(count):
        rng = random.Random(f"records {seed} {case}")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, data in original.items():
            (folder / name).write_bytes(data)
        kind = rng.choices(list(DAMAGES), [6, 2, 2, 2, 1])[0]
        detail = f"case {case}"
        try:
            DAMAGES[kind](folder, mean, rng)
            board, problems = _board(store)
            outcome, why = _judge(board, problems, alone, shown, kind)
            detail += f": {why}"
        except Exception:
            outcome, detail = "traceback", f"{detail}: {traceback.format_exc(limit=-3)}"
        report.add(kind, outcome, detail)


def _write(folder: Path, name: str, number: int) -> None:
    rng = np.random.default_rng(number)
    scores = {one: np.round(rng.uniform(20, 90, CLIPS), 3) for one in ("ais", "iis", "aic")}
    values: dict[str, Any] = {one: metric(float(column.mean()), n=CLIPS) for one, column in scores.items()}
    values["fid"] = metric(80.0 + number, "down")
    per_class = {one: {"bell": float(column.mean()), "owl": None} for one, column in scores.items()}
    record = stored(name, None, metrics=values, per_class=per_class, sees=["audio"], clips={"total": CLIPS}).record
    record.save(folder / "record.json")
    labels = ["bell"] * CLIPS
    write_scores(
        folder / "scores.parquet",
        pd.DataFrame({"clip": [f"c{k:03d}" for k in range(CLIPS)], "label": labels, **scores}),
    )


def _board(store: Store) -> tuple[Board, list[str]]:
    found = only_possible(store.records("mini"))
    board = build_board(found.records, COLUMNS, suite="mini", fingerprint="f" * 64)
    for render in formats.RENDERERS.values():
        text = render(board)
        assert visible(text, lines=True) == text, "a character that steers the terminal"
        assert "nan" not in text.lower().split(), "NaN is shown"
    json.loads(formats.to_json(board), parse_constant=_refuse)
    return board, found.problems


def _refuse(name: str) -> None:
    raise AssertionError(f"{name} in the board")


def _rows(board: Board) -> dict[str, Any]:
    """What the board says of each method itself: not its rank among others."""
    rows = {}
    for row in board.rows:
        cells = {one: (cell.value, cell.low, cell.high) for one, cell in row.cells.items()}
        rows[row.label] = {**cells, "seeds": row.shown_seeds}
    return rows


def _judge(board: Board, problems: list[str], alone: Any, shown: Any, kind: str) -> tuple[str, str]:
    rows = _rows(board)
    for name in GOOD:
        if rows.pop(name, None) != alone[name]:
            return "changed", f"the row of {name!r}"
    if not all(line.strip() and visible(line) == line for line in problems):
        return "traceback", f"a problem that is not one printable line: {problems!r}"
    if not rows:
        return ("refused", "") if problems or board.notes else ("silent", "no row and no word")
    for name, row in rows.items():
        for one in COLUMNS:
            value, low, high = row.get(one, (None,) * 3)
            if any(number is not None and not _possible(one, number) for number in (value, low, high)):
                return "changed", f"{name!r} shows {one} = {value} [{low}, {high}]"
            if value is not None and kind != "scores" and one != "fid" and value not in (None, shown[one][0]):
                return "changed", f"{name!r} shows {one} = {value}, its clips' mean is {shown[one][0]}"
    return "shown", ""


def _possible(name: str, number: float) -> bool:
    known = definition(name)
    assert known is not None
    least, most = UNITS[known.unit]
    low, high = known.bounds
    return math.isfinite(number) and max(least, low or least) - 1e-6 <= number <= min(most, high or most) + 1e-6


# -------------------------------------------------------------------------------------------------------------- damage


def _values(folder: Path, record: Any, rng: random.Random) -> None:
    (folder / "record.json").write_text(odd_json(record, rng))


def _signed(folder: Path, record: Any, rng: random.Random) -> None:
    """Another value, and the identity that belongs to it: as who means it would write it."""
    text = odd_json(record, rng)
    try:
        loose = RunRecord.model_validate_json(text)
        text = loose.model_copy(update={"identity": identity_of(loose)}).to_json()
    except (ValueError, UserError):
        pass
    if json.loads(text if _is_json(text) else "{}").get("method", {}) and any(f'"{name}"' in text for name in GOOD):
        text = text.replace('"one"', '"1"').replace('"two"', '"2"').replace('"three"', '"3"')
    (folder / "record.json").write_text(text)


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict) and isinstance(json.loads(text).get("method", {}), dict)
    except (ValueError, RecursionError):
        return False


def _bytes(folder: Path, record: Any, rng: random.Random) -> None:
    path = folder / rng.choice(("record.json", "record.json", "scores.parquet"))
    path.write_bytes(damaged(path.read_bytes(), rng))


def _scores(folder: Path, record: Any, rng: random.Random) -> None:  # noqa: PLR0912  # one branch a kind of damage
    """A Parquet file that can be read, and is not what the record's values are means of."""
    path = folder / "scores.parquet"
    table = pd.read_parquet(path)
    column, row = rng.choice(["ais", "iis", "aic"]), rng.randrange(CLIPS)
    how = rng.randrange(12)
    if how == 0:
        table.loc[row, column] = rng.choice([math.nan, math.inf, -math.inf, 1e20, -5.0, 101.0, 0.0])
    elif how == 1:
        table = table.drop(index=row)
    elif how == 2:
        table = pd.concat([table, table.iloc[[row]]])
    elif how == 3:
        table[column] = table[column].astype(rng.choice(["str", "float32", "int64", "bool", "complex128", "category"]))
    elif how == 4:
        table = table.rename(columns={column: rng.choice(["clip", "label", "seed", "x", "fid", "\x1b[2J", ""])})
    elif how == 5:
        table = table.drop(columns=rng.choice(["clip", "label", column]))
    elif how == 6:
        table.loc[row, rng.choice(["clip", "label"])] = None
    elif how == 7:
        table[column] = [[value] for value in table[column]]
    elif how == 8:
        table = table.set_index(rng.choice(["clip", "label", column]))
    elif how == 9:
        table["clip"] = rng.choice([list(range(CLIPS)), ["c"] * CLIPS, [b"\xff"] * CLIPS, [1.5] * CLIPS])
    elif how == 10:
        table = table.iloc[:0]
    else:
        table["more"] = rng.choice([[{"a": 1}] * CLIPS, [pd.Timestamp(0)] * CLIPS, ["\ud7ff"] * CLIPS, [None] * CLIPS])
    try:
        table.to_parquet(path, engine="pyarrow")
    except Exception:
        path.write_bytes(b"")  # what Parquet cannot hold, nobody can write


def _places(folder: Path, record: Any, rng: random.Random) -> None:
    """Other things than files, other files, other names."""
    path = folder / rng.choice(("record.json", "scores.parquet"))
    other = folder.parents[1] / rng.choice(GOOD) / "seed0" / path.name
    data = path.read_bytes()
    path.unlink()
    how = rng.randrange(7)
    if how == 0:
        path.mkdir()
    elif how == 1:
        path.symlink_to(rng.choice([path, Path("/dev/zero"), Path("/nowhere")]))
    elif how == 2:
        import os

        os.mkfifo(path)
    elif how == 3:
        path.write_bytes(other.read_bytes() if path.suffix == ".parquet" else data.decode().encode("utf-16"))
    elif how == 4:
        path.write_bytes(b"\xef\xbb\xbf" + data)
    elif how == 5:
        path.write_bytes(data + data)


DAMAGES = {"values": _values, "signed": _signed, "bytes": _bytes, "scores": _scores, "places": _places}
