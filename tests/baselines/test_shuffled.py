"""The floor: each clip is drawn from another clip's sound, through AudioToken's own fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import worlds

from baselines.shuffled import Shuffled, derangement
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.utils.progress import Silent


@pytest.mark.parametrize("count", [2, 3, 4, 7, 12, 540])
def test_no_clip_keeps_its_own_sound(count: int) -> None:
    for seed in range(20):
        order = derangement(count, seed)
        assert sorted(order) == list(range(count))
        assert all(place != other for place, other in enumerate(order))
        assert order == derangement(count, seed)


def test_seeds_shuffle_differently() -> None:
    assert len({tuple(derangement(12, seed)) for seed in range(20)}) == 20
    assert {tuple(derangement(3, seed)) for seed in range(40)} == {(1, 2, 0), (2, 0, 1)}


def test_one_clip_has_no_other() -> None:
    assert derangement(1, 0) == [0] and derangement(0, 0) == []


def test_it_is_audiotoken_with_the_sounds_exchanged(tmp_path_factory: pytest.TempPathFactory) -> None:
    base = tmp_path_factory.getbasetemp()
    few = {"steps": 2, "batch_size": 4}
    token, _ = worlds.finished(base, "audiotoken", **few)
    shuffled, record = worlds.finished(base, "shuffled", **few)
    # the fit was not made again
    assert len(list(token.parents[1].glob("audiotoken-????????/embedder.safetensors"))) == 1
    assert not list(shuffled.parents[1].glob("shuffled-*"))
    assert record["cost"]["fit_steps"] == 2 and record["method"]["card"]["sees"] == ["other clips"]

    def job(method: str) -> Run:
        settings = {name: str(value) for name, value in few.items()}
        return Run.of(
            RunRequest(suite="mini", method=method, data=worlds.things(base), settings=settings, runs=base / "runs"),
            Silent(),
        )

    plans = job("audiotoken"), job("shuffled")
    assert plans[0].plan.fit_folder and plans[1].plan.fit_folder
    assert plans[0].plan.fit_folder.path == plans[1].plan.fit_folder.path
    ours, theirs = (one.make(one.test) for one in plans)
    assert isinstance(theirs, Shuffled)
    for method in (ours, theirs):
        method.load()
    clips = plans[0].test
    order = derangement(len(clips), 0)
    some = [0, 5, 7]
    ours_of_others = ours.condition([clips[order[k]] for k in some]).prompt_embeds  # type: ignore[attr-defined]
    assert theirs.condition([clips[k] for k in some]).prompt_embeds.equal(ours_of_others)
    assert set(worlds.pictures(token)) == set(worlds.pictures(shuffled))


def test_a_fit_made_for_it_is_audiotokens(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whoever comes first, the file is the same."""
    from audiotoken.checkpoint import read_metadata

    data = worlds.things(tmp_path_factory.getbasetemp())
    made = []
    for method in ("audiotoken", "shuffled"):
        result = worlds.bench(
            "fit",
            "--method",
            method,
            "--data",
            data,
            "--set",
            "steps=1",
            "--set",
            "batch_size=2",
            runs=tmp_path / method,
        )
        assert result.code == 0, result.err
        made.append(Path(result.out.strip()) / "embedder.safetensors")
    assert made[0].read_bytes() == made[1].read_bytes() and read_metadata(made[1])["method"] == "audiotoken"
