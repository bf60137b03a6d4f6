"""Description of exported clips in Croissant, a format in which data sets are found and loaded.

Written beside `manifest.csv` by `bench export`; libraries that know the format then read the clips by name.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.utils.files import sha256_of, write_atomic
from benchmark.utils.text import visible

FILE = "croissant.json"
MANIFEST = "manifest.csv"

LICENCES = {
    "mini": "https://www.apache.org/licenses/LICENSE-2.0",
    "vggsound": "https://creativecommons.org/licenses/by/4.0/",
}
"""Licence by data set, where there is one for all clips. Of VGGSound it is the list's; videos are their uploaders'."""

MEANINGS = {
    "id": "Name of the clip.",
    "audio": "Path of the sound.",
    "label": "What is heard.",
    "split": "train, validation or test.",
}

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context that version 1.0 of the format prescribes."""


@dataclass(frozen=True)
class Exported:
    """What was exported."""

    suite: str
    """Name of the suite."""
    version: int | str
    """Its version."""
    split: str
    """The split."""
    source: str | None
    """Name of the data set; None for a user's manifest."""
    clips: int
    """Number of clips."""
    rate: int
    """Sample rate of the sounds in Hz."""
    seconds: float
    """Their length."""


def write_croissant(folder: Path, columns: Sequence[str], what: Exported) -> Path:
    """Describe the folder of an export as `croissant.json`, and return its path.

    Args:
        folder: Folder with `manifest.csv` and the files that it names.
        columns: Columns of the manifest.
        what: What they are.
    """
    files = [_file_set("sound-files", "audio/wav", "*.wav")]
    if "image" in columns:
        files.append(_file_set("frame-files", "image/png", "frames/*.png"))
    whose = f"suite {what.suite}" if what.source else "a user's manifest"
    described = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"{what.suite}-{what.split}",
        "description": visible(
            f"{what.clips} clips of split {what.split} of {whose}, as methods and scorers get them: mono, "
            f"{what.rate} Hz, {what.seconds:g} s, 16 bits."
        ),
        "version": f"{what.version}.0.0",
        **({"citeAs": f"audio2image-bench: suite {what.suite}, version {what.version}"} if what.source else {}),
        **({"license": LICENCES[what.source]} if what.source in LICENCES else {}),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": MANIFEST,
                "name": MANIFEST,
                "contentUrl": MANIFEST,
                "encodingFormat": "text/csv",
                "sha256": sha256_of(folder / MANIFEST),
            },
            *files,
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "clips",
                "name": "clips",
                "key": {"@id": "clips/id"},
                "field": _fields(columns),
            }
        ],
    }
    write_atomic(folder / FILE, json.dumps(described, indent=2, ensure_ascii=False) + "\n")
    return folder / FILE


def _file_set(name: str, kind: str, pattern: str) -> dict[str, Any]:
    return {"@type": "cr:FileSet", "@id": name, "name": name, "encodingFormat": kind, "includes": pattern}


def _fields(columns: Sequence[str]) -> list[dict[str, Any]]:
    """Return the manifest's columns; in the place of the frames' paths, the frames.

    Sounds are named by their path: the format's library reads no wav, and such a field would stop it at all others.
    """
    fields = [_field(name, MEANINGS[name], "sc:Text", _column(name)) for name in columns if name != "image"]
    if "image" in columns:
        files = {"fileSet": {"@id": "frame-files"}}
        # Files are joined with the rows by their names without a folder.
        name = _field("image_file", "Name of the frame's file.", "sc:Text", _column("image"))
        name["source"]["transform"] = {"regex": "^(?:frames/)?(.+)$"}
        name["references"] = {**files, "extract": {"fileProperty": "filename"}}
        content = {**files, "extract": {"fileProperty": "content"}}
        fields += [name, _field("image", "The true frame.", "sc:ImageObject", content)]
    return fields


def _column(name: str) -> dict[str, Any]:
    return {"fileObject": {"@id": MANIFEST}, "extract": {"column": name}}


def _field(name: str, meaning: str, kind: str, source: dict[str, Any]) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"clips/{name}",
        "name": name,
        "description": meaning,
        "dataType": kind,
        "source": source,
    }
