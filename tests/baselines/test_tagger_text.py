"""The classifier's top label, and nothing else of a clip, is what is drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from baselines.tagger_text import TaggerText
from benchmark.backbone import Backbone
from benchmark.clips import Clip, ClipSet
from benchmark.method import MethodSettings, RunContext
from benchmark.mini.data import make_sound
from benchmark.mini.world import LABELS, label_of
from benchmark.registries import BACKBONES, METHODS
from benchmark.suite import Suite, load_suite
from benchmark.utils.errors import UserError
from benchmark.utils.progress import Silent


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return BACKBONES.get("mini")(load_suite("mini"), "cpu")


def tagger(suite: Suite, backbone: Backbone, labels: tuple[str, ...], ui: Silent) -> tuple[TaggerText, ClipSet]:
    """The method, set up for the first six clean sounds of the world; each clip claims to be of the first label."""
    waves = [make_sound("test", k, clean=True) / 32768 for k in range(6)]
    clips = tuple(Clip(f"c{k}", wave.astype("float32"), None, labels[:1], "test") for k, wave in enumerate(waves))
    test = ClipSet("six", clips, labels)
    method = TaggerText(MethodSettings())
    method.setup(RunContext(suite, backbone, test, 0, Path(), Path(), "cpu", ui))
    return method, test


def test_it_draws_what_the_classifier_hears(backbone: Backbone) -> None:
    assert METHODS.get("tagger-text") is TaggerText and not TaggerText.fits
    assert TaggerText.card.sees == ("audio", "label list") and "aic.audio" in (TaggerText.card.notes or "")
    ui = Silent()
    method, test = tagger(load_suite("mini"), backbone, LABELS, ui)
    heard = method.choose(test[:])
    assert sum(label == label_of(k) for k, label in enumerate(heard)) >= 5
    prompts = [f"a photo of {label}" for label in heard]
    assert method.condition(test[:]).prompt_embeds.equal(backbone.encode_prompts(prompts))
    assert not ui.warnings


def test_other_labels_of_the_data_are_remarked_on(backbone: Backbone) -> None:
    ui = Silent()
    method, test = tagger(load_suite("mini"), backbone, ("a noise", LABELS[3]), ui)
    assert set(method.choose(test[:])) <= set(LABELS)
    assert len(ui.warnings) == 1 and "1 of the data set's 2 labels (not 'a noise')" in ui.warnings[0]


def test_a_suite_without_a_classifier_stops_it(backbone: Backbone) -> None:
    mini = load_suite("mini")
    deaf = mini.model_copy(update={"scorers": mini.scorers.model_copy(update={"audio_label": None})})
    with pytest.raises(UserError, match="'mini' has no audio classifier") as caught:
        tagger(deaf, backbone, LABELS, Silent())
    assert len(caught.value.problems) == 1
