"""Made-up studies and answers. They are results of nothing."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmark.human.study import Item, Study, StudyRun, Trial


def study(
    clips: int = 6, runs: dict[str, Path] | None = None, identities: dict[str, str] | None = None, sheets: int = 4
) -> Study:
    """Each of `sheets` people rates every clip once, by the runs in turn, and has one check (answer 2) at the end."""
    places = runs or {"a": Path("a"), "b": Path("b")}
    names = list(places)
    items = {
        f"x{clip * len(names) + place:05d}": Item(clip=f"clip-{clip:05d}", runs=(name,))
        for clip in range(clips)
        for place, name in enumerate(names)
    }
    shown = [[clip * len(names) + (clip + sheet) % len(names) for clip in range(clips)] for sheet in range(sheets)]
    made = [[*(Trial(item=f"x{number:05d}") for number in sheet), Trial(item="x00000", expects=2)] for sheet in shown]
    return Study(
        question="relevance",
        suite="mini",
        fingerprint="f" * 64,
        seed=0,
        made="2024-01-01T00:00:00+00:00",
        runs={
            name: StudyRun(
                path=str(path),
                identity=(identities or {}).get(name, "0" * 64),
                images=None,
                method=name,
                seed=0,
            )
            for name, path in places.items()
        },
        clips=tuple(f"clip-{clip:05d}" for clip in range(clips)),
        items=items,
        sheets=tuple(map(tuple, made)),
    )


def answers(of: Study, sheet: int, value: Callable[[int, Trial], int | None], **changes: Any) -> dict[str, Any]:
    """What the page would save for a sheet; `value` gives the answer to each trial, None ends the sheet there."""
    given = []
    for place, trial in enumerate(of.sheets[sheet - 1]):
        if (answer := value(place, trial)) is None:
            break
        given.append({"trial": place, "item": trial.item, "answer": answer, "ms": 1000})
    return {
        "format": "bench human answers 1",
        "study": of.id,
        "sheet": sheet,
        "rater": f"rater{sheet}",
        "browser": f"browser{sheet}",
        "agreed": "2024-01-01T00:00:00.000Z",
        "remark": "",
        "answers": given,
        **changes,
    }


def sealed(data: dict[str, Any]) -> dict[str, Any]:
    lines = [f"{a['trial']} {a['item']} {a['answer']} {a['ms']}" for a in data["answers"]]
    head = [data["study"], str(data["sheet"]), data["rater"], data["browser"], data["agreed"], data["remark"]]
    return {**data, "seal": f"{zlib.crc32(chr(10).join([*head, *lines]).encode()):08x}"}


def write(folder: Path, name: str, data: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(data))
    return path


def right(place: int, trial: Trial) -> int:
    """Attentive, and of one mind: 4."""
    return trial.expects or 4
