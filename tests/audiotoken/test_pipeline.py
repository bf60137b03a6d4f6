"""The pipeline that is shared: the benchmark's own pictures, from any sound, saved and loaded without a difference."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
import torch
import worlds
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.utils import logging
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

from audiotoken import convert
from audiotoken.checkpoint import load_embedder, save_embedder
from audiotoken.embedder import Embedder
from audiotoken.method import AudioToken
from audiotoken.pipeline import AudioEncoder, AudioTokenPipeline, TokenEmbedder
from audiotoken.settings import AudioTokenSettings
from benchmark.clips import Clip, ClipSet
from benchmark.media.audio import load_audio
from benchmark.method import RunContext
from benchmark.mini import networks
from benchmark.mini.data import make_sound
from benchmark.mini.wiring import WEIGHTS
from benchmark.registries import BACKBONES
from benchmark.runs.seeds import image_seed
from benchmark.runs.steps import make_images
from benchmark.suite import load_suite
from benchmark.utils.errors import RunError, UserError
from benchmark.utils.progress import Silent
from metrics.encoders.beats import BEATs, BEATsConfig

RATE = 16_000
FEATURES, WIDTH, SIDE = 48, 16, 16
# Other batch sizes take other kernels, which round otherwise.
ROUNDING = 1e-4


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    yield
    logging.set_verbosity(level)
    logging.enable_progress_bar()


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files in the released formats: small networks, random weights of the true names."""
    folder = tmp_path_factory.mktemp("released")
    torch.manual_seed(0)
    config = BEATsConfig(
        encoder_embed_dim=16,
        encoder_ffn_embed_dim=24,
        encoder_attention_heads=2,
        embed_dim=8,
        conv_pos=8,
        conv_pos_groups=2,
        predictor_class=5,
    )
    torch.save({"cfg": asdict(config), "model": BEATs(config).state_dict()}, folder / "BEATs.pt")
    torch.save(Embedder(FEATURES, WIDTH).state_dict(), folder / "embedder_learned_embeds.bin")
    tokenizer = networks.tokenizer(WEIGHTS / "tokenizer")
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=networks.CONTEXT,
        bos_token_id=len(tokenizer) - 2,
        eos_token_id=len(tokenizer) - 1,
    )
    unet = UNet2DConditionModel(
        sample_size=SIDE // 2,
        in_channels=4,
        out_channels=4,
        block_out_channels=(8,),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D",),
        up_block_types=("CrossAttnUpBlock2D",),
        cross_attention_dim=WIDTH,
        attention_head_dim=2,
        norm_num_groups=4,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        latent_channels=4,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
        sample_size=SIDE,
    )
    StableDiffusionPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(text),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DPMSolverMultistepScheduler(**networks.SCHEDULE, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder / "diffusion")
    return folder


def command(released: Path, output: Path, **files: Path) -> int:
    given = {"embedder": "embedder_learned_embeds.bin", "beats": "BEATs.pt", "base": "diffusion"} | files
    embedder, beats, base = (str(released / path) for path in given.values())
    return convert.main([embedder, "--beats", beats, "--base", base, "-o", str(output)])


@pytest.fixture(scope="module")
def folder(released: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The released files as a pipeline's folder."""
    path = tmp_path_factory.mktemp("made") / "pipeline"
    assert command(released, path) == 0
    return path


def load(folder: Path | str, **given: Any) -> Any:
    pipeline = AudioTokenPipeline.from_pretrained(folder, **{"seconds": 2.5, "num_inference_steps": 2, **given})
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module")
def pipeline(folder: Path) -> Any:
    return load(folder)


@pytest.fixture(scope="module")
def sounds() -> list[np.ndarray]:
    return [make_sound("validation", k) / np.float32(32768) for k in (3, 40)]


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def draw(pipeline: Any, audio: Any, *seeds: int, **given: Any) -> np.ndarray:
    """(pictures, height, width, 3) in [0, 1]."""
    given = {"sampling_rate": RATE, "output_type": "np"} | given
    return np.asarray(pipeline(audio, generator=seeded(*seeds), **given).images)


def same(one: torch.nn.Module, state: dict[str, torch.Tensor]) -> bool:
    ours = one.state_dict()
    return ours.keys() == state.keys() and all(torch.equal(value, state[name]) for name, value in ours.items())


# ------------------------------------------------------------------------------------------- saved, loaded, shared


def test_pictures_are_the_benchmarks_bit_by_bit(tmp_path: Path) -> None:
    published = load_suite("mini")
    generation = published.generation
    suite = published.model_copy(update={"generation": generation.model_copy(update={"steps": 2})})
    waves = [make_sound("test", k) / np.float32(32768) for k in (0, 7, 25)]
    clips = ClipSet("three", tuple(Clip(f"c{k}", wave, None, ("x",), "test") for k, wave in enumerate(waves)), ("x",))
    torch.manual_seed(0)
    fit = tmp_path / "fit"
    metadata = {"method": "audiotoken", "suite": "mini", "seed": "0", "steps": "0"}
    save_embedder(fit / "embedder.safetensors", Embedder(288, 128), metadata)
    method = AudioToken(AudioTokenSettings())
    backbone = BACKBONES.get("mini")(suite, "cpu")
    method.setup(RunContext(suite, backbone, clips, 0, fit, tmp_path, "cpu", Silent()))
    method.load()
    seeds = [image_seed(generation.seed, 0, clip.id, 0) for clip in clips]
    expected = make_images(method, clips[:], seeds)

    assert convert.main([str(fit), "-o", str(tmp_path / "pipeline")]) == 0
    made = AudioTokenPipeline.from_pretrained(tmp_path / "pipeline")
    pictures = made(waves, RATE, generator=seeded(*seeds), num_inference_steps=2).images
    assert all(np.array_equal(a, b) for a, b in zip(pictures, expected, strict=True))
    assert not np.array_equal(expected[0], expected[1])
    # and with no word about how to sample, it is sampled as the suite says
    settings = {
        "sampling_rate": published.data.rate,
        "seconds": published.data.seconds,
        "length": published.data.length,
        "prompt": generation.prompt,
        "negative_prompt": generation.negative_prompt,
        "num_inference_steps": generation.steps,
        "guidance_scale": generation.guidance,
    }
    assert {name: made.config[name] for name in settings} == settings


def test_saved_and_loaded(pipeline: Any, sounds: list[np.ndarray], tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".json", ".py", ".safetensors"}
    again = AudioTokenPipeline.from_pretrained(tmp_path)
    assert (again.config.seconds, again.config.num_inference_steps) == (2.5, 2)
    assert np.array_equal(draw(again, sounds, 1, 2), draw(pipeline, sounds, 1, 2))
    # its file is a checkpoint like any other, under the released names
    stored = load_embedder(tmp_path / "embedder" / "diffusion_pytorch_model.safetensors")
    assert same(pipeline.embedder, stored.state_dict())


def test_a_pickled_part_is_not_read_unless_asked_for(pipeline: Any, tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path)
    weights = tmp_path / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(weights), weights.with_suffix(".bin"))
    weights.unlink()
    with pytest.raises(OSError, match="safetensors"):
        AudioTokenPipeline.from_pretrained(tmp_path)
    again = AudioTokenPipeline.from_pretrained(tmp_path, use_safetensors=None)
    assert same(again.unet, pipeline.unet.state_dict())


def test_an_embedder_of_any_shape_and_its_dropout_are_kept(tmp_path: Path) -> None:
    made = TokenEmbedder.of(Embedder(6, 4, hidden_size=9), official_dropout=True)
    made.save_pretrained(tmp_path)
    again = TokenEmbedder.from_pretrained(tmp_path)
    assert same(again, made.state_dict()) and again.hidden_size == 9 and not again.training
    features = torch.arange(5.0)[None, :, None].expand(1, 5, 6)
    with torch.no_grad():
        assert len({again(features).sum().item() for _ in range(8)}) > 1


def test_a_pipeline_leaves_dropout_on_where_its_fit_did(released: Path, tmp_path: Path) -> None:
    base = tmp_path.parents[0]
    result = worlds.bench(
        "fit",
        "--method",
        "audiotoken",
        "--data",
        worlds.things(base),
        "--set",
        "official_dropout=true",
        "--set",
        "steps=1",
        "--set",
        "batch_size=2",
        runs=tmp_path,
    )
    assert result.code == 0, result.err
    fit = Path(result.out.strip())
    assert convert.from_suite(fit).embedder.config.official_dropout
    assert not convert.from_suite(fit, official_dropout=False).embedder.config.official_dropout
    state = torch.load(released / "embedder_learned_embeds.bin", weights_only=True)
    embedder = Embedder(FEATURES, WIDTH)
    embedder.load_state_dict(state)
    for metadata, on in (({"official_dropout": "true"}, True), ({}, False)):
        save_embedder(tmp_path / "embedder.safetensors", embedder, metadata)
        out = tmp_path / f"pipeline-{on}"
        assert command(released, out, embedder=tmp_path / "embedder.safetensors") == 0
        assert load(out).embedder.config.official_dropout is on


def test_a_component_with_missing_or_surplus_parameters_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "embedder", tmp_path / "embedder")
    path = tmp_path / "embedder" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    tensors["fc3.bias"] = tensors.pop("fc2.bias")
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(UserError) as caught:
        TokenEmbedder.from_pretrained(tmp_path / "embedder")
    assert [line.split(": ")[1] for line in caught.value.problems] == ["fc2.bias is missing", "fc3.bias is unexpected"]


def test_a_share_is_the_embedder_and_references(
    pipeline: Any, folder: Path, released: Path, sounds: list[np.ndarray], tmp_path: Path
) -> None:
    base = str(released / "diffusion")
    pipeline.save_embedder(tmp_path, base, str(folder))
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {"model_index.json", "embedder/config.json", "embedder/diffusion_pytorch_model.safetensors"}
    expected = draw(pipeline, sounds[:1], 5)
    assert np.array_equal(draw(load(tmp_path), sounds[:1], 5), expected)

    pipeline.save_embedder(tmp_path, base)
    with pytest.raises(UserError, match="without an audio encoder: pass audio_encoder="):
        load(tmp_path)
    ears = AudioEncoder.from_released(released / "BEATs.pt")
    made = load(tmp_path, audio_encoder=ears, guidance_scale=2.0)
    assert made.audio_encoder is ears and made.config.guidance_scale == 2
    assert np.array_equal(draw(made, sounds[:1], 5, guidance_scale=7.5), expected)
    load(tmp_path, audio_encoder=AudioEncoder.from_pretrained(folder / "audio_encoder").half())
    with torch.no_grad():
        ears.beats.layer_norm.weight[3] += 0.5
    with pytest.raises(UserError, match="audio encoder is not the one"):
        load(tmp_path, audio_encoder=ears)


def test_repositories_of_the_hub(
    pipeline: Any, folder: Path, released: Path, sounds: list[np.ndarray], tmp_path: Path
) -> None:
    cache, commit = tmp_path / "cache", "0123456789abcdef0123456789abcdef01234567"
    pipeline.save_embedder(tmp_path / "share", f"somebody/diffusion@{commit}", "somebody/ears")
    contents = {"share": tmp_path / "share", "ears": folder, "diffusion": released / "diffusion"}
    for name, content in contents.items():
        root = cache / f"models--somebody--{name}"
        (root / "refs").mkdir(parents=True)
        (root / "refs" / "main").write_text(commit)
        (root / "snapshots").mkdir()
        (root / "snapshots" / commit).symlink_to(content, target_is_directory=True)
    made = load("somebody/share", cache_dir=cache, local_files_only=True)
    assert np.array_equal(draw(made, sounds[:1], 5), draw(pipeline, sounds[:1], 5))


# ------------------------------------------------------------------------------------------------- released files


def test_released_files(pipeline: Any, released: Path) -> None:
    assert same(pipeline.embedder, torch.load(released / "embedder_learned_embeds.bin", weights_only=True))
    assert same(pipeline.audio_encoder.beats, torch.load(released / "BEATs.pt", weights_only=True)["model"])
    made = convert.from_released(
        released / "embedder_learned_embeds.bin", released / "BEATs.pt", str(released / "diffusion")
    )
    assert (made.config.seconds, made.config.num_inference_steps, made.config.guidance_scale) == (10.0, 50, 7.5)


def test_files_that_do_not_fit_are_refused_with_the_list(
    released: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refusal(**files: Path) -> str:
        assert command(released, tmp_path / "refused", **files) == 2 and not (tmp_path / "refused").exists()
        return capsys.readouterr().err

    bad, nowhere = tmp_path / "bad", tmp_path / "nowhere"
    torch.save(Embedder(FEATURES, 24).state_dict(), bad)
    assert "tokens of width 24, the text encoder reads 16" in refusal(embedder=bad)
    torch.save(Embedder(96, WIDTH).state_dict(), bad)
    assert "features of width 96, the audio encoder gives 48" in refusal(embedder=bad)
    torch.save({"cfg": print}, bad)
    assert "cannot be read" in refusal(embedder=bad) and "is not a BEATs checkpoint" in refusal(beats=bad)
    assert "cannot be read" in refusal(embedder=nowhere) and "cannot be read" in refusal(beats=nowhere)
    assert "nowhere cannot be loaded" in refusal(base=nowhere)

    state = torch.load(released / "embedder_learned_embeds.bin", weights_only=True)
    state["extra"] = state.pop("fc1.bias")
    state["fga.un_models.0.embed.weight"] = torch.zeros(2, 2, 1)
    torch.save(state, bad)
    found, words = refusal(embedder=bad), ["fc1.bias is missing", "extra is unexpected", "0.embed.weight has shape"]
    assert all(word in found for word in words), found
    content = torch.load(released / "BEATs.pt", weights_only=True)
    content["model"]["extra"] = content["model"].pop("layer_norm.weight")
    content["model"]["patch_embedding.weight"] = torch.zeros(8, 1, 8, 8)
    torch.save(content, bad)
    found, words = refusal(beats=bad), ["extra", "layer_norm.weight", "patch_embedding.weight"]
    assert all(word in found for word in words), found


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def complaint(*arguments: object) -> str:
        assert convert.main([str(argument) for argument in arguments]) == 2
        return capsys.readouterr().err

    new, file = tmp_path / "new", tmp_path / "embedder.safetensors"
    save_embedder(file, Embedder(8, 8), {"method": "wav2clip-trained", "suite": "mini"})
    assert "exists" in complaint(tmp_path, "-o", tmp_path)
    assert "--beats needs --base" in complaint(tmp_path, "-o", new, "--beats", "x.pt")
    assert "--embedder-only needs --base" in complaint(tmp_path, "-o", new, "--embedder-only")
    assert "--outptu" in complaint(tmp_path, "--outptu", new)
    assert "fit of method 'wav2clip-trained'" in complaint(tmp_path, "-o", new)
    save_embedder(file, Embedder(8, 8), {})
    assert "give --suite, or --beats and --base" in complaint(file, "-o", new)
    assert "unknown suite 'minni'" in complaint(file, "-o", new, "--suite", "minni")
    assert not new.exists()


# --------------------------------------------------------------------------------------------------------- sounds


def test_any_rate_and_shape(pipeline: Any, sounds: list[np.ndarray], tmp_path: Path) -> None:
    def check(audio: Any, rate: int | None, expected: torch.Tensor) -> None:
        tokens = pipeline.encode_audio(audio, rate)
        torch.testing.assert_close(tokens, expected.expand_as(tokens), rtol=0, atol=ROUNDING)

    wave = sounds[0]
    (expected,) = pipeline.encode_audio(wave, RATE)
    path = tmp_path / "sound.wav"
    soundfile.write(path, np.stack([wave, wave], axis=1), RATE, subtype="FLOAT")
    stereo = np.stack([wave * 0.5, wave * 1.5])
    steps = (wave * 32768).astype(np.int16)
    ways = [str(path), path, stereo, stereo.T, torch.from_numpy(stereo), torch.from_numpy(wave), wave.astype(float)]
    check([*ways, steps, torch.from_numpy(steps)], RATE, expected)
    check(path, None, expected)
    half = torch.from_numpy(wave).half()
    check(half, RATE, pipeline.encode_audio(half.float(), RATE))
    fine = np.asarray(soxr.resample(wave, RATE, 44_100))
    heard = pipeline.encode_audio(load_audio(fine, RATE, source_rate=44_100), RATE)
    check(fine, 44_100, heard)
    soundfile.write(path, fine, 44_100, subtype="FLOAT")
    check(path, None, heard)
    # a short sound is repeated, a long one cut
    short = wave[: 5 * RATE // 4]
    check(short, RATE, pipeline.encode_audio(np.tile(short, 2), RATE))
    check(np.concatenate([wave, -wave]), RATE, expected)
    assert (pipeline.encode_audio(sounds[1], RATE) - expected).abs().max() > 100 * ROUNDING


def test_what_is_no_sound_is_one_line_each(pipeline: Any, tmp_path: Path) -> None:
    empty, text, nowhere = tmp_path / "empty.wav", tmp_path / "text.wav", tmp_path / "nowhere.wav"
    empty.write_bytes(b"")
    text.write_text("no sound at all")
    good = np.ones(RATE, np.float32)
    bad = [np.full(RATE, np.nan), np.zeros(0, np.float32), np.zeros((20, 30)), [0.1, 0.2], empty, text, nowhere]
    words = ["NaN", "no samples", "shape (20, 30)", "is a list", "is an empty file", "cannot be decoded", "not exist"]
    with pytest.raises(UserError) as caught:
        pipeline([good, *bad], sampling_rate=RATE)
    lines = caught.value.problems
    assert len(lines) == len(bad) and all(word in line for word, line in zip(words, lines, strict=True)), lines
    assert "audio 2 of 8 holds NaN" in lines[0] and str(text) in lines[5] and all("\n" not in line for line in lines)
    for audio, rate, word in [([], RATE, "no audio"), (good, None, "give sampling_rate"), (good, 0, "sampling_rate=0")]:
        with pytest.raises(UserError, match=word):
            pipeline(audio, sampling_rate=rate)


def test_silence_is_drawn_with_a_warning(pipeline: Any, sounds: list[np.ndarray]) -> None:
    with pytest.warns(UserWarning, match="audio 2 of 2 is silent") as caught:
        assert draw(pipeline, [sounds[0], worlds.SILENCE], 1, 2).shape == (2, SIDE, SIDE, 3)
    assert any(one.filename == __file__ for one in caught if "silent" in str(one.message))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        pipeline.encode_audio(sounds, RATE)


# ------------------------------------------------------------------------------------------------------- sampling


def test_a_picture_does_not_depend_on_its_neighbours(pipeline: Any, sounds: list[np.ndarray]) -> None:
    alone = np.concatenate([draw(pipeline, sound, seed) for sound, seed in zip(sounds, (1, 2), strict=True)])
    together = draw(pipeline, sounds, 1, 2)
    assert np.abs(together - alone).max() <= ROUNDING < np.abs(draw(pipeline, sounds[::-1], 1, 2) - alone).max()
    several = draw(pipeline, sounds, 1, 8, 9, 2, num_images_per_prompt=2)
    assert len(several) == 4 and np.abs(several[[0, 3]] - alone).max() <= ROUNDING
    assert np.abs(several[1] - several[0]).max() > 100 * ROUNDING


def test_without_guidance(pipeline: Any, sounds: list[np.ndarray]) -> None:
    plain, guided = (
        [draw(pipeline, sounds[0], 1, guidance_scale=scale, negative_prompt=words) for words in ("", "red fire")]
        for scale in (1.0, 3.0)
    )
    assert np.array_equal(*plain) and not np.array_equal(*guided) and not np.array_equal(plain[0], guided[0])


def test_prompts(pipeline: Any, sounds: list[np.ndarray]) -> None:
    expected = draw(pipeline, sounds, 1, 2)
    assert np.array_equal(draw(pipeline, sounds, 1, 2, prompt="a photo of <*>"), expected)
    other = draw(pipeline, sounds, 1, 2, prompt=["a photo of {}", "a drawing of {} at night"])
    assert np.array_equal(other[0], expected[0]) and not np.array_equal(other[1], expected[1])
    for prompt, words in [
        ("a photo", "0 placeholders"),
        ("{} and <*>", "2 placeholders"),
        ("very " * 80 + "{}", "too long"),
        (["{}", "{}"], "2 prompts for 1 audio items"),
    ]:
        with pytest.raises(UserError, match=words):
            draw(pipeline, sounds[0], 1, prompt=prompt)
    with pytest.raises(UserError, match="only the prompt takes audio"):
        draw(pipeline, sounds[0], 1, negative_prompt="not <*>")


def test_what_a_call_gives(pipeline: Any, sounds: list[np.ndarray]) -> None:
    def call(**given: Any) -> Any:
        return pipeline(sounds[0], RATE, generator=seeded(1), **given)

    (picture,) = call().images
    assert picture.mode == "RGB" and picture.size == (SIDE, SIDE)
    (array,) = call(output_type="np", return_dict=False)[0]
    assert array.dtype == np.float32 and np.array_equal((array * 255).round(), np.asarray(picture))
    tensor = call(output_type="pt").images
    assert tensor.shape == (1, 3, SIDE, SIDE) and np.array_equal(tensor[0].permute(1, 2, 0).numpy(), array)
    with pytest.raises(UserError, match="unknown output_type 'jpg'"):
        call(output_type="jpg")
    with pytest.raises(UserError, match="num_inference_steps=0"):
        call(num_inference_steps=0)
    assert call(height=24, width=32).images[0].size == (32, 24)

    seen = []

    def watch(sampler: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        seen.append((step, tuple(tensors["latents"].shape)))
        return {"latents": torch.zeros_like(tensors["latents"])} if step == 2 else {}

    flat = call(num_inference_steps=3, output_type="latent", callback_on_step_end=watch).images
    assert seen == [(k, (1, 4, SIDE // 2, SIDE // 2)) for k in range(3)] and not flat.any()


def test_other_precision_and_offloading(folder: Path, pipeline: Any, sounds: list[np.ndarray]) -> None:
    low = load(folder, torch_dtype=torch.bfloat16)
    assert {part.dtype for part in low.components.values() if isinstance(part, torch.nn.Module)} == {torch.bfloat16}
    expected = draw(pipeline, sounds, 1, 2)
    assert 0 < np.abs(draw(low, sounds, 1, 2) - expected).max() < 0.1
    offloaded = load(folder)
    offloaded.enable_model_cpu_offload(device="cpu")
    hooked = {name for name, part in offloaded.components.items() if hasattr(part, "_hf_hook")}
    assert hooked == {"audio_encoder", "embedder", "text_encoder", "unet", "vae"}
    assert np.array_equal(draw(offloaded, sounds, 1, 2), expected)
    with torch.no_grad():
        low.vae.decoder.conv_out.bias[:] = float("nan")
    with pytest.raises(RunError, match="NaN or infinite"):
        draw(low, sounds, 1, 2)


def test_the_documented_code_runs(
    root: Path, pipeline: Any, sounds: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the second block leaves code in the user's cache: tests/sharing/test_push.py runs its like with its own
    first, _, second, _ = (root / "docs" / "pipeline.md").read_text(encoding="utf-8").split("```python\n")[1:]
    monkeypatch.chdir(tmp_path)
    pipeline.save_pretrained("my-audiotoken")
    for name in ("dog.wav", "rain.wav"):
        soundfile.write(tmp_path / name, sounds[0], RATE)
    for block in (first, second):
        exec(block.split("```")[0], {})
    assert {path.name for path in tmp_path.glob("*.png")} == {"dog.png", "rain.png"}
    assert (tmp_path / "my-share" / "model_index.json").exists()
