"""Several tokens: one stays what it was to the bit, and each of several is pooled and placed like one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import worlds
from torch import nn

from audiotoken.checkpoint import load_embedder, save_embedder
from audiotoken.convert import from_suite
from audiotoken.embedder import Embedder, Rows
from audiotoken.losses import token_penalties
from audiotoken.pipeline import TokenEmbedder
from benchmark.media.images import load_image
from benchmark.method import make_settings
from benchmark.records.store import packaged_records
from benchmark.registries import find_method
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.runs.seeds import image_seed
from benchmark.runs.shipped import shipped_fit
from benchmark.utils.errors import UserError
from benchmark.utils.progress import Silent

METHODS = (
    "audiotoken",
    "audiotoken-cl",
    "audiotoken-lora",
    "shuffled",
    "wav2clip",
    "wav2clip-trained",
    "imagebind",
    "imagebind-trained",
)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


def make(tokens: int = 1, **options: Any) -> Embedder:
    torch.manual_seed(0)
    return Embedder(12, 6, tokens=tokens, **options).eval()


def features() -> torch.Tensor:
    return torch.randn(3, 9, 12, generator=torch.Generator().manual_seed(1))


def alone(model: Embedder, number: int) -> Embedder:
    """The embedder of one token with the rows of fc2 of token `number`."""
    state = model.state_dict()
    rows = slice(number * model.output_size, (number + 1) * model.output_size)
    state |= {name: state[name][rows] for name in ("fc2.weight", "fc2.bias")}
    one = Embedder(model.input_size, model.output_size, hidden_size=model.hidden_size)
    one.load_state_dict(state)
    return one.eval()


# ------------------------------------------------------------------------------------------------- one is as before


def test_one_token_is_the_formula_with_one_token_to_the_bit() -> None:
    torch.manual_seed(0)
    # The parameters as they were always drawn: fc1, fc2, then the pooling.
    fc1, fc2, unary = nn.Linear(12, 12), nn.Linear(12, 6), nn.Conv1d(6, 6, 1)
    model, x = make(), features()
    assert torch.equal(model.fc1.weight, fc1.weight) and torch.equal(model.fc2.weight, fc2.weight)
    assert torch.equal(model.fga.un_models[0].embed.weight, unary.weight)
    state = model.state_dict()

    def linear(name: str, values: torch.Tensor) -> torch.Tensor:
        return F.linear(values, state[f"fga.{name}.weight"].squeeze(-1), state[f"fga.{name}.bias"])

    hidden = F.linear(F.gelu(F.linear(x, fc1.weight, fc1.bias)), fc2.weight, fc2.bias)
    own = linear("un_models.0.feature_reduce", F.relu(linear("un_models.0.embed", hidden))).squeeze(-1)
    left, right = (F.normalize(linear(f"pp_models.0.embed_{side}", hidden), dim=-1) for side in "XY")
    agreement = (left * right.mean(dim=1, keepdim=True)).sum(dim=-1)
    a, b = state["fga.reduce_potentials.0.weight"].flatten()
    attention = (a * own + b * agreement).softmax(dim=1)
    assert torch.equal(model(x), (attention.unsqueeze(-1) * hidden).sum(dim=1))


@pytest.mark.parametrize("name", METHODS)
def test_one_token_has_the_identity_and_the_settings_of_none_named(name: str) -> None:
    method = find_method(name)
    plain, one, two = (make_settings(method, given) for given in ({}, {"tokens": "1"}, {"tokens": "2"}))
    assert plain.tokens == 1 and plain.model_dump(mode="json") == one.model_dump(mode="json")
    assert "tokens" not in plain.model_dump(mode="json", exclude_none=True)
    assert two.model_dump(mode="json") == {**plain.model_dump(mode="json"), "tokens": 2}
    with pytest.raises(UserError, match="tokens"):
        make_settings(method, {"tokens": "0"})


def test_plans_of_one_token_are_the_old_ones_and_others_are_beside_them(tmp_path: Path) -> None:
    def plan(**settings: str) -> Any:
        return Run.of(RunRequest(method="audiotoken", settings=settings, runs=tmp_path, device="cpu"), Silent()).plan

    plain, one, four = plan(), plan(tokens="1"), plan(tokens="4")
    assert (plain.identity, plain.fit_identity, plain.folder.path) == (one.identity, one.fit_identity, one.folder.path)
    assert shipped_fit(one) is not None, "the fit that was made before there could be several tokens"
    assert shipped_fit(four) is None and four.changed_settings == {"tokens": 4}
    assert four.folder.path != plain.folder.path and four.fit_folder.path != plain.fit_folder.path


def test_committed_records_are_those_of_one_token(tmp_path: Path) -> None:
    found = [one.record for one in packaged_records("mini").records if one.record.method.name in METHODS]
    assert found
    for record in found:
        request = RunRequest(method=record.method.name, seed=record.seed or 0, runs=tmp_path, device="cpu")
        plan = Run.of(request, Silent()).plan
        assert plan.identity == record.identity and "tokens" not in record.method.settings


# ------------------------------------------------------------------------------------------------------ several


def test_each_token_is_that_of_an_embedder_with_its_part_of_the_last_layer() -> None:
    model, x = make(tokens=3), features()
    tokens = model(x)
    assert tokens.shape == (3, 3, 6)
    for number in range(3):
        torch.testing.assert_close(tokens[:, number], alone(model, number)(x))
    torch.testing.assert_close(model.potentials(x).attention.sum(dim=1), torch.ones(3, 3))
    count = [sum(one.numel() for one in made.parameters()) for made in (make(), model)]
    assert count[1] - count[0] == 2 * (12 + 1) * 6
    with pytest.raises(ValueError, match="1 token or more, not 0"):
        make(tokens=0)


def test_a_batch_is_split_over_processes_without_other_dropout() -> None:
    model, x = make(tokens=2).train(), features()

    def rows(taken: slice) -> torch.Tensor:
        return model(x[taken], Rows(torch.Generator().manual_seed(3), 3, taken))

    torch.testing.assert_close(rows(slice(None))[1:], rows(slice(1, None)))


def test_the_penalties_are_means_over_tokens() -> None:
    tokens, labels = torch.randn(5, 3, 6), torch.randn(5, 6)
    found = token_penalties(tokens, labels)
    torch.testing.assert_close(found.l1, tokens.abs().mean())
    torch.testing.assert_close(found.l2, tokens.square().sum(-1).mean())
    torch.testing.assert_close(found.cl, token_penalties(tokens.mean(1), labels).cl)
    same = token_penalties(tokens[:, :1].expand(5, 3, 6), labels)
    assert same.total == pytest.approx(float(token_penalties(tokens[:, 0], labels).total)), "equal tokens are one"


def test_the_file_says_how_many_there_are(tmp_path: Path) -> None:
    model, x = make(tokens=3, hidden_size=9), features()
    save_embedder(tmp_path / "three.safetensors", model, {})
    again = load_embedder(tmp_path / "three.safetensors")
    assert (again.tokens, again.output_size, again.hidden_size) == (3, 6, 9)
    with torch.no_grad():
        assert torch.equal(again(x), model(x))
    part = TokenEmbedder.of(model)
    part.save_pretrained(tmp_path / "part")
    with torch.no_grad():
        assert torch.equal(TokenEmbedder.from_pretrained(tmp_path / "part")(x), model(x))
    assert "tokens" not in TokenEmbedder.of(make()).config, "the file of one token is what it was"


# ---------------------------------------------------------------------------------------------------- in a run


def test_a_run_trains_draws_and_becomes_a_pipeline(base: Path) -> None:
    given = {"steps": 2, "batch_size": 4, "tokens": 2, "timesteps": "importance"}
    folder, record = worlds.finished(base, "audiotoken-cl", **given)
    assert record["method"]["settings"]["tokens"] == 2
    request, _ = RunRequest.load(folder, "cpu")
    job = Run.of(RunRequest(**{**vars(request), "runs": base / "runs", "used": None}), Silent())
    assert job.plan.folder.path == folder
    method = job.make(job.test)
    method.load()
    assert record["cost"]["trainable_parameters"] == sum(one.numel() for one in method.embedder.parameters())
    clip, places = job.test[0], job.backbone.template(2)[1][0].nonzero().flatten().tolist()
    assert places[1] == places[0] + 1, "side by side"
    with torch.no_grad():
        tokens = method.embedder(method.listener([clip]))
    assert tokens.shape == (1, 2, job.backbone.token_width) and not torch.equal(tokens[:, 0], tokens[:, 1])
    assert not torch.equal(job.backbone.inject(tokens), job.backbone.inject(tokens.flip(1)))
    pipeline = from_suite(job.plan.fit_folder.path)
    seed = image_seed(job.plan.suite.generation.seed, 0, clip.id, 0)
    wave = job.plan.suite.sound(clip)
    drawn = pipeline(wave, sampling_rate=16_000, generator=[torch.Generator().manual_seed(seed)]).images[0]
    assert pipeline.encode_audio(wave, 16_000).shape == tokens.shape
    off = np.abs(np.asarray(drawn, int) - np.asarray(load_image(folder / "images" / f"{clip.id}.png"), int))
    assert off.max() <= 2, "the run drew a batch, which may round otherwise"
    with pytest.raises(UserError, match=r"1 of the 2 audio tokens are cut off|2 of the 2 audio tokens are cut off"):
        pipeline(wave, sampling_rate=16_000, prompt="very " * (job.backbone.tokenizer.model_max_length - 3) + "{}")


def test_a_prompt_without_room_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    result = worlds.bench("fit", "--method", "audiotoken", "--set", "tokens=99", runs=tmp_path)
    line = result.err.strip().splitlines()[-1]
    assert result.code == 2 and line.startswith("bench: tokens=99: the text encoder reads "), result.err
    assert not list(tmp_path.rglob("embedder.safetensors"))
    room = int(line.rpartition("--set tokens=")[2].split()[0])
    job = Run.of(RunRequest(method="audiotoken", runs=tmp_path, device="cpu"), Silent())
    job.backbone.template(room)
    with pytest.raises(UserError, match=f"leaves {room} of them"):
        job.backbone.template(room + 1)
