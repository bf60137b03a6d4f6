"""An answer as a piece of HTML that needs no other file: images, sounds and the lit seconds are in it."""

from __future__ import annotations

import base64
import io
import wave
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader
from PIL import Image

from benchmark.demo.studio import Answer, Drawn
from benchmark.utils.text import visible

BARS = 240
"""Bars of the waveform."""
COPY = 0.999
"""Cosine from which an image is called a copy of a training frame: rounding apart, only the frame itself reaches it."""
MOST = 0.5
"""Share of the attention that the seconds named in words hold at least."""
REST = 0.25
"""Light of all other seconds: attention is often so even that its strength alone would show nothing."""


def to_html(answer: Answer) -> str:
    """Return an answer as HTML; all text in it is escaped, and steers nothing."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")), autoescape=True, finalize=_plain
    )
    shown = [_shown(one, answer) for one in answer.drawn]
    return environment.get_template("answer.html.j2").render(
        answer=answer, shown=shown, seconds=len(answer.sound) / answer.rate, bars=_bars(answer.sound)
    )


def refusal(problems: list[str]) -> str:
    """Return the reasons why there is no answer as HTML."""
    environment = Environment(autoescape=True, finalize=_plain)
    text = '<div role="alert">{% for line in problems %}<p>{{ line }}</p>{% endfor %}</div>'
    return environment.from_string(text).render(problems=problems)


def strongest(attention: np.ndarray, seconds: float) -> list[tuple[float, float]]:
    """Return the seconds that hold most of the attention: (start, end) of runs of moments, in order.

    The strongest moments are taken until they hold half of the attention.

    Args:
        attention: (T,) weights of equal moments, of sum 1.
        seconds: Length of the sound.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], _taken(attention), [False]]).astype(int)))
    moment = seconds / len(attention)
    return [(float(start * moment), float(end * moment)) for start, end in edges.reshape(-1, 2)]


def _taken(attention: np.ndarray) -> np.ndarray:
    """Return which moments are the strongest that hold half of the attention."""
    order = np.argsort(-attention, kind="stable")
    taken = np.zeros(len(attention), bool)
    taken[order[: int(np.searchsorted(np.cumsum(attention[order]), MOST)) + 1]] = True
    return taken


def _plain(value: Any) -> Any:
    return visible(value) if type(value) is str else value


def _shown(one: Drawn, answer: Answer) -> dict[str, Any]:
    near = one.near and {
        "id": one.near.id,
        "label": one.near.label,
        "similarity": one.near.similarity,
        "is_copy": one.near.similarity >= COPY,
        "frame": _image(one.near.frame),
        "sound": _sound(one.near.sound, answer.rate),
    }
    moments: list[tuple[float, float, float]] = []
    listened = "It has no attention over time: the whole sound counts."
    if one.attention is not None:
        width = BARS / len(one.attention)
        strengths = 0.85 * one.attention / one.attention.max() * np.where(_taken(one.attention), 1.0, REST)
        moments = [(round(k * width, 3), round(width, 3), round(float(s), 3)) for k, s in enumerate(strengths)]
        spans = strongest(one.attention, len(answer.sound) / answer.rate)
        words = ", ".join(f"{start:.1f} to {end:.1f} s" for start, end in spans)
        listened = f"Half of its attention: {words}"
    return {
        "method": one.method,
        "image": _image(one.image),
        "moments": moments,
        "listened": listened,
        "near": near,
    }


def _bars(sound: np.ndarray) -> list[float]:
    """Return the height of each bar, 1 to 100: the loudest sample of its stretch against the loudest of all."""
    peaks = np.array([np.abs(part).max(initial=0.0) for part in np.array_split(sound, BARS)])
    return [round(float(height), 1) for height in np.maximum(1.0, 100 * peaks / max(float(peaks.max()), 1e-9))]


def _image(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _sound(sound: np.ndarray, rate: int) -> str:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.clip(np.rint(sound * 2.0**15), -(2**15), 2**15 - 1).astype("<i2").tobytes())
    return f"data:audio/wav;base64,{base64.b64encode(buffer.getvalue()).decode()}"
