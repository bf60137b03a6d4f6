"""Reading what raters send back: which answers count, which do not, and why.

The page seals what it writes (CRC-32 of the answers). That finds a file that was cut short, or changed by hand or by a
program that meant well. It does not find intent: the page itself shows how a seal is made.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from benchmark.human import label_studio
from benchmark.human.study import ANSWERS, Study
from benchmark.utils.errors import UserError, listed
from benchmark.utils.files import read_file, read_json
from benchmark.utils.models import FrozenModel
from benchmark.utils.text import visible

LARGEST = 64_000_000
"""Bytes of a file of answers that is read."""


class Answer(FrozenModel):
    """One answer as the page writes it."""

    trial: Annotated[int, Field(ge=0)]
    """Place of the trial on the sheet, from 0."""
    item: str
    """What was shown."""
    answer: int | None
    """The answer; null where a sound or a picture could not be shown."""
    ms: Annotated[int, Field(ge=0)]
    """Milliseconds that it took."""


class Answers(FrozenModel):
    """A file as the page writes it."""

    format: Literal["bench human answers 1"]
    study: str
    """Id of the study."""
    sheet: int
    """Number of the sheet, from 1."""
    rater: str
    """A random name, made when the sheet was begun."""
    browser: str
    """A random name of the browser."""
    agreed: str
    """When the rater agreed to take part."""
    remark: str
    """What the rater wrote at the end."""
    answers: tuple[Answer, ...]
    """In the order in which they were given."""
    seal: str
    """Checksum of all of this."""

    @property
    def own_seal(self) -> str:
        """The seal that the contents have."""
        lines = [
            f"{one.trial} {one.item} {'null' if one.answer is None else one.answer} {one.ms}" for one in self.answers
        ]
        parts = [self.study, str(self.sheet), self.rater, self.browser, self.agreed, self.remark, *lines]
        # A browser writes half of a character as the sign for an unknown one.
        return f"{zlib.crc32(chr(10).join(parts).encode(errors='replace')):08x}"


@dataclass(frozen=True)
class Judgement:
    """An answer that counts."""

    rater: str
    item: str
    swapped: bool
    value: int


@dataclass
class Collected:
    """What all files say together."""

    judgements: list[Judgement] = field(default_factory=list)
    """The answers that count."""
    raters: list[str] = field(default_factory=list)
    """Those whose answers count."""
    excluded: dict[str, str] = field(default_factory=dict)
    """Why a rater's answers do not count, by rater."""
    remarks: list[str] = field(default_factory=list)
    """What the reader of the results should know, a line each."""


def collect(study: Study, places: Sequence[Path], *, failed_checks: int = 0, skip_bad: bool = False) -> Collected:
    """Read and check the answers of a study.

    Args:
        study: The study.
        places: Files, or folders of them (`*.json`): as the page saves them, or exports of Label Studio.
        failed_checks: Attention checks that a rater may fail and still count.
        skip_bad: Whether files that cannot be used are left out with a remark; otherwise they are errors.

    Raises:
        UserError: A line for each file that cannot be used, or there is none that can.
    """
    collected = Collected()
    problems: list[str] = []
    sheets: dict[int, list[tuple[Path, Answers]]] = defaultdict(list)
    for path in _files(places):
        try:
            found = _read(path)
            if isinstance(found, Answers):
                _check(path, study, found)
                sheets[found.sheet].append((path, found))
            else:
                _take_annotations(path, study, found, collected)
        except UserError as error:
            problems += error.problems
    _without_repetitions(sheets, collected, problems)
    if problems and not skip_bad:
        raise UserError([*problems, "nothing was imported; --skip-bad goes on without the files that are named here"])
    collected.remarks += [f"Left out: {problem}" for problem in problems]
    for sheet in sorted(sheets):
        for _, answers in sheets[sheet]:
            _take(study, answers, failed_checks, collected)
    _same_browser([answers for kept in sheets.values() for _, answers in kept], collected)
    if not collected.judgements:
        why = [f"{rater}: {reason}" for rater, reason in collected.excluded.items()]
        raise UserError([*listed(problems), *listed(why), "no answer is left to count"])
    return collected


def _files(places: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for place in places:
        inside = sorted(place.glob("*.json")) if place.is_dir() else [place]
        if not inside:
            raise UserError(f"{place}: holds no file of answers (*.json)")
        found += inside
    return list(dict.fromkeys(found))


Annotations = dict[str, list[tuple[str, str, int | None]]]


def _read(path: Path) -> Answers | Annotations:
    try:
        found = read_json(path, LARGEST)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: is no file of answers ({' '.join(str(reason).split())}): ask for it again") from error
    try:
        if label_studio.is_export(found):
            return label_studio.sheets(found)
        return Answers.model_validate_json(read_file(path, LARGEST), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise UserError(
            visible(f"{path}: is no file of answers ({where}: {first['msg']}): ask for it again")
        ) from error
    except (OSError, ValueError) as error:
        raise UserError(visible(f"{path}: is no export of Label Studio in its format JSON: {error}")) from error


def _check(path: Path, study: Study, found: Answers) -> None:
    """Raise UserError, a line a problem, unless the file is a whole one of this study."""
    if found.study != study.id:
        raise UserError(
            visible(f"{path}: is of another study ({found.study[:8]!r}, not {study.short!r}): leave it out")
        )
    if found.seal != found.own_seal:
        raise UserError(f"{path}: was changed after it was saved, or is damaged (its seal differs): ask for it again")
    if not 1 <= found.sheet <= len(study.sheets):
        raise UserError(f"{path}: is of sheet {found.sheet}, and the study has sheets 1 to {len(study.sheets)}")
    trials = study.sheets[found.sheet - 1]
    problems, seen = [], set()
    for one in found.answers:
        what = visible(f"{path}: answer {one.trial + 1}")
        if one.trial >= len(trials) or one.item != trials[one.trial].item:
            problems.append(
                visible(f"{what}: {one.item!r} does not stand there on sheet {found.sheet}: ask for it again")
            )
        elif one.trial in seen:
            problems.append(f"{what}: is given twice: ask for it again")
        elif one.answer is not None and one.answer not in ANSWERS[study.question]:
            allowed = ANSWERS[study.question]
            problems.append(
                f"{what}: {one.answer} is no answer, they go from {allowed[0]} to {allowed[-1]}: ask for it again"
            )
        seen.add(one.trial)
    if problems:
        raise UserError(listed(problems, 3))


def _without_repetitions(
    sheets: dict[int, list[tuple[Path, Answers]]], collected: Collected, problems: list[str]
) -> None:
    """Keep one file of each sheet: of one rater's the longest. Two raters of one sheet are a problem: none is kept."""
    for sheet, files in sheets.items():
        longest: dict[str, tuple[Path, Answers]] = {}
        for path, answers in files:
            other = longest.get(answers.rater)
            if other is None:
                longest[answers.rater] = path, answers
                continue
            short, long = sorted([other, (path, answers)], key=lambda one: len(one[1].answers))
            if long[1].answers[: len(short[1].answers)] != short[1].answers:
                problems.append(f"{path} and {other[0]}: one rater's answers to sheet {sheet} differ: leave one out")
                break
            longest[answers.rater] = long
            collected.remarks.append(f"{short[0].name} is contained in {long[0].name}, which counts.")
        else:
            if len(longest) > 1:
                names = " and ".join(str(path) for path, _ in longest.values())
                problems.append(
                    f"{names}: sheet {sheet} was filled in {len(longest)} times, by one person or by people with the "
                    "same number: leave out all but one"
                )
                longest = {}
            sheets[sheet] = list(longest.values())
            continue
        sheets[sheet] = []


def _take(study: Study, found: Answers, failed_checks: int, collected: Collected) -> None:
    trials, rater = study.sheets[found.sheet - 1], f"sheet {found.sheet}"
    failed = sum(
        trials[one.trial].expects is not None and one.answer is not None and one.answer != trials[one.trial].expects
        for one in found.answers
    )
    if failed > failed_checks:
        checks = sum(trial.expects is not None for trial in trials)
        collected.excluded[rater] = f"failed {failed} of {checks} attention checks"
        return
    counted = [one for one in found.answers if trials[one.trial].expects is None and one.answer is not None]
    if not counted:
        collected.excluded[rater] = "gave no answer"
        return
    if len(found.answers) < len(trials):
        collected.remarks.append(
            f"{rater} is partly finished: {len(found.answers)} of {len(trials)} trials; they count."
        )
    if missing := sum(one.answer is None for one in found.answers):
        collected.remarks.append(f"{rater}: {missing} trials could not be shown in that browser.")
    if found.remark.strip():
        collected.remarks.append(visible(f"{rater} says: {' '.join(found.remark.split())}"))
    collected.raters.append(rater)
    collected.judgements += [
        Judgement(rater, one.item, trials[one.trial].swapped, one.answer) for one in counted if one.answer is not None
    ]


def _take_annotations(
    path: Path, study: Study, found: Mapping[str, list[tuple[str, str, int | None]]], collected: Collected
) -> None:
    problems, taken = [], []
    for rater, answers in found.items():
        seen = set()
        for of_study, item, answer in answers:
            what = visible(f"{path}: {rater}, task {item!r}")
            if of_study != study.id:
                problems.append(f"{what}: is of another study than {study.short!r}: leave it out")
            elif item not in study.items:
                problems.append(f"{what}: the study has no such item")
            elif item in seen:
                problems.append(f"{what}: is answered twice: remove one annotation")
            elif answer is not None and answer not in ANSWERS[study.question]:
                problems.append(f"{what}: {answer} is no answer")
            elif answer is not None:
                seen.add(item)
                taken.append(Judgement(rater, item, label_studio.swapped(item), answer))
    if problems:
        raise UserError(listed(problems, 3))
    collected.judgements += taken
    collected.raters += [rater for rater in found if any(one.rater == rater for one in taken)]


def _same_browser(found: Sequence[Answers], collected: Collected) -> None:
    by_browser: dict[str, list[int]] = defaultdict(list)
    for answers in found:
        by_browser[answers.browser].append(answers.sheet)
    for numbers in by_browser.values():
        if len(numbers) > 1:
            shown = ", ".join(map(str, sorted(numbers)))
            collected.remarks.append(
                f"Sheets {shown} were filled in in one browser: if that was one person, leave out all but one file."
            )
