"""Make the site of a suite: pages from templates, data as scripts, media, each written only where it changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.dataset import raw_words
from benchmark.leaderboard.clip_scores import scores_path
from benchmark.media.audio import audio_digest
from benchmark.media.images import pixel_digest, resize
from benchmark.records.store import StoredRecord
from benchmark.report import data, media, pages
from benchmark.report.chosen import chosen
from benchmark.report.curves import curves
from benchmark.report.folder import MARKER, SiteFolder, cleaned, slug
from benchmark.report.sources import ShownRow, Sources, image_hashes
from benchmark.report.stress import stress
from benchmark.utils.errors import BenchError
from benchmark.utils.files import digest, read_json, sha256_of

if TYPE_CHECKING:
    from benchmark.clips import Clip
    from benchmark.utils.progress import UI

MEDIA_VERSION = 1
"""Raised with any change of what is made of a clip: older media are then not reused."""


def unchanged(records: Sequence[StoredRecord], path: Path) -> Path | None:
    """Return the first page of the site in `path` if it was made by this program from these very records, else None.

    It looks at no clip: what became of sounds and frames since is found by `make`.
    """
    try:
        facts = read_json(path / MARKER)
    except (OSError, ValueError):
        return None
    same = isinstance(facts, dict) and facts.get("made of") == _made_of(records)
    return path / "index.html" if same and (path / "index.html").is_file() else None


def _made_of(records: Sequence[StoredRecord]) -> str:
    files = [path for one in records for path in (one.path, scores_path(one), one.path.with_name("images"))]
    states = [(str(path.resolve()), path.stat().st_mtime_ns, path.stat().st_size) for path in files if path.exists()]
    return digest(
        [sorted(states), sorted((path.name, sha256_of(path)) for path in pages.HERE.rglob("*.*") if path.is_file())]
    )


def make(sources: Sources, path: Path, ui: UI, embed: bool = False) -> Path:
    """Make or renew the site in the folder `path`; return its first page.

    Args:
        sources: What is shown.
        path: The folder.
        ui: Progress.
        embed: Embed images again whose embeddings the cache has lost, for the class that aic found in them.

    Raises:
        UserError: The folder holds something else.
    """
    labels = data.clip_labels(sources)
    classes = data.labels_of(sources, labels)
    with SiteFolder(path) as site:
        board = data.board_facts(sources, classes)
        gallery = _Gallery(sources, site, labels, classes, _chosen(sources, site, ui, embed))
        board["missing"] = gallery.write(ui)
        board["curves"] = _write_curves(sources, site)
        if found := stress(sources):
            site.put("stress", found)
        board["stress"] = bool(found)
        site.put("board", board)
        for metric in [column.id for column in sources.board.filled]:
            if table := data.score_table(sources.rows, metric, list(labels)):
                site.put(f"scores/{slug(metric)}", table)
                site.put(f"run-scores/{slug(metric)}", data.run_table(sources.rows, metric, list(labels)))
        _write_comparisons(sources, site)
        pages.write(sources, site, board)
        site.facts["made of"] = _made_of(sources.records)
    return path / "index.html"


def _chosen(sources: Sources, site: SiteFolder, ui: UI, embed: bool) -> dict[str, list[int]]:
    """The class that AIC found, by the run's key and in the order of the clips; those of an earlier site again."""
    if sources.clips is None:
        return {}
    former = site.former("chosen")
    known: dict[str, Any] = former if isinstance(former, dict) else {}
    kept, found = {}, {}
    for one in sources.rows:
        for run in one.runs:
            if run.images is None:
                continue
            key = f"{sources.clips.identity[:16]}-{image_hashes(run)[:16]}"
            old = known.get(run.key)
            classes = old["classes"] if isinstance(old, dict) and old.get("of") == key else None
            classes = classes or chosen(run, sources.suite, sources.clips, ui, embed)
            if classes is not None:
                kept[run.key] = {"of": key, "classes": classes}
                found[run.key] = classes
    site.put("chosen", kept)
    return found


def _write_comparisons(sources: Sources, site: SiteFolder) -> None:
    """Write a file a pair; what an earlier site compared from the same files is not compared again."""
    former = site.former("compare")
    known = former.get("of") if isinstance(former, dict) else None
    known = known if isinstance(known, dict) else {}
    columns = [[column.id, column.header, column.digits] for column in sources.board.columns]
    of, new = {}, []
    for a, b in data.sides(sources):
        name = f"{a.key}~{b.key}"
        of[name] = digest([a.of, b.of, columns])[:16]
        if known.get(name) != of[name] or not site.has(f"data/compare/{name}.js"):
            new.append((name, a, b))
    for (name, *_), found in zip(new, data.comparisons(sources.board, [(a, b) for _, a, b in new]), strict=True):
        if found is None:
            del of[name]
        else:
            site.put(f"compare/{name}", found)
    site.put("compare", {"of": of, "pairs": list(of)})


def _as_put(value: Any) -> Any:
    """A value as it comes back from a script that `SiteFolder.put` wrote."""
    return json.loads(json.dumps(cleaned(value)))


def _stamp(path: Path) -> list[int]:
    facts = path.stat()
    return [facts.st_size, facts.st_mtime_ns]


def _write_curves(sources: Sources, site: SiteFolder) -> list[dict[str, Any]]:
    found = curves(sources)
    if found:
        site.put("curves", found)
    return [{"run": one["run"], "label": one["label"]} for one in found]


@dataclass(eq=False)
class _Gallery:
    """The clips of a site."""

    sources: Sources
    site: SiteFolder
    labels: Mapping[str, str]
    """Label of each clip, in order."""
    classes: Sequence[str]
    found: Mapping[str, list[int]]
    """The class that AIC found in each clip's image, by run."""

    def write(self, ui: UI) -> list[str]:
        """Write the list of the clips and a file for each; return what is missing, a line each."""
        sources, ids = self.sources, list(self.labels)
        clips: dict[str, Clip] = {clip.id: clip for clip in sources.clips or ()}
        means = {one.key: data.scores_by_clip(one.row.scores, ids) for one in sources.rows}
        runs = [run for one in sources.rows for run in one.runs if run.images]
        of_runs = {run.key: data.scores_by_clip(run.scores, ids) for run in runs}
        place = {label: number for number, label in enumerate(self.classes)}

        def one(number: int) -> dict[str, Any]:
            clip_id = ids[number]
            facts = self._media(clips.get(clip_id), clip_id)
            facts |= {"name": clip_id, "label": place.get(self.labels[clip_id], -1), "rows": {}}
            for row in sources.rows:
                own = [
                    {
                        "run": run.key,
                        "images": self._images(row, run.key, clip_id),
                        "scores": of_runs[run.key][number],
                        **({"class": self.found[run.key][number]} if run.key in self.found else {}),
                        **({"failed": why} if (why := run.stored.record.clips.failures.get(clip_id)) else {}),
                    }
                    for run in row.runs
                    if run.images
                ]
                if own or means[row.key][number]:
                    facts["rows"][row.key] = {"mean": means[row.key][number], "runs": own}
            self.site.put(f"clips/{slug(clip_id)}", facts)
            return facts

        with ui.task("making the report's clips", len(ids), "clips") as advance, ThreadPoolExecutor(2) as pool:
            made = []
            for facts in pool.map(one, range(len(ids))):
                made.append(facts)
                advance(1)
        self.site.put(
            "clips",
            {
                "keys": [slug(clip_id) for clip_id in ids],
                "names": ids,
                "labels": [facts["label"] for facts in made],
            },
        )
        return self._missing(made)

    def _images(self, row: ShownRow, run_key: str, clip: str) -> list[str]:
        run = next(run for run in row.runs if run.key == run_key)
        names = []
        number = 0
        while (path := run.image(clip, number)) is not None:
            name = f"media/images/{run.key}/{slug(clip)}{f'-{number}' if number else ''}.png"
            self.site.link(name, path)
            names.append(name)
            number += 1
        return names

    def _media(self, clip: Clip | None, clip_id: str) -> dict[str, Any]:
        """Sound, outline, spectrogram and frame of a clip; of an earlier site where they are of the same clip."""
        if clip is None:
            return {"gone": "this clip is not here any more"} if self.sources.clips is not None else {}
        name = slug(clip_id)
        of = self._identity(clip)
        former = self.site.former(f"clips/{name}")
        files = {"sound": f"media/sounds/{name}.flac", "spectrogram": f"media/spectrograms/{name}.png"}
        facts: dict[str, Any] = {"of": of, "facts": self._facts(clip)}
        if clip.visible is not None:
            facts["visible"] = list(clip.visible)
        if len(clip.labels) > 1:
            facts["labels"] = list(clip.labels)
        if isinstance(former, dict) and former.get("of") == of and self._still_there(former):
            kept = ("sound", "spectrogram", "peaks", "seconds", "frame", "no sound", "no frame")
            return facts | {key: former[key] for key in kept if key in former}
        suite = self.sources.suite
        try:
            wave = suite.sound(clip)
            self.site.write(files["sound"], media.flac(wave, suite.data.rate))
            self.site.write(files["spectrogram"], media.spectrogram(wave, suite.data.rate))
            facts |= files | {"peaks": media.peaks(wave), "seconds": len(wave) / suite.data.rate}
        except BenchError as error:
            facts["no sound"] = _line(error)
        try:
            frame = resize(clip.picture(), suite.backbone.resolution, suite.backbone.resize)
            self.site.write(f"media/frames/{name}.png", media.png(frame))
            facts["frame"] = f"media/frames/{name}.png"
        except BenchError as error:
            facts["no frame"] = _line(error)
        return facts

    def _facts(self, clip: Clip) -> list[str]:
        """What is told of a clip, in the words of its data set."""
        own = self.sources.data
        return raw_words(clip.attributes) if own is None else own.in_words(clip.attributes)

    def _still_there(self, former: Mapping[str, Any]) -> bool:
        names = [former[key] for key in ("sound", "spectrogram", "frame") if key in former]
        return "no sound" not in former and "no frame" not in former and all(map(self.site.has, names))

    def _identity(self, clip: Clip) -> list[Any]:
        sources = [
            (str(one), _stamp(one) if one.is_file() else None) if isinstance(one, Path) else hashed(one)
            for one, hashed in ((clip.audio, _of_sound), (clip.image, _of_frame))
        ]
        data_of = self.sources.suite.data
        return _as_put([MEDIA_VERSION, sources, data_of.rate, data_of.seconds, data_of.length])

    def _missing(self, made: Sequence[Mapping[str, Any]]) -> list[str]:
        lines = list(self.sources.remarks)
        for key, what in (("no sound", "sound"), ("no frame", "true frame"), ("gone", "sound and no frame")):
            lost = [str(facts["name"]) for facts in made if key in facts]
            if lost:
                first = next(facts[key] for facts in made if key in facts)
                lines.append(
                    f"{len(lost)} clips have no {what} here ({', '.join(lost[:3])}{', …' * (len(lost) > 3)}): {first}"
                )
        bare = [one for one in self.sources.rows if one.shown is None]
        if bare:
            few = "; ".join(f"`{data.how_to_get(one)}`" for one in bare[:2])
            names = ", ".join(one.row.label for one in bare)
            lines.append(f"No images here of {names}: a run makes them ({few}{', …' * (len(bare) > 2)}).")
        unknown = [one.row.label for one in self.sources.rows if one.shown and one.shown.key not in self.found]
        if unknown:
            lines.append(
                f"The class that aic found is not known for {', '.join(unknown)}: `bench report --embed` finds it."
            )
        return lines


def _of_sound(sound: Any) -> str:
    return audio_digest(sound)[:24]


def _of_frame(frame: Any) -> str | None:
    return None if frame is None else pixel_digest(frame)[:24]


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
