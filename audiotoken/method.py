"""AudioToken as a method of the benchmark, and the base of other methods that train tokens of the text encoder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from audiotoken.pretrained import Given
from audiotoken.settings import AudioTokenCLSettings, AudioTokenLoraSettings, AudioTokenSettings, TokenSettings
from benchmark import Conditioning, ConditioningMethod, FitReport, MethodCard, MethodSettings, RunContext
from benchmark.dataset import Sample, StreamPlace
from benchmark.utils import distributed
from benchmark.utils.device import device_type
from benchmark.utils.errors import UserError
from benchmark.weights import stand_ins

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL.Image import Image
    from torch import nn

    from audiotoken.embedder import Embedder
    from audiotoken.features import Sense
    from audiotoken.pipeline import AudioTokenPipeline
    from audiotoken.training_data import Passes, TrainingData
    from audiotoken.training_settings import TrainingSettings
    from benchmark import Clip, ClipSet

LATENTS = "latents"
"""Folder of the cache for latents of training frames."""
SAMPLES = 4
"""Training clips of which images are drawn during training, where requested."""


class TokenMethod(ConditioningMethod):
    """Frozen features of a clip -> a trained embedder -> one token in the frozen text encoder's prompt, or a few.

    A subclass names its `network`, one of the suite's encoders, and may override `listens` and `studies` to encode
    something else of a clip than its audio.
    """

    Settings: ClassVar[type[MethodSettings]] = TokenSettings
    network: ClassVar[str]
    fits = True
    fit_files: ClassVar[tuple[str, ...]] = ("embedder.safetensors",)
    shares_fit = True
    settings: TokenSettings
    embedder: nn.Module

    def setup(self, run: RunContext) -> None:
        """Load the frozen encoder.

        Raises:
            UserError: The prompt has no room for so many tokens.
        """
        from audiotoken.features import encoder_of

        super().setup(run)
        run.backbone.template(self.settings.tokens)
        self.listener = self.listens(encoder_of(run.suite, self.network, run.device))

    def listens(self, encoder: Any) -> Sense:
        """Return how test clips are encoded."""
        from audiotoken.features import Listener

        return Listener(encoder, self.run.suite, self.run.device)

    def studies(self) -> Sense:
        """Return how training clips are encoded."""
        return self.listener

    def hidden_size(self) -> int | None:
        """Return the width of the embedder's hidden layer; None for that of its input."""
        return None

    @property
    def official_dropout(self) -> bool:
        """Whether the embedder's dropout stays on at inference."""
        return False

    @property
    def _file(self) -> Path:
        return self.run.folder / self.fit_files[0]

    @property
    def _checkpoint(self) -> Path:
        return self.run.folder / "training.pt"

    def fit(self, train: ClipSet) -> FitReport:
        """Train the embedder on `train` and write it to the run's folder."""
        import torch

        from audiotoken.training import train as train_embedder
        from benchmark.runs.tracking import Watch

        run, material, settings = self.run, self.training_data(train), self.training
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(run.seed)
            embedder = self.untrained(material.width)
        embedder.to(run.device)
        plain = self.settings.model_dump(mode="json", exclude_none=True)
        with Watch(run, self.card.name, plain, partial(self.draw, embedder, train.limit(SAMPLES))) as watch:
            figures = train_embedder(
                embedder, run.backbone, material, settings, run.seed, self._checkpoint, run.ui, watch
            )
        metadata = {
            "method": self.fit_identity()[0],
            "suite": run.suite.base,
            "seed": str(run.seed),
            "steps": str(settings.steps),
        }
        if self.official_dropout:
            metadata["official_dropout"] = "true"
        if distributed.is_first():
            self.save(embedder, metadata)
        chosen = self.settings.precision is None and run.suite.budget.precision is None
        default = f"trained in {settings.precision}, the default of {device_type(run.device)}"
        remarks = (default,) if self._choice and chosen else ()
        return FitReport(settings.steps, self.trained(embedder), figures, remarks)

    def untrained(self, width: int) -> nn.Module:
        """Return what is trained, at its start, for features of this width; torch's random state is the seed's."""
        from audiotoken.embedder import Embedder

        return Embedder(
            width,
            self.run.backbone.token_width,
            hidden_size=self.hidden_size(),
            official_dropout=self.official_dropout,
            tokens=self.settings.tokens,
        )

    def trained(self, embedder: nn.Module) -> int:
        """Return the number of trained parameters."""
        return sum(parameter.numel() for parameter in embedder.parameters())

    def save(self, embedder: nn.Module, metadata: dict[str, str]) -> None:
        """Write what was trained to the run's folder."""
        from audiotoken.checkpoint import save_embedder

        save_embedder(self._file, embedder, metadata)

    @property
    def _choice(self) -> dict[str, Any]:
        return self.settings.chosen(self.run.suite, self.run.device)

    @property
    def training(self) -> TrainingSettings:
        """The training settings, complete for the suite and the device."""
        return self.settings.resolved(self.run.suite.budget, self._choice.get("precision"))

    def training_data(self, train: ClipSet) -> TrainingData:
        """Return the training data: streamed where the data set streams, otherwise computed once."""
        from audiotoken.features import Features, latents_of
        from audiotoken.training_data import Stored, Streamed

        run, data = self.run, self.run.data

        def stream(place: StreamPlace) -> Iterator[Sample]:
            found = None if data is None else data.stream(train, run.suite, place)
            assert found is not None
            return found

        if data is not None and data.stream(train, run.suite, StreamPlace(run.seed)) is not None:
            return Streamed(self.studies(), run.backbone, train, stream, run.seed, self._passes(train))
        features = Features(self.studies(), train, run.suite.encoders[self.network], run.cache, run.ui)
        given = (self.training.micro_batch, self._passes_in) if self._choice else ()
        return Stored(features, *latents_of(run.backbone, train, run.ui, *given), run.seed)

    @property
    def _passes_in(self) -> torch.dtype:
        """Precision of the autoencoder: the training's where networks are cast for it."""
        import torch

        return getattr(torch, self.training.precision) if self._choice else torch.float32

    def _passes(self, train: ClipSet) -> Passes:
        """Return how streamed clips go through the frozen networks, with a store of latents where the disk has room."""
        from audiotoken.features import latents_key
        from audiotoken.latents import LatentStore
        from audiotoken.training_data import Passes

        if device_type(self.run.device) != "cuda":
            return Passes()
        if not self._choice:
            return Passes(self.training.micro_batch)
        run, together, dtype = self.run, self.training.micro_batch, self._passes_in
        key = latents_key(run.backbone, train.identity, [str(dtype), together])
        folder = run.cache / LATENTS / key[:32]
        side = run.suite.backbone.resolution // run.backbone.pipeline.vae_scale_factor
        shape = run.backbone.unet.config.in_channels, side, side
        size = f"{LatentStore.size(len(train), shape) / 1e9:.1f} GB"
        if stand_ins.active():  # a dry run, whose steps are those of the first epoch
            return Passes(together, dtype)
        if not LatentStore.fits(folder, len(train), shape):
            run.ui.say(f"{run.cache} has no room for latents of {len(train):,} frames ({size}): made in every epoch")
            return Passes(together, dtype)
        run.ui.say(f"latents of {len(train):,} frames are kept in {folder} (up to {size}): each is encoded once")
        return Passes(together, dtype, LatentStore(folder, len(train), shape))

    def draw(self, embedder: nn.Module, clips: ClipSet) -> list[Image]:
        """Generate images of `clips` with the current `embedder`, to be logged during training."""
        from benchmark.runs.seeds import image_seed

        generation = self.run.suite.generation
        training, self.embedder = embedder.training, embedder.eval()
        pictures = self.generate(
            list(clips), [image_seed(generation.seed, self.run.seed, clip.id, 0) for clip in clips]
        )
        embedder.train(training)
        return pictures

    def load(self) -> None:
        """Load the embedder from the run's folder.

        Raises:
            UserError: The file cannot be read, or does not fit the suite's networks.
        """
        from audiotoken.checkpoint import load_embedder

        embedder = load_embedder(self._file, official_dropout=self.official_dropout)
        self._check(embedder, self._file, f"delete {self.run.folder}, and the same command makes it again")
        self.embedder = embedder.to(self.run.device)
        self.forget_checkpoint()

    def forget_checkpoint(self) -> None:
        """Delete the training state of a finished fit."""
        # Not at the end of `fit`: a full disk may prevent the harness from recording that it is done, and then it is
        # called again. The fit may be a colleague's, whose folder is theirs.
        with contextlib.suppress(OSError):
            self._checkpoint.unlink()

    @property
    def _heard(self) -> int:
        """Width of a test clip's features."""
        import numpy as np

        from benchmark import Clip

        silence = Clip("silence", np.zeros(self.run.suite.samples, np.float32), None, ("none",), "test")
        return self.listener([silence]).shape[-1]

    def _check(self, embedder: Embedder, name: Path | str, advice: str) -> None:
        """Raise UserError, a line for each side of `embedder` (from `name`) that does not fit the suite's networks."""
        heard, read = self._heard, self.run.backbone.token_width
        problems = []
        if embedder.input_size != heard:
            problems.append(f"takes features of width {embedder.input_size}, the suite's {self.network} gives {heard}")
        if embedder.output_size != read:
            problems.append(f"gives tokens of width {embedder.output_size}, the suite's text encoder reads {read}")
        try:
            self.run.backbone.template(embedder.tokens)
        except UserError:
            problems.append(f"gives {embedder.tokens} tokens, for which the suite's prompt has no room")
        if problems:
            raise UserError([f"{name} {problem}: {advice}" for problem in problems])

    def condition(self, clips: Sequence[Clip]) -> Conditioning:
        """Return the suite's prompt with each clip's token, or tokens, in its place."""
        import torch

        with torch.no_grad():
            if self.run.backbone.cast_for_sampling:
                # One pass instead of one a clip: a device that computes in half precision is not exact to the bit.
                return Conditioning(self.run.backbone.inject(self.embedder(self.listener.together(clips))))
            # Row by row: the rounding of a matrix product may depend on its height.
            tokens = torch.cat([self.embedder(self.listener([clip])) for clip in clips])
            return Conditioning(self.run.backbone.inject(tokens))


class AudioToken(TokenMethod):
    """AudioToken (Yariv et al., Interspeech 2023, arXiv 2305.13050)."""

    card: ClassVar[MethodCard] = MethodCard(
        name="audiotoken",
        summary="BEATs features, a trained embedder, one token in the frozen text encoder",
        sees=("audio",),
        paper="AudioToken, Yariv et al., Interspeech 2023, arXiv 2305.13050",
        licence="Apache-2.0; the released code and weights are MIT",
        training_data="the suite's training split (sound and frame; no labels)",
        weights="the suite's BEATs",
    )
    Settings = AudioTokenSettings
    network = "beats"
    settings: AudioTokenSettings
    embedder: Embedder

    @property
    def official_dropout(self) -> bool:
        """Whether the embedder's dropout stays on at inference, by the setting of this name."""
        return self.settings.official_dropout

    @property
    def _taken(self) -> dict[str, Given]:
        """Files that replace training, by the setting that names them."""
        return {} if self.settings.embedder is None else {"embedder": self.settings.embedder}

    def encoders(self) -> dict[str, str]:
        """Return sha256 by name of the networks that the method brings, including those that were not trained here."""
        if not self._taken:
            return super().encoders()
        from audiotoken.checkpoint import read_metadata

        names = read_metadata(self._file)
        return super().encoders() | {f"{part} ({names[part]})": file.sha256 for part, file in self._taken.items()}

    def fit(self, train: ClipSet) -> FitReport:
        """Train the embedder, or copy the one that the settings name."""
        return super().fit(train) if self.settings.embedder is None else self._take(self.settings.embedder)

    def _take(self, given: Given) -> FitReport:
        """Copy a given embedder to where a trained one would be, in the same format."""
        from audiotoken.checkpoint import load_embedder, save_embedder
        from audiotoken.embedder import Embedder

        run = self.run
        embedder = given.load(load_embedder, lambda: Embedder(self._heard, run.backbone.token_width))
        self._check(embedder, f"embedder={given.path}", "take one that was trained on networks like the suite's")
        if distributed.is_first():
            metadata = {"method": self.fit_identity()[0], "suite": run.suite.base, "seed": str(run.seed), "steps": "0"}
            if self.official_dropout:
                metadata["official_dropout"] = "true"
            save_embedder(self._file, embedder, metadata | {part: file.name for part, file in self._taken.items()})
        remarks = [f"nothing was trained: {part} is {file.name}, {file.sha256}" for part, file in self._taken.items()]
        return FitReport(0, 0, remarks=tuple(remarks))

    def attention(self, clips: Sequence[Clip]) -> np.ndarray:
        """Return the weights of the attentive pooling, (B, T), summed over the frequencies of a moment.

        Of several tokens it is the mean of their weights.
        """
        import torch

        from metrics.encoders.filterbank import BINS

        # BEATs' tokens: the patches of a moment are neighbours, one a band of frequencies.
        bands = BINS // self.listener.encoder.config.input_patch_size
        with torch.no_grad():
            rows = [self.embedder.potentials(self.listener([clip])).attention for clip in clips]
        weights = torch.cat(rows).cpu().double().numpy()
        if weights.ndim == 3:
            weights = weights.mean(axis=-1)
        return weights.reshape(len(weights), -1, bands).sum(axis=-1)

    def to_pipeline(self) -> AudioTokenPipeline:
        """Return the method as an `AudioTokenPipeline`, which generates the benchmark's images."""
        from audiotoken.convert import from_suite

        return from_suite(self._file.parent, self.run.suite.base, self.official_dropout)

    def training_data(self, train: ClipSet) -> TrainingData:
        """Return the training data, with label embeddings where the classification loss is on."""
        material = super().training_data(train)
        if self.settings.lambda_c:
            from benchmark.text_encoder import label_embedding

            table = label_embedding(self.run.backbone.tokenizer, self.run.backbone.text_encoder, train.labels)
            material.label_embeddings = table[train.classes]
        return material


class AudioTokenCL(AudioToken):
    """AudioToken with the classification loss, the paper's CL."""

    card: ClassVar[MethodCard] = AudioToken.card.model_copy(
        update={
            "name": "audiotoken-cl",
            "summary": "AudioToken whose token is drawn towards the label's word embeddings (classification loss)",
            "training_data": "the suite's training split (sound, frame and label)",
        }
    )
    Settings = AudioTokenCLSettings


class AudioTokenLora(AudioToken):
    """AudioToken with a LoRA of the U-Net's attention, trained with the embedder (released code, `--lora`)."""

    card: ClassVar[MethodCard] = AudioToken.card.model_copy(
        update={
            "name": "audiotoken-lora",
            "summary": "AudioToken with a LoRA of the U-Net's attention, trained with the embedder",
            "paper": "guyyariv/AudioToken, --lora (May 2023); not in the paper",
            "notes": "draws with a changed U-Net, the others with the suite's as it is",
        }
    )
    Settings: ClassVar[type[AudioTokenSettings]] = AudioTokenLoraSettings
    fit_files = (*AudioToken.fit_files, "pytorch_lora_weights.safetensors")
    settings: AudioTokenLoraSettings

    def setup(self, run: RunContext) -> None:
        """Load the frozen encoder, and give the backbone a U-Net of its own."""
        from audiotoken.lora import with_own_unet

        # Other methods generate with the same backbone.
        super().setup(replace(run, backbone=with_own_unet(run.backbone)))

    @property
    def _taken(self) -> dict[str, Given]:
        return super()._taken | ({} if self.settings.lora is None else {"lora": self.settings.lora})

    @property
    def _lora_file(self) -> Path:
        return self.run.folder / self.fit_files[1]

    def fit(self, train: ClipSet) -> FitReport:
        """Train embedder and LoRA together, or copy those that the settings name."""
        from audiotoken.lora import add_lora, load_lora_into, lora_layers, save_lora

        unet, given = self.run.backbone.unet, self.settings.lora
        if given is None:
            add_lora(unet, self.settings.lora_rank, self.run.seed)
        else:
            given.load(
                lambda path: load_lora_into(path, unet), lambda: add_lora(unet, self.settings.lora_rank, self.run.seed)
            )
        report = super().fit(train)
        if distributed.is_first():
            save_lora(self._lora_file, unet)
        if given is not None:
            return report
        count = sum(down.numel() + up.numel() for down, up in lora_layers(unet).values())
        return replace(report, trainable_parameters=report.trainable_parameters + count)

    def load(self) -> None:
        """Load embedder and LoRA from the run's folder."""
        from audiotoken.lora import load_lora_into

        load_lora_into(self._lora_file, self.run.backbone.unet)
        super().load()
