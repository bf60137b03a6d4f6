"""The same study as tasks for Label Studio (https://labelstud.io), and the answers that it exports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.human.study import Study
from benchmark.utils.files import write_atomic

PREFIX = "/data/local-files/?d=media/"
"""Where Label Studio serves files of its local storage; the storage's root is the folder that is written here."""

_PICTURES = {
    "relevance": '<Image name="image1" value="$image1"/>',
    "pair": '<View style="display: flex; gap: 1em"><Image name="image1" value="$image1"/>'
    '<Image name="image2" value="$image2"/></View>',
}
_ANSWERS = {
    "relevance": '<Rating name="answer" toName="image1" maxRating="5" required="true"/>',
    "pair": '<Choices name="answer" toName="image1" choice="single" required="true">'
    '<Choice value="1" hint="the left one"/><Choice value="2" hint="neither"/><Choice value="3" hint="the right one"/>'
    "</Choices>",
}
QUESTIONS = {
    "relevance": "How relevant is the picture to the sound? 1: not at all, 5: it shows exactly what one hears",
    "pair": "Which picture fits the sound better? 1: the left one, 2: neither, 3: the right one",
}


def write(study: Study, names: Mapping[tuple[str, str], str], place: Path) -> None:
    """Write `tasks.json` and `labeling-config.xml` beside `media/`.

    Label Studio hands tasks out itself: every item is one task, and sheets do not count. Set as many annotations a task
    as the sheets would have given it.

    Args:
        study: The study.
        names: Name of each medium by (clip, run); that of the sound by (clip, "").
        place: The folder.
    """
    tasks = []
    for number, (name, item) in enumerate(study.items.items(), start=1):
        data = {"study": study.id, "item": name, "question": QUESTIONS[study.question]}
        data["audio"] = PREFIX + names[item.clip, ""]
        runs = item.runs[::-1] if swapped(name) and study.question == "pair" else item.runs
        data |= {f"image{k}": PREFIX + names[item.clip, run] for k, run in enumerate(runs, start=1)}
        tasks.append({"id": number, "data": data})
    config = (
        f'<View><Header value="$question"/><Audio name="sound" value="$audio"/>{_PICTURES[study.question]}'
        f"{_ANSWERS[study.question]}</View>\n"
    )
    write_atomic(place / "labeling-config.xml", config)
    write_atomic(place / "tasks.json", json.dumps(tasks, indent=1) + "\n")


def swapped(item: str) -> bool:
    """Whether the second image of a pair stands at the left: so for every other one of the random numbers."""
    return int(item[1:]) % 2 == 1


def is_export(found: Any) -> bool:
    """Whether a JSON value is what Label Studio exports (format JSON): a list of tasks with annotations."""
    return isinstance(found, list) and all(isinstance(one, dict) and "annotations" in one for one in found)


def sheets(found: list[dict[str, Any]]) -> dict[str, list[tuple[str, str, int | None]]]:
    """Return, by annotator, (study, item, answer) of each annotation; None for an answer that is no whole number.

    Raises:
        ValueError: A task or an annotation is not as Label Studio writes it.
    """
    by_rater: dict[str, list[tuple[str, str, int | None]]] = {}
    for task in found:
        try:
            study, item = str(task["data"]["study"]), str(task["data"]["item"])
            for annotation in task["annotations"]:
                if annotation.get("was_cancelled"):
                    continue
                who = annotation.get("completed_by")
                who = who.get("id", who.get("email")) if isinstance(who, dict) else who
                answers = [_answer(one["value"]) for one in annotation["result"] if one.get("from_name") == "answer"]
                by_rater.setdefault(f"annotator {who}", []).append((study, item, answers[0] if answers else None))
        except (LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"task {task.get('id')!r} lacks {error}") from error
    return by_rater


def _answer(value: Mapping[str, Any]) -> int | None:
    given = value["rating"] if "rating" in value else (value["choices"] or [None])[0]
    return int(given) if isinstance(given, int) or str(given).isdigit() else None
