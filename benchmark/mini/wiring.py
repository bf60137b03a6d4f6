"""Data, backbone, encoders and scorers of the suite `mini`, to which `benchmark.registries` points."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.mini import networks, world
from benchmark.mini.dataset import MiniData
from benchmark.utils.errors import RunError
from benchmark.utils.files import sha256_of

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

    from benchmark.backbone import Backbone
    from benchmark.suite import Suite
    from metrics.encoders.joint import ImageBindEncoder, Wav2CLIPEncoder
    from metrics.scorers.audio import AudioClassifier, Wav2CLIPScorer
    from metrics.scorers.clip import CLIPScorer

WEIGHTS = Path(__file__).parent / "weights"


DATA = MiniData()


def checked(suite: Suite, name: str) -> Path:
    """Return a shipped file, after a comparison of its sha256 with the suite's.

    Args:
        suite: The suite.
        name: Name of a network, or of a file that networks are set up with (`Suite.files`).

    Raises:
        RunError: The file is missing, or its sha256 is another.
    """
    path = WEIGHTS / (name if "." in name else f"{name}.safetensors")
    if not path.is_file():
        raise RunError(f"{path.name} is not in the package: reinstall it")
    wanted = (suite.weights | suite.encoders | suite.files).get(name, "none")
    if (found := sha256_of(path)) != wanted:
        raise RunError(
            f"{path.name} has sha256 {found[:12]}..., suite {suite.base!r} requires {wanted[:12]}...: "
            "reinstall the package, or make a new version of the suite for other weights"
        )
    return path


def _tokenizer(suite: Suite) -> CLIPTokenizer:
    folder = WEIGHTS / "tokenizer"
    # the loader also takes files that nobody asked for: tokenizer.json in place of the two, special tokens, ...
    for name in sorted({"vocab.json", "merges.txt", *(path.name for path in folder.iterdir())}):
        checked(suite, f"tokenizer/{name}")
    return networks.tokenizer(folder)


def backbone(suite: Suite, device: str) -> Backbone:
    """Load Stable Diffusion's pipeline with the small networks."""
    from diffusers import StableDiffusionPipeline

    from benchmark.backbone import Backbone

    tokenizer = _tokenizer(suite)
    weights, scale = checked(suite, "backbone"), networks.scaling_factor(checked(suite, "vae.json").parent)
    vae = networks.load_into(networks.vae(), checked(suite, "vae"), "vae")
    vae.register_to_config(scaling_factor=scale)
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=networks.load_into(networks.text_encoder(len(tokenizer)), weights, "text_encoder"),
        tokenizer=tokenizer,
        unet=networks.load_into(networks.unet(), weights, "unet"),
        scheduler=networks.scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    return Backbone(pipeline, suite, device)


def beats(suite: Suite, device: str) -> Any:
    """Load BEATs, the audio encoder of AudioToken; the scorers have other weights."""
    from benchmark.mini.captions import all_tags

    return networks.load_into(networks.beats(len(all_tags())), checked(suite, "beats"), "beats").to(device)


def clip(suite: Suite, device: str) -> CLIPScorer:
    """Load the image scorer."""
    from benchmark import text_encoder as text
    from metrics.preprocessing import Preprocessing
    from metrics.scorers.clip import CLIPScorer

    tokenizer = _tokenizer(suite)
    path = checked(suite, "clip")
    model = networks.load_into(networks.clip(len(tokenizer)), path, "clip")
    half = (0.5, 0.5, 0.5)
    preprocessing = Preprocessing(world.PICTURE_SIZE, half, half)
    return CLIPScorer("clip", suite.weights["clip"], model, preprocessing, partial(text.tokenize, tokenizer), device)


def wav2clip(suite: Suite, device: str) -> Wav2CLIPScorer:
    """Load the sound scorer, which embeds into the image scorer's space."""
    from metrics.scorers.audio import Wav2CLIPScorer

    model = networks.load_into(networks.wav2clip(), checked(suite, "wav2clip"), "wav2clip")
    return Wav2CLIPScorer("wav2clip", suite.weights["wav2clip"], model, device)


def classifier(suite: Suite, device: str) -> AudioClassifier:
    """Load the audio classifier over the world's labels."""
    from metrics.scorers.audio import AudioClassifier

    model = networks.load_into(networks.classifier(len(world.LABELS)), checked(suite, "classifier"), "beats")
    return AudioClassifier("classifier", suite.weights["classifier"], model, world.LABELS, device)


def wav2clip_encoder(suite: Suite, device: str) -> Wav2CLIPEncoder:
    """Load the Wav2CLIP of methods and the CLIP that it was distilled from; the scorer's Wav2CLIP is another one."""
    from metrics.encoders.joint import Wav2CLIPEncoder

    model = networks.load_into(networks.wav2clip(), checked(suite, "wav2clip-encoder"), "wav2clip")
    return Wav2CLIPEncoder(model, clip(suite, device)).to(device)


def imagebind(suite: Suite, device: str) -> ImageBindEncoder:
    """Load the ImageBind of methods; none of its towers is used for scoring."""
    from benchmark import text_encoder as text
    from metrics.encoders.joint import ImageBindEncoder

    tokenizer = _tokenizer(suite)
    model = networks.load_into(networks.imagebind(len(tokenizer)), checked(suite, "imagebind"), "imagebind")
    return ImageBindEncoder(model, partial(text.tokenize, tokenizer)).to(device)
