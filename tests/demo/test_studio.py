"""What the page of `bench demo` shows, without the page: images, what was listened to, and from where a copy is."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import worlds
from PIL import Image

from audiotoken.checkpoint import save_embedder
from audiotoken.embedder import Embedder
from benchmark.clips import ClipSet
from benchmark.data.manifest import load_manifest
from benchmark.demo.picture import refusal, strongest, to_html
from benchmark.demo.studio import Answer, Drawn, Near, Studio
from benchmark.media.audio import write_wav
from benchmark.media.images import load_image
from benchmark.runs.imagine import imagine_images
from benchmark.runs.request import RunRequest
from benchmark.utils.errors import UserError
from benchmark.utils.progress import Silent

# It draws the frame of a clip that everybody may look at: a copy, as a method that retrieves makes it.
COPY = """
return [Image.open(r"{path}") for clip in clips]
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def train(base: Path) -> ClipSet:
    """Training clips that cost less than those of the suite."""
    found = load_manifest(worlds.things(base)).train
    assert found is not None
    return found


@pytest.fixture(scope="module")
def embedder(base: Path) -> Path:
    torch.manual_seed(0)
    save_embedder(base / "embedder.safetensors", Embedder(288, 128), {})
    return base / "embedder.safetensors"


@pytest.fixture(scope="module")
def studio(base: Path, train: ClipSet, embedder: Path) -> Studio:
    copy = worlds.method_file(base, COPY.format(path=train[4].image), name="copier")
    requests = [
        RunRequest(method="audiotoken", settings={"embedder": str(embedder)}, runs=base / "demo-runs"),
        RunRequest(method=copy, runs=base / "demo-runs"),
    ]
    made = Studio(requests, Silent())
    made.__dict__["_train"] = train
    made.prepare()
    return made


@pytest.fixture(scope="module")
def sound(base: Path) -> Path:
    return next((base / "things" / "audio").glob("test-*.wav"))


@pytest.fixture(scope="module")
def answer(studio: Studio, sound: Path) -> Answer:
    return studio.answer(sound, ["audiotoken", "copier"])


def test_images_are_those_of_bench_imagine(studio: Studio, answer: Answer, sound: Path) -> None:
    request = studio.runs["audiotoken"].plan.request
    ((first, second),) = imagine_images([sound], request, Silent(), images=2)
    assert np.array_equal(np.asarray(answer.drawn[0].image), np.asarray(first))
    again = studio.answer(sound, ["audiotoken"], 1)
    assert np.array_equal(np.asarray(again.drawn[0].image), np.asarray(second)) and not np.array_equal(first, second)


def test_a_copy_is_seen_as_one(answer: Answer, train: ClipSet) -> None:
    learned, copied = answer.drawn
    assert copied.near is not None and copied.near.id == train[4].id and copied.near.similarity > 0.9999
    assert np.array_equal(np.asarray(copied.near.frame), load_image(train[4].image))
    assert learned.near is not None and learned.near.similarity < 0.99
    text = to_html(answer)
    assert text.count("A copy of a training clip") == 1 and text.count("Nearest training clip:") == 1


def test_the_attention_is_the_poolings_and_adds_up(studio: Studio, answer: Answer, sound: Path) -> None:
    learned, copied = answer.drawn
    assert copied.attention is None and learned.attention is not None
    assert (learned.attention >= 0).all() and learned.attention.sum() == pytest.approx(1)
    # 2.5 s are 248 frames of 10 ms, of which a patch takes 16
    assert learned.attention.shape == (248 // 16,)


def test_attention_follows_the_sound_in_time(base: Path, studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one time step has all the weight, the seconds that are named are those of this step."""
    from audiotoken import embedder as network

    original = network.Embedder.potentials

    def peaked(self: Embedder, features: torch.Tensor, generator: object = None) -> network.Potentials:
        found = original(self, features)
        weights = torch.zeros_like(found.attention)
        weights[:, 6 * 8 : 7 * 8] = 1 / 8  # the eight bands of the seventh moment
        return found._replace(attention=weights)

    monkeypatch.setattr(network.Embedder, "potentials", peaked)
    write_wav(base / "noise.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 40_000).astype(np.float32))
    (drawn,) = studio.answer(base / "noise.wav", ["audiotoken"]).drawn
    assert drawn.attention is not None and drawn.attention.argmax() == 6 and drawn.attention.max() == pytest.approx(1)
    assert strongest(drawn.attention, 2.5) == [(pytest.approx(1.0), pytest.approx(7 / 6))]


@pytest.mark.parametrize(
    ("weights", "spans"),
    [
        ([0.1, 0.6, 0.1, 0.2], [(1.0, 2.0)]),
        ([0.3, 0.3, 0.2, 0.2], [(0.0, 2.0)]),
        ([0.4, 0.1, 0.1, 0.4], [(0.0, 1.0), (3.0, 4.0)]),
        ([1.0], [(0.0, 4.0)]),
    ],
)
def test_the_seconds_that_are_named_hold_half_of_the_attention(
    weights: list[float], spans: list[tuple[float, float]]
) -> None:
    assert strongest(np.array(weights), 4.0) == spans


def test_bad_input_is_a_line_and_the_next_sound_works(studio: Studio, sound: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF no sound")
    for file, methods, words in (
        (tmp_path / "broken.wav", ["audiotoken"], "broken.wav"),
        (tmp_path / "gone.wav", ["audiotoken"], "gone.wav"),
        (sound, [], "choose at least one method"),
        (sound, ["wav2clip"], "'wav2clip' is not on this page: it has audiotoken, copier"),
    ):
        with pytest.raises(UserError, match=re.escape(words)) as caught:
            studio.answer(file, methods)
        assert len(caught.value.problems) == 1
    write_wav(tmp_path / "silent.wav", np.zeros(16_000, np.float32))
    assert any("is silent" in line for line in studio.answer(tmp_path / "silent.wav", ["copier"]).remarks)
    assert studio.answer(sound, ["copier"]).remarks == [], "the last sound's remarks are not the next one's"


def test_methods_that_need_more_than_a_sound_or_come_twice_are_refused(base: Path, embedder: Path) -> None:
    with pytest.raises(UserError, match="needs the label of a clip"):
        Studio([RunRequest(method="sd-text", runs=base / "demo-runs")], Silent())
    one = RunRequest(method="audiotoken", settings={"embedder": str(embedder)}, runs=base / "demo-runs")
    with pytest.raises(UserError, match="audiotoken is given more than once"):
        Studio([one, one], Silent())


def test_the_answer_is_whole_and_hostile_text_is_text(answer: Answer) -> None:
    text = to_html(answer)
    assert not re.findall(r'(?:src|href)="(?!data:)', text), "something is fetched from elsewhere"
    images = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        for data in re.findall(r"data:image/png;base64,([^\"]+)", text)
    ]
    assert len(images) == 4 and np.array_equal(images[0], np.asarray(answer.drawn[0].image))
    bad = "<script>alert(1)</script>\x1b[2J\u202e"
    picture = Image.new("RGB", (4, 4))
    near = Near(bad, bad, picture, np.zeros(8, np.float32), 0.5)
    shown = to_html(Answer(np.zeros(8, np.float32), 8, [Drawn(bad, picture, None, near)], [bad])) + refusal([bad])
    assert "<script" not in shown and "\x1b" not in shown and "\u202e" not in shown and "&lt;script&gt;" in shown
