"""The data set: clips with their metadata, and the questions that probes ask of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmark.mini.data import make_picture, make_sound
from benchmark.mini.dataset import MiniData
from benchmark.mini.world import LABELS, SPEAKERS, SPEECH
from benchmark.suite import ProbeSpec, load_suite
from benchmark.utils.progress import Silent


def test_clips_and_their_metadata(tmp_path: Path) -> None:
    suite = load_suite("mini")
    suite = suite.model_copy(update={"data": suite.data.model_copy(update={"test": 26})})
    clips = MiniData().clips(suite, "test", tmp_path, Silent())
    assert len(clips) == 26 and clips.labels == LABELS
    assert np.array_equal(np.asarray(clips[7].picture()), make_picture("test", 7))
    assert np.array_equal(clips[7].waveform(16_000), make_sound("test", 7) / np.float32(32768))
    for clip in clips:
        assert {"reverberation", "level_db"} <= clip.attributes.keys()
        assert ("background" in clip.attributes) == ("background_db" in clip.attributes)
    identity = ProbeSpec(attribute="speaker")
    cue = ProbeSpec(attribute="cue", without="speaker")
    spoken = [clip for clip in clips if clip.label == SPEECH]
    assert [identity.answer(clip.attributes) is None for clip in spoken] == [False, True]
    assert [cue.answer(clip.attributes) is None for clip in spoken] == [True, False]
    assert identity.answer(spoken[0].attributes) in SPEAKERS
    assert cue.answer(spoken[1].attributes) in {"man", "woman", "child"}
    others = [clip for clip in clips if clip.label != SPEECH]
    assert not any(question.answer(clip.attributes) for clip in others for question in (identity, cue))
