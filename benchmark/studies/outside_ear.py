"""What an ear that nobody here trained hears: YAMNet names the clean sounds of the suite `mini`, class by class.

    pip install 'audio2image-bench[ear]'
    bench fetch yamnet
    python -m benchmark.studies.outside_ear

YAMNet (Google, AudioSet's 521 classes, Apache-2.0) is used in the form that github.com/google-coral/coralmicro
publishes at commit c9f665b, `models/yamnet_spectra_in.tflite`: a network of spectra, run by `ai-edge-litert`. The
log-mel front end is this module's: windows of 25 ms, 64 mel bands of 125 to 7,500 Hz, patches of 96 frames. The numbers
of AudioSet's classes are those of github.com/tensorflow/models, `research/audioset/yamnet/yamnet_class_map.csv`.

A sound is named right if, of all AudioSet classes that any class of `mini` has, the one with the highest score is its
own. The two sirens share "Siren", "Emergency vehicle" and "Civil defense siren", since YAMNet hardly ever says whose
siren it hears.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.mini.data import make_sound
from benchmark.mini.world import LABELS, SLOTS, SPEECH
from benchmark.utils.errors import BenchError, RunError
from benchmark.utils.progress import UI, Console
from benchmark.utils.terminal import print_table
from benchmark.weights.catalog import network
from benchmark.weights.locate import located, wrong

RATE = 16_000
WINDOW, HOP, FFT = 400, 160, 512
BANDS, LOWEST, HIGHEST = 64, 125.0, 7_500.0
PATCH, PATCH_HOP = 96, 48
FLOOR = 0.001
SHIFT = 1.386
"""Added to the logarithm: found against the test spectrum that is published beside the file."""

Signal = NDArray[np.float64]

AUDIOSET: dict[str, tuple[int, ...]] = {
    "church bell ringing": (172, 173, 195, 196, 202),
    "police car (siren)": (316, 317, 390, 391),
    "ambulance siren": (316, 318, 390, 391),
    "raining": (283, 284, 285),
    "stream burbling": (286, 287, 291, 444),
    "sea waves": (288, 289),
    "car engine idling": (301, 337, 342, 343, 344, 345, 346),
    "driving motorcycle": (320, 347),
    "helicopter": (333,),
    "bird chirping": (106, 107, 108, 109),
    "cricket chirping": (121, 122),
    "alarm clock ringing": (389,),
    "telephone bell ringing": (383, 384, 385),
    "thunder": (280, 281),
    "frog croaking": (127, 128),
    "bee buzzing": (123, 124, 125, 126),
    SPEECH: (0, 1, 2, 3),
    "train horning": (312, 323, 324, 325),
    "wind chime": (200, 201),
    "dog barking": (69, 70, 71, 73),
    "cat meowing": (76, 78, 80),
    "owl hooting": (114, 115),
    "fireworks banging": (426, 427),
    "playing acoustic guitar": (134, 135, 138, 141),
    "playing piano": (147, 148, 149),
}
"""AudioSet's classes of each class of `mini`."""


def mel_weights() -> Signal:
    """Return the weights of the mel bands, triangles on HTK's scale 1127 ln(1 + f / 700): (FFT // 2 + 1, BANDS)."""

    def mel(hertz: Signal | float) -> Signal:
        return np.asarray(1127.0 * np.log1p(np.asarray(hertz) / 700.0))

    bins = mel(np.linspace(0, RATE / 2, FFT // 2 + 1))[:, None]
    edges = np.linspace(mel(LOWEST), mel(HIGHEST), BANDS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    weights = np.maximum(0.0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)))
    weights[0] = 0.0
    return weights


def log_mel(wave: Signal) -> NDArray[np.float32]:
    """Return the spectra that YAMNet reads: (frames, BANDS).

    Args:
        wave: Mono, 16 kHz, in [-1, 1].
    """
    frames = np.lib.stride_tricks.sliding_window_view(np.asarray(wave, dtype=np.float64), WINDOW)[::HOP]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    magnitude = np.abs(np.fft.rfft(frames * window, FFT))
    return (np.log(magnitude @ mel_weights() + FLOOR) + SHIFT).astype(np.float32)


class YAMNet:
    """The published network: spectra to scores of AudioSet's 521 classes.

    Args:
        path: `yamnet_spectra_in.tflite`.

    Raises:
        RunError: `ai-edge-litert` is not installed.
    """

    def __init__(self, path: Path) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError:
            raise RunError("YAMNet runs with ai-edge-litert: pip install 'audio2image-bench[ear]'") from None

        self._network = Interpreter(model_path=str(path), num_threads=1)
        self._network.allocate_tensors()
        self._input = self._network.get_input_details()[0]["index"]
        self._output = self._network.get_output_details()[0]["index"]

    def __call__(self, wave: Signal) -> NDArray[np.float64]:
        """Return the scores, averaged over patches that overlap by half: (521,), in [0, 1]."""
        spectra = log_mel(wave)
        scores = []
        for start in range(0, max(1, len(spectra) - PATCH + 1), PATCH_HOP):
            patch = spectra[start : start + PATCH]
            patch = np.pad(patch, ((0, PATCH - len(patch)), (0, 0)), mode="edge")
            self._network.set_tensor(self._input, patch[None])
            self._network.invoke()
            scores.append(np.asarray(self._network.get_tensor(self._output)).ravel())
        return np.mean(np.asarray(scores, dtype=np.float64), axis=0)


def named(scores: NDArray[np.float64], classes: Mapping[str, Sequence[int]] = AUDIOSET) -> tuple[str, ...]:
    """Return the labels that own the highest of all scores of `classes`; several if they share it."""
    every = sorted({index for indices in classes.values() for index in indices})
    best = every[int(np.argmax(scores[every]))]
    return tuple(label for label, indices in classes.items() if best in indices)


@dataclass(frozen=True)
class Heard:
    """How a class was heard."""

    label: str
    clips: int
    """Number of its clips."""
    right: float
    """Percentage of them that was named right."""
    mistaken_for: dict[str, int]
    """What the others were taken for: label to number of clips."""


def listen(ear: YAMNet, clips: int, labels: Iterable[str] = LABELS, ui: UI | None = None) -> list[Heard]:
    """Name the first clean sounds of each class of the test split.

    Args:
        ear: The network.
        clips: Number of sounds a class.
        labels: The classes.
        ui: Shows the progress.
    """
    labels = list(labels)
    found = []
    with (ui or Console()).task("listening", clips * len(labels), "clips") as advance:
        for label in labels:
            slots = [slot for slot, name in enumerate(SLOTS) if name == label]
            told = []
            for number in range(clips):
                index = slots[number % len(slots)] + len(SLOTS) * (number // len(slots))
                told.append(named(ear(make_sound("test", index, clean=True) / 32768.0)))
                advance(1)
            wrong_ones = [names[0] for names in told if label not in names]
            counts = {name: wrong_ones.count(name) for name in dict.fromkeys(wrong_ones)}
            right = 100 * (clips - len(wrong_ones)) / clips
            found.append(Heard(label, clips, right, dict(sorted(counts.items(), key=lambda pair: -pair[1]))))
    return found


def place(weights: Path | None = None) -> Path:
    """Return the file of YAMNet, after a comparison with its published hash.

    Args:
        weights: Folder in which it lies; None: where `bench fetch yamnet` puts it.

    Raises:
        RunError: It is missing or another.
    """
    one = network("yamnet")
    root = weights or located(one)
    if root is None or not (root / one.files[0].name).is_file():
        raise RunError(f"{one.title} is not on this machine: `bench fetch yamnet` gets it ({one.size / 1e6:.0f} MB)")
    if problems := wrong(one, root):
        raise RunError("\n".join(problems))
    return root / one.files[0].name


def main(arguments: Sequence[str] | None = None, ui: UI | None = None) -> int:
    """Run the command line, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.studies.outside_ear", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--weights", type=Path, help="folder of yamnet_spectra_in.tflite, if it lies elsewhere")
    parser.add_argument("--clips", type=int, default=24, help="sounds a class (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(arguments)
    try:
        heard = listen(YAMNet(place(given.weights)), given.clips, ui=ui)
    except BenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    mean = float(np.mean([one.right for one in heard]))
    if given.json:
        print(json.dumps({"mean": mean, "classes": [asdict(one) for one in heard]}, indent=2))
        return 0
    rows = [[h.label, f"{h.right:.0f}", ", ".join(f"{k} {n}" for k, n in h.mistaken_for.items())] for h in heard]
    print_table(["class", "named right, %", "taken for"], [*rows, ["mean", f"{mean:.1f}", ""]])
    return 0


if __name__ == "__main__":
    sys.exit(main())
