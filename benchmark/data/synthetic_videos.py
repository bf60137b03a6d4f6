"""Synthetic videos with sound, prepared as `bench prepare vggsound` prepares real ones: data in the real format."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.data.prepare.clip_lists import clip_key
from benchmark.data.prepare.extract import CLIP_SECONDS
from benchmark.data.prepare.pipeline import prepare
from benchmark.media.audio import RATE
from benchmark.utils.files import replacing, write_atomic
from benchmark.utils.progress import Silent

if TYPE_CHECKING:
    from PIL.Image import Image

    from benchmark.suite import Suite

SIZE = (340, 256)
"""Width and height of a video, about those of the real ones; `prepare` scales frames to their stored size."""
FRAMES_A_SECOND = 4


class FirstFrame:
    """Chooser without a network: the contents of synthetic frames do not matter."""

    identity = "the first frame, of synthetic videos"

    @staticmethod
    def look(frame: Image) -> np.ndarray:
        """Return nothing of a frame."""
        return np.zeros(0)

    def __call__(self, seen: Sequence[Sequence[np.ndarray]], labels: Sequence[str]) -> list[int]:
        """Return 0 for every clip."""
        return [0] * len(labels)


def prepare_synthetic(suite: Suite, count: int, videos: Path, out: Path) -> None:
    """Write synthetic videos, and prepare them as a suite requires.

    Args:
        suite: The suite, whose labels and frame rule decide how the videos are prepared.
        count: Number of training videos, and of test videos.
        videos: Folder for the videos and their list.
        out: Folder for the prepared data.
    """
    listed, annotated = write_videos(videos, videos, [f"sound {k}" for k in range(count)])
    prepare(
        videos,
        out,
        listed,
        workers=0,
        ui=Silent(),
        vggsounder=annotated if suite.data.labels == "vggsounder" else None,
        choose=FirstFrame if suite.data.train_frame == "clip-best" else None,
    )


def write_videos(videos: Path, lists: Path, labels: Sequence[str]) -> tuple[Path, Path]:
    """Write a training video and a test video for each label, and the two lists of VGGSound and VGGSounder.

    Args:
        videos: Folder for the videos.
        lists: Folder for vggsound.csv and vggsounder.csv.
        labels: A label for each video of a split; labels may recur.

    Returns:
        The paths of the two lists.
    """
    listed, annotated = lists / "vggsound.csv", lists / "vggsounder.csv"
    rows, notes = [], ["video_id,label,modality\n"]
    for number, (split, label) in enumerate(itertools.product(("train", "test"), labels)):
        key = clip_key(f"made{number:07d}", 0)
        if not (videos / f"{key}.mp4").exists():
            write_video(videos / f"{key}.mp4", number)
        rows.append(f'{key[:-7]},0,"{label}",{split}\n')
        notes.append(f'{key},"{label}",AV\n')
    write_atomic(listed, "".join(rows))
    write_atomic(annotated, "".join(notes))
    return listed, annotated


def write_video(path: Path, seed: int) -> None:
    """Write an mp4 of a clip's length: changing coloured patches, and a tone in noise."""
    import av

    rng = np.random.default_rng(seed)
    width, height = SIZE
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part, av.open(str(part), "w", format="mp4") as container:
        pictures = container.add_stream("mpeg4", rate=FRAMES_A_SECOND)
        pictures.width, pictures.height, pictures.pix_fmt = width, height, "yuv420p"
        track = container.add_stream("aac", rate=RATE, layout="mono")
        for number in range(round(CLIP_SECONDS * FRAMES_A_SECOND)):
            patches = rng.integers(0, 256, (8, 10, 3), dtype=np.uint8)
            pixels = patches.repeat(height // 8, 0).repeat(width // 10, 1)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FRAMES_A_SECOND)
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode(None))
        time = np.arange(round(CLIP_SECONDS * RATE)) / RATE
        wave = 0.3 * np.sin(2 * np.pi * (200 + 100 * seed) * time) + 0.1 * rng.standard_normal(len(time))
        sound = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), format="fltp", layout="mono")
        sound.sample_rate, sound.pts, sound.time_base = RATE, 0, Fraction(1, RATE)
        container.mux(track.encode(sound))
        container.mux(track.encode(None))
