"""AudioToken as a diffusers pipeline: audio in, images out, without suites, runs or records.

    pipeline = AudioTokenPipeline.from_pretrained("my-audiotoken").to("cuda")
    image = pipeline("dog.wav").images[0]

Stable Diffusion's own pipeline does the sampling; BEATs and the embedder map audio to the vector that takes the place
of a word in the prompt (paper, section 3). `audiotoken.convert` creates such pipelines from trained embedders.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import huggingface_hub
import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    ConfigMixin,
    ModelMixin,
    SchedulerMixin,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from torch import Tensor
from transformers import (
    CLIPImageProcessor,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionModelWithProjection,
    PreTrainedModel,
)

from audiotoken.embedder import Embedder
from audiotoken.lora import FILE as LORA
from audiotoken.lora import load_lora_into, lora_layers, remove_lora, save_lora, sharing_copy
from benchmark import text_encoder as text
from benchmark.media.audio import MAX_CHANNELS, AudioError, fit_length, is_silent, load_audio
from benchmark.utils.device import arithmetic
from benchmark.utils.errors import RunError, UserError, unknown
from benchmark.utils.files import refuse_special, write_atomic
from metrics.encoders.beats import AUDIOTOKEN_LAYERS, BEATs, BEATsConfig, load_beats

Audio = str | os.PathLike[str] | np.ndarray | Tensor

OUTPUTS = ("pil", "np", "pt", "latent")
HUB = ("cache_dir", "force_download", "proxies", "local_files_only", "token")
BY_DIFFUSERS = "pipeline.py"
"""File of a saved pipeline by which `DiffusionPipeline` finds its class, asked for `custom_pipeline="pipeline"`.

diffusers knows no class outside itself, and imports no module that a repository names; this file, which is executed
only with `trust_remote_code=True`, imports it.
"""
IMPORT = '''"""The class of this pipeline, for diffusers: custom_pipeline="pipeline", trust_remote_code=True."""

try:
    from audiotoken.pipeline import AudioTokenPipeline
except ModuleNotFoundError as error:
    raise ImportError("this pipeline needs the package audio2image-bench: install it as its README says") from error
'''
LOADING = (*HUB, "torch_dtype", "dtype", "use_safetensors", "low_cpu_mem_usage")


class _Saveable(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers is untyped
    """Network with a config.json and a safetensors file, which is loaded completely or not at all."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any) -> Any:
        """Load the network as diffusers does, but refuse missing parameters instead of initialising them at random.

        Raises:
            UserError: Parameters are missing or unexpected; the error lists them all.
        """
        asked = kwargs.pop("output_loading_info", False)
        made, found = super().from_pretrained(pretrained_model_name_or_path, output_loading_info=True, **kwargs)
        problems = [f"{name} is missing" for name in sorted(found["missing_keys"])]
        problems += [f"{name} is unexpected" for name in sorted(found["unexpected_keys"])]
        if problems:
            raise UserError([f"{pretrained_model_name_or_path} is not a {cls.__name__}: {line}" for line in problems])
        return (made, found) if asked else made


class AudioEncoder(_Saveable):
    """BEATs as a component of a pipeline: waveforms -> the outputs of some of its layers, joined along the channels.

    Args:
        cfg: Fields of `BEATsConfig`.
        layers: Layers whose outputs are used, counted from 1.
    """

    def __init__(self, cfg: dict[str, Any], layers: Sequence[int] = AUDIOTOKEN_LAYERS) -> None:
        super().__init__()
        self.register_to_config(cfg=cfg, layers=list(layers))
        self.beats = BEATs(BEATsConfig.from_dict(cfg))
        self.layers = tuple(layers)
        self.register_state_dict_post_hook(_untie)

    @classmethod
    def of(cls, beats: BEATs) -> AudioEncoder:
        """Return the component around `beats` itself, in eval mode."""
        with torch.device("meta"):
            made = cls(asdict(beats.config))
        made.beats = beats
        return made.eval()

    @classmethod
    def from_released(cls, path: str | os.PathLike[str]) -> AudioEncoder:
        """Load a published BEATs checkpoint (`.pt` with `cfg` and `model`).

        Raises:
            UserError: The file cannot be read, or is not a BEATs checkpoint.
        """
        try:
            refuse_special(Path(path))
            return cls.of(load_beats(Path(path)))
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
        except ValueError as error:
            raise UserError(str(error)) from error

    @property
    def width(self) -> int:
        """Number of channels of the features."""
        return len(self.layers) * self.beats.config.encoder_embed_dim

    def forward(self, waveform: Tensor) -> Tensor:
        """Return features (B, T, width) of 16 kHz waveforms (B, samples) in [-1, 1]."""
        return self.beats.extract_features(waveform, self.layers)

    def weights_sha256(self) -> str:
        """Return the sha256 of names and values.

        Values are hashed in half precision, so that a copy in half precision is the same network.
        """
        found = hashlib.sha256()
        for name, value in sorted(self.state_dict().items()):
            found.update(name.encode())
            found.update(value.detach().cpu().half().numpy().tobytes())
        return found.hexdigest()


class TokenEmbedder(Embedder, _Saveable):
    """`Embedder` as a component of a pipeline; its file also reads as a checkpoint (`checkpoint.load_embedder`).

    Args:
        input_size: As in `Embedder`.
        output_size: As in `Embedder`.
        hidden_size: As in `Embedder`.
        official_dropout: As in `Embedder`.
        tokens: As in `Embedder`.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        hidden_size: int | None = None,
        official_dropout: bool = False,
        tokens: int = 1,
    ) -> None:
        super().__init__(
            input_size, output_size, hidden_size=hidden_size, official_dropout=official_dropout, tokens=tokens
        )
        ConfigMixin.register_to_config(
            self,
            input_size=input_size,
            output_size=output_size,
            hidden_size=self.hidden_size,
            official_dropout=official_dropout,
            # One token is not stated: files of it are those of versions that knew no other number.
            **({"tokens": tokens} if tokens > 1 else {}),
        )

    @classmethod
    def of(cls, embedder: Embedder, official_dropout: bool = False) -> TokenEmbedder:
        """Return the component with the parameters of `embedder`, in eval mode."""
        with torch.device("meta"):
            made = cls(
                embedder.input_size, embedder.output_size, embedder.hidden_size, official_dropout, embedder.tokens
            )
        made.load_state_dict(embedder.state_dict(), assign=True)
        return made.eval()


class AudioTokenPipeline(StableDiffusionPipeline):  # type: ignore[misc]  # diffusers is untyped
    """Stable Diffusion pipeline that is prompted with audio.

    Beside Stable Diffusion's components (the safety checker is optional) it has an audio encoder and an embedder. A
    LoRA of the U-Net (`lora.load_lora_into`) is saved and loaded with the rest. The defaults are the paper's.

    Args:
        vae: As in `StableDiffusionPipeline`.
        text_encoder: As in `StableDiffusionPipeline`.
        tokenizer: As in `StableDiffusionPipeline`.
        unet: As in `StableDiffusionPipeline`.
        scheduler: As in `StableDiffusionPipeline`.
        audio_encoder: BEATs.
        embedder: Embedder that was trained with these networks.
        safety_checker: As in `StableDiffusionPipeline`.
        feature_extractor: As in `StableDiffusionPipeline`.
        image_encoder: As in `StableDiffusionPipeline`.
        requires_safety_checker: As in `StableDiffusionPipeline`.
        sampling_rate: Sampling rate of the audio encoder, in Hz.
        seconds: Length of the audio that is encoded; longer audio is cut.
        length: What is done with shorter audio: "repeat", or padding with zeros (see
            `benchmark.media.audio.fit_length`).
        prompt: Default prompt, with a placeholder for the audio, "{}" or "<*>".
        negative_prompt: Default negative prompt.
        num_inference_steps: Default number of sampling steps.
        guidance_scale: Default scale of classifier-free guidance.
        lora: Whether a LoRA of the U-Net belongs to the pipeline. Then nothing is generated before it is loaded, as
            `from_pretrained` of this class does, and `load_lora_weights`.

    Raises:
        UserError: Components do not fit together.

    Example:
        pipeline = AudioTokenPipeline.from_pretrained("my-audiotoken").to("cuda")
        image = pipeline("dog.wav", prompt="a painting of {}").images[0]
    """

    model_cpu_offload_seq = "audio_encoder->embedder->text_encoder->image_encoder->unet->vae"

    def __init__(
        self,
        vae: AutoencoderKL,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        unet: UNet2DConditionModel,
        scheduler: SchedulerMixin,
        audio_encoder: AudioEncoder,
        embedder: TokenEmbedder,
        safety_checker: PreTrainedModel | None = None,
        feature_extractor: CLIPImageProcessor | None = None,
        image_encoder: CLIPVisionModelWithProjection | None = None,
        requires_safety_checker: bool = False,
        sampling_rate: int = 16_000,
        seconds: float = 10.0,
        length: str = "repeat",
        prompt: str = "a photo of {}",
        negative_prompt: str = "",
        num_inference_steps: int = 50,
        guidance_scale: float = 7.5,
        lora: bool = False,
    ) -> None:
        super().__init__(
            vae,
            text_encoder,
            tokenizer,
            unet,
            scheduler,
            safety_checker,
            feature_extractor,
            image_encoder,
            requires_safety_checker,
        )
        self.register_modules(audio_encoder=audio_encoder, embedder=embedder)
        self.register_to_config(
            sampling_rate=sampling_rate,
            seconds=seconds,
            length=length,
            prompt=prompt,
            negative_prompt=negative_prompt,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            lora=lora,
        )
        problems = []
        if embedder.input_size != audio_encoder.width:
            problems.append(
                f"the embedder takes features of width {embedder.input_size}, the audio encoder gives "
                f"{audio_encoder.width}: use the BEATs that it was trained with"
            )
        width = text_encoder.config.hidden_size
        if embedder.output_size != width:
            problems.append(
                f"the embedder gives tokens of width {embedder.output_size}, the text encoder reads {width}: "
                "use the Stable Diffusion that it was trained with (768: version 1, 1024: version 2)"
            )
        if problems:
            raise UserError(problems)
        self._placeholder = text.placeholder_id(tokenizer)
        self._awaits_lora = lora
        # The benchmark samples in channels-last memory, and equal images need equal arithmetic.
        for module in (unet, vae):
            module.to(memory_format=torch.channels_last)

    @torch.no_grad()
    @arithmetic()
    def __call__(
        self,
        audio: Audio | Sequence[Audio],
        sampling_rate: int | None = None,
        prompt: str | Sequence[str] | None = None,
        negative_prompt: str | Sequence[str] | None = None,
        height: int | None = None,
        width: int | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        num_images_per_prompt: int = 1,
        eta: float = 0.0,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: Tensor | None = None,
        output_type: Literal["pil", "np", "pt", "latent"] = "pil",
        return_dict: bool = True,
        cross_attention_kwargs: dict[str, Any] | None = None,
        callback_on_step_end: Callable[..., Any] | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    ) -> Any:
        """Generate images from audio.

        With one generator per image, an image's noise does not depend on its neighbours. Silent audio gives a warning.

        Args:
            audio: One item or a list: files of any kind (wav, mp3, mp4, ...), arrays or tensors of shape (samples,),
                (samples, channels) or (channels, samples), floats in [-1, 1] or full-scale integers. Channels are
                averaged, and any rate is resampled.
            sampling_rate: Sampling rate of arrays and tensors, in Hz; files have their own.
            prompt: One prompt, or one per audio item, with one placeholder for the audio, written {} or <*>; by default
                the pipeline's. All tokens of an embedder that gives several stand there.
            negative_prompt: One negative prompt, or one per audio item; by default the pipeline's.
            height: Height of the images in pixels; by default that of the U-Net's training.
            width: Width of the images in pixels; by default that of the U-Net's training.
            num_inference_steps: Number of sampling steps; by default the pipeline's.
            guidance_scale: Scale of classifier-free guidance; by default the pipeline's.
            num_images_per_prompt: Number of images per audio item.
            eta: As in `StableDiffusionPipeline`.
            generator: One generator, or one per image (audio items x `num_images_per_prompt`).
            latents: As in `StableDiffusionPipeline`.
            output_type: "pil", "np", "pt" or "latent".
            return_dict: Whether to return a `StableDiffusionPipelineOutput` instead of a tuple.
            cross_attention_kwargs: As in `StableDiffusionPipeline`.
            callback_on_step_end: As in `StableDiffusionPipeline`.
            callback_on_step_end_tensor_inputs: As in `StableDiffusionPipeline`.

        Returns:
            A `StableDiffusionPipelineOutput` (or a tuple) with audio items x `num_images_per_prompt` images, those of
            one item side by side.

        Raises:
            UserError: Audio cannot be read or is empty, too short or not finite, a prompt has no placeholder, an
                argument is out of range, or a LoRA is not loaded; one line per problem.
            RunError: An image is not finite.
        """
        self._refuse_without_lora()
        if output_type not in OUTPUTS:
            raise unknown("output_type", str(output_type), OUTPUTS)
        steps = self.config.num_inference_steps if num_inference_steps is None else num_inference_steps
        if min(steps, num_images_per_prompt) < 1:
            raise UserError(
                f"num_inference_steps={steps}, num_images_per_prompt={num_images_per_prompt}: give 1 or more"
            )
        waves = self._waves(audio, sampling_rate)
        guidance = self.config.guidance_scale if guidance_scale is None else guidance_scale
        conditioning = self._inject(self._listen(waves), prompt)
        negative = None
        if guidance > 1:
            negative = self._negative(negative_prompt, len(waves)).expand_as(conditioning)
        output = super().__call__(
            prompt_embeds=conditioning,
            negative_prompt_embeds=negative,
            height=height,
            width=width,
            num_inference_steps=steps,
            guidance_scale=guidance,
            num_images_per_prompt=num_images_per_prompt,
            eta=eta,
            generator=generator,
            latents=latents,
            output_type="latent" if output_type == "latent" else "pt",
            cross_attention_kwargs=cross_attention_kwargs,
            callback_on_step_end=callback_on_step_end,
            callback_on_step_end_tensor_inputs=list(callback_on_step_end_tensor_inputs),
        )
        if not bool(torch.isfinite(output.images).all()):
            raise RunError("an image holds NaN or infinite values: try another precision")
        if output_type in ("pil", "np"):
            output.images = self.image_processor.pt_to_numpy(output.images)
        if output_type == "pil":
            output.images = self.image_processor.numpy_to_pil(output.images)
        return output if return_dict else (output.images, output.nsfw_content_detected)

    @torch.no_grad()
    @arithmetic()
    def encode_audio(self, audio: Audio | Sequence[Audio], sampling_rate: int | None = None) -> Tensor:
        """Return the audio tokens, (B, width of the text encoder); (B, K, width) of an embedder of K > 1 tokens.

        Args:
            audio: As in a call.
            sampling_rate: As in a call.

        Raises:
            UserError: Audio cannot be read or is empty, too short or not finite; one line per problem.
        """
        return self._listen(self._waves(audio, sampling_rate))

    def save_pretrained(self, save_directory: str | os.PathLike[str], *args: Any, **kwargs: Any) -> None:
        """Save the pipeline as diffusers does, with `pipeline.py`, and with a LoRA of the U-Net in a file of its own.

        The U-Net is stored without the LoRA, and `load_lora_weights` also reads the LoRA's file.

        Args:
            save_directory: Folder to write.
            *args: Arguments of diffusers' method.
            **kwargs: Keyword arguments of diffusers' method.
        """
        unet = self.unet
        self._save_lora(Path(save_directory))
        if lora_layers(unet):
            plain = sharing_copy(unet)
            remove_lora(plain)
            self.register_modules(unet=plain)
        try:
            write_atomic(Path(save_directory) / BY_DIFFUSERS, IMPORT)
            super().save_pretrained(save_directory, *args, **kwargs)
        finally:
            self.register_modules(unet=unet)

    def save_embedder(
        self, save_directory: str | os.PathLike[str], base: str, audio_encoder: str | None = None
    ) -> None:
        """Save the embedder and the LoRA, if there is one, with references to the other components.

        The embedder takes 35 MB for Stable Diffusion 1, the LoRA 3 MB at rank 4. `from_pretrained` reads the result,
        and checks that the audio encoder is that of this pipeline.

        Args:
            save_directory: Folder to write.
            base: Stable Diffusion that the embedder was trained with: a repository or folder in diffusers' layout;
                "repository@revision" pins it.
            audio_encoder: Repository or folder of a pipeline by `save_pretrained`, whose `audio_encoder` to use.
                Without it, the audio encoder has to be passed to `from_pretrained`.
        """
        folder = Path(save_directory)
        self._save_lora(folder)
        self.embedder.save_pretrained(folder / "embedder")
        index = json.loads(self.to_json_string())
        absent = {name for name, part in self.components.items() if part is not None} - {"embedder"}
        index = {key: value for key, value in index.items() if key not in absent and key != "_name_or_path"}
        index["_base"] = {
            "stable_diffusion": base,
            "audio_encoder": audio_encoder,
            "audio_encoder_sha256": self.audio_encoder.weights_sha256(),
        }
        write_atomic(folder / self.config_name, json.dumps(index, indent=2, sort_keys=True) + "\n")

    @classmethod
    @arithmetic()
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any) -> Any:
        """Load a pipeline written by `save_pretrained` or `save_embedder`.

        Args:
            pretrained_model_name_or_path: Folder, or repository of the hub.
            **kwargs: Keyword arguments of diffusers (`torch_dtype`, `revision`, `cache_dir`, ..., and components by
                name, which replace the stored ones) and of this class.

        Raises:
            UserError: The audio encoder that a folder of `save_embedder` needs is missing or is another one, or
                components do not fit together.
        """
        kwargs.setdefault("use_safetensors", True)  # diffusers would else take a pickled file where there is no other
        given = {name: kwargs[name] for name in (*HUB, "revision") if name in kwargs}
        index = cls.load_config(pretrained_model_name_or_path, **given)
        if "_base" in index:
            kwargs |= _rest(str(pretrained_model_name_or_path), index, kwargs)
        made = super().from_pretrained(pretrained_model_name_or_path, **kwargs)
        if index.get("lora", index.get("_lora")):
            load_lora_into(_stored(pretrained_model_name_or_path, LORA, given), made.unet)
            made._awaits_lora = False
        return made

    def load_lora_weights(self, *args: Any, **kwargs: Any) -> None:
        """Load a LoRA as diffusers does: after `DiffusionPipeline.from_pretrained`, the one that is stored apart.

        Args:
            *args: Arguments of diffusers' method.
            **kwargs: Keyword arguments of diffusers' method.
        """
        super().load_lora_weights(*args, **kwargs)
        self._awaits_lora = False

    def _refuse_without_lora(self) -> None:
        # DiffusionPipeline.from_pretrained, unlike this class's, reads the parts alone: other images, silently.
        if self._awaits_lora:
            raise UserError(
                f"the LoRA of this pipeline is not loaded: call load_lora_weights({str(self.name_or_path)!r}) first, "
                "or load the pipeline with AudioTokenPipeline.from_pretrained"
            )

    def _save_lora(self, folder: Path) -> None:
        """Write the LoRA, if there is one, to `folder`, and set in the configuration whether there is one."""
        self._refuse_without_lora()
        there = bool(lora_layers(self.unet))
        if there:
            save_lora(folder / LORA, self.unet)
        self.register_to_config(lora=there)
        if there or "_lora" in self.config:
            self.register_to_config(_lora=there)  # what version 0.1.0 reads

    def _waves(self, audio: Audio | Sequence[Audio], rate: int | None) -> list[np.ndarray]:
        """Return the audio as the encoder's waveforms (samples,)."""
        sounds: list[Any] = list(audio) if isinstance(audio, list | tuple) else [audio]
        if not sounds:
            raise UserError("no audio was given: give one item or more")
        if rate is not None and rate <= 0:
            raise UserError(f"sampling_rate={rate}: give a positive number of samples per second")
        waves, problems = [], []
        for number, sound in enumerate(sounds, 1):
            name = f"{number} of {len(sounds)}"
            try:
                if isinstance(sound, str | os.PathLike):
                    name = repr(str(sound))
                    wave = load_audio(Path(sound), self.config.sampling_rate, seconds=self.config.seconds)
                elif not isinstance(sound, np.ndarray | Tensor):
                    raise AudioError(name, f"is a {type(sound).__name__}", "give a path, an array or a tensor")
                elif rate is None:
                    raise AudioError(name, "is an array, which has no sampling rate of its own", "give sampling_rate")
                else:
                    wave = load_audio(_samples(sound), self.config.sampling_rate, source_rate=rate)
            except AudioError as error:
                problems.append(f"audio {name} {error.reason}: {error.fix}")
                continue
            if is_silent(wave):
                warnings.warn(
                    f"audio {name} is silent (all samples zero): its image shows the embedder's response to silence",
                    stacklevel=5,
                )
            samples = round(self.config.sampling_rate * self.config.seconds)
            waves.append(fit_length(wave, samples, self.config.length))
        if problems:
            raise UserError(problems)
        return waves

    def _listen(self, waves: Sequence[np.ndarray]) -> Tensor:
        """Return audio tokens, one item at a time so that no neighbour affects a token's rounding."""
        device = self._execution_device
        features = [self.audio_encoder(torch.from_numpy(wave)[None].to(device)) for wave in waves]
        return torch.cat([self.embedder(one.to(self.embedder.dtype)) for one in features])

    def _inject(self, tokens: Tensor, prompt: str | Sequence[str] | None) -> Tensor:
        """Return hidden states (B, L, D) of the prompts with the tokens in place of the placeholders."""
        prompts = _per_sound("prompt", self.config.prompt if prompt is None else prompt, len(tokens))
        prompts = [one.replace("{}", text.PLACEHOLDER) for one in prompts]
        count = self.embedder.tokens
        ids = text.tokenize(self.tokenizer, [text.spread_placeholder(one, count) for one in prompts])
        problems = []
        for one, places in zip(prompts, (ids == self._placeholder).sum(dim=1).tolist(), strict=True):
            if (written := one.count(text.PLACEHOLDER)) != 1:
                problems.append(f"prompt {one!r} has {written} placeholders for the audio: write {{}} or <*> once")
            elif places != count:
                what = "its placeholder is" if count == 1 else f"{count - places} of the {count} audio tokens are"
                problems.append(f"prompt {one!r} is too long, {what} cut off: shorten it")
        if problems:
            raise UserError(sorted(set(problems)))
        return text.encode_with_token(self.text_encoder, ids.to(self._execution_device), tokens, self._placeholder)

    def _negative(self, negative_prompt: str | Sequence[str] | None, count: int) -> Tensor:
        """Return hidden states (1 or B, L, D) of the unconditional branch."""
        given = self.config.negative_prompt if negative_prompt is None else negative_prompt
        prompts = [given] if isinstance(given, str) else _per_sound("negative_prompt", given, count)
        for one in prompts:
            if text.PLACEHOLDER in one:
                raise UserError(f"negative_prompt {one!r} holds {text.PLACEHOLDER}: only the prompt takes audio")
        return text.encode_prompts(self.tokenizer, self.text_encoder, prompts)


def _rest(share: str, index: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the components that a folder of `save_embedder` only refers to, except for those that are `given`."""
    base = index["_base"]
    loading = {name: given[name] for name in LOADING if name in given}
    encoder = given.get("audio_encoder")
    if encoder is None:
        if base["audio_encoder"] is None:
            raise UserError(
                f"{share} has an embedder without an audio encoder: pass audio_encoder="
                "AudioEncoder.from_released(path of the BEATs checkpoint that it was trained with)"
            )
        repository, revision = split_reference(base["audio_encoder"])
        encoder = AudioEncoder.from_pretrained(repository, revision=revision, subfolder="audio_encoder", **loading)
    # Weights rounded to bfloat16 have another hash and cannot be recognised.
    if encoder.dtype is not torch.bfloat16 and encoder.weights_sha256() != base["audio_encoder_sha256"]:
        raise UserError(f"the audio encoder is not the one that {share} was trained with: use the same BEATs")
    parts = StableDiffusionPipeline._get_signature_keys(StableDiffusionPipeline)[0]
    # A component that the saved pipeline lacked (a safety checker) must not come in with its base.
    passed = {name: None for name in parts if index.get(name) == [None, None]}
    passed |= {name: given[name] for name in parts if name in given}
    repository, revision = split_reference(base["stable_diffusion"])
    rest = StableDiffusionPipeline.from_pretrained(
        repository, revision=revision, requires_safety_checker=False, **passed, **loading
    ).components
    return {**rest, "audio_encoder": encoder}


def _stored(share: str | os.PathLike[str], name: str, given: Mapping[str, Any]) -> Path:
    """Return the path of a file in a folder, or in a repository of the hub."""
    if Path(share).is_dir():
        return Path(share) / name
    hub = {key: value for key, value in given.items() if key != "proxies"}
    try:
        return Path(str(huggingface_hub.hf_hub_download(str(share), name, **hub)))
    except (OSError, ValueError) as error:
        raise UserError(f"{name} of {share} cannot be loaded: {' '.join(str(error).split())}") from error


def split_reference(base: str) -> tuple[str, str | None]:
    """Split "repository@revision" in two; a folder has no revision.

    Example:
        >>> split_reference("somebody/model@main")
        ('somebody/model', 'main')
    """
    repository, _, revision = base.partition("@")
    return (base, None) if Path(base).is_dir() else (repository, revision or None)


def _samples(sound: np.ndarray | Tensor) -> np.ndarray:
    """Return audio as (samples,) or (samples, channels); the shorter axis, at most `MAX_CHANNELS`, is the channels."""
    if isinstance(sound, Tensor):
        whole = sound.detach().cpu()
        sound = (whole.float() if whole.dtype in (torch.float16, torch.bfloat16) else whole).numpy()
    if sound.ndim == 2 and sound.shape[0] <= MAX_CHANNELS < sound.shape[1]:
        return sound.T
    return sound


def _per_sound(name: str, given: str | Sequence[str], count: int) -> list[str]:
    prompts = [given] * count if isinstance(given, str) else list(given)
    if len(prompts) != count:
        raise UserError(f"{len(prompts)} {name}s for {count} audio items: give one, or one per item")
    return prompts


def _untie(module: Any, state: dict[str, Tensor], prefix: str, metadata: Any) -> None:
    """Copy the table that BEATs' layers share: safetensors refuses several names of one tensor."""
    for name, value in state.items():
        if name.endswith("relative_attention_bias.weight"):
            state[name] = value.clone()
