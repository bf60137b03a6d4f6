"""`python -m audiotoken.convert`: a trained embedder becomes a pipeline that can be shared.

The embedder is that of a fit of this benchmark, or the released `embedder_learned_embeds.bin`; the frozen networks
around it are those of a suite, or files.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmark.utils.errors import BenchError, UserError
from benchmark.utils.progress import quiet_libraries

if TYPE_CHECKING:
    from audiotoken.pipeline import AudioTokenPipeline, TokenEmbedder

METHODS = ("audiotoken", "audiotoken-cl", "audiotoken-lora")
"""Methods whose fit is an embedder over BEATs, the last one with a LoRA beside it, and nothing else."""


def from_suite(
    embedder: Path, suite: str | None = None, official_dropout: bool | None = None, lora: Path | None = None
) -> AudioTokenPipeline:
    """A pipeline of an embedder (a fit's folder, or a file) and the frozen networks and settings of its suite.

    It makes the pictures that `bench` makes: bit by bit in single precision on the same device, with one CPU generator
    a picture, seeded like the benchmark's, and batches of the same size. `suite` is needed where the file does not
    name one. `official_dropout` is as in the fit unless it is given. `lora` is the U-Net's LoRA; that of a fit lies
    beside its embedder, and need not be named. Raises UserError for a fit of another method and for files that do not
    fit.
    """
    from audiotoken.checkpoint import read_metadata
    from audiotoken.features import encoder_of
    from audiotoken.pipeline import AudioEncoder, AudioTokenPipeline
    from benchmark.registries import BACKBONES
    from benchmark.suite import load_suite

    file = _file(embedder)
    metadata = read_metadata(file)
    if (method := metadata.get("method", METHODS[0])) not in METHODS:
        raise UserError(f"{file} is a fit of method {method!r}: only {', '.join(METHODS)} become pipelines")
    name = suite or metadata.get("suite")
    if name is None:
        raise UserError(f"{file} does not say which suite it was made for: give --suite, or --beats and --base")
    protocol = load_suite(name)
    part = _token_embedder(file, official_dropout)
    made = AudioTokenPipeline(
        **BACKBONES.get(protocol.backbone.source)(protocol, "cpu").pipeline.components,
        audio_encoder=AudioEncoder.of(encoder_of(protocol, "beats", "cpu")),
        embedder=part,
        sampling_rate=protocol.data.rate,
        seconds=protocol.data.seconds,
        length=protocol.data.length,
        prompt=protocol.generation.prompt,
        negative_prompt=protocol.generation.negative_prompt,
        num_inference_steps=protocol.generation.steps,
        guidance_scale=protocol.generation.guidance,
    )
    return _with_lora(made, file, lora)


def from_released(
    embedder: Path,
    beats: Path,
    base: str,
    official_dropout: bool | None = None,
    lora: Path | None = None,
    **settings: Any,
) -> AudioTokenPipeline:
    """A pipeline of an embedder (`embedder_learned_embeds.bin`, or a fit's), a BEATs checkpoint and Stable Diffusion.

    `base` is a folder or a repository ("repository@revision" pins it) in diffusers' layout; its safety checker is left
    out, as it is in the benchmark. `official_dropout` is as in the fit, and off for the released embedder, unless it
    is given. `lora` is the U-Net's LoRA (`lora_layers_learned_embeds.bin`; that of a fit lies beside its embedder).
    `settings` are AudioTokenPipeline's. Only tensors are read of the files. Raises UserError with the list of all
    missing, unexpected and wrongly shaped parameters, and for widths that do not fit.
    """
    from diffusers import StableDiffusionPipeline

    from audiotoken.pipeline import AudioEncoder, AudioTokenPipeline, split_reference

    part = _token_embedder(_file(embedder), official_dropout)
    encoder = AudioEncoder.from_released(beats)
    repository, revision = split_reference(base)
    try:
        diffusion = StableDiffusionPipeline.from_pretrained(
            repository,
            revision=revision,
            use_safetensors=True,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    except (OSError, ValueError) as error:
        raise UserError(f"--base {base} cannot be loaded: {' '.join(str(error).split())}") from error
    made = AudioTokenPipeline(**diffusion.components, audio_encoder=encoder, embedder=part, **settings)
    return _with_lora(made, _file(embedder), lora)


def _token_embedder(file: Path, official_dropout: bool | None) -> TokenEmbedder:
    """The embedder of `file`, with its dropout left on at inference as it was in its fit, unless told otherwise."""
    from audiotoken.checkpoint import load_embedder, read_metadata
    from audiotoken.pipeline import TokenEmbedder

    if official_dropout is None:
        official_dropout = read_metadata(file).get("official_dropout") == "true"
    return TokenEmbedder.of(load_embedder(file), official_dropout)


def _with_lora(pipeline: AudioTokenPipeline, embedder: Path, lora: Path | None) -> AudioTokenPipeline:
    """`pipeline` with the LoRA that is named, or that lies beside a fit's embedder."""
    from audiotoken.checkpoint import read_metadata
    from audiotoken.lora import FILE, load_lora_into

    if lora is None and read_metadata(embedder).get("method") == "audiotoken-lora":
        lora = embedder.parent / FILE
    if lora is not None:
        load_lora_into(lora, pipeline.unet)
    return pipeline


def _file(embedder: Path) -> Path:
    return embedder / "embedder.safetensors" if embedder.is_dir() else embedder


def convert(
    embedder: Annotated[Path, typer.Argument(help="Folder of a fit, or an embedder's file (.safetensors, .bin).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the pipeline; it must not exist yet.")],
    suite: Annotated[str | None, typer.Option(help="Take this suite's networks. \\[default: the fit's suite]")] = None,
    beats: Annotated[Path | None, typer.Option(help="Take this BEATs checkpoint (.pt); with --base.")] = None,
    base: Annotated[
        str | None, typer.Option(help="Take this Stable Diffusion: folder, or repository@revision.")
    ] = None,
    lora: Annotated[
        Path | None, typer.Option(help="Take this LoRA of the U-Net (.safetensors, .bin). \\[default: the fit's]")
    ] = None,
    embedder_only: Annotated[
        bool, typer.Option("--embedder-only", help="Write the embedder and a reference to --base: 35 MB, not 4 GB.")
    ] = False,
    official_dropout: Annotated[
        bool | None,
        typer.Option(
            "--official-dropout/--no-official-dropout",
            show_default=False,
            help="Leave the embedder's dropout on, as the released code does. \\[default: as in the fit]",
        ),
    ] = None,
) -> None:
    """Make a pipeline of a trained embedder."""
    if output.exists():
        raise UserError(f"-o {output} exists: name a folder that does not, or remove it")
    if beats is not None and base is None:
        raise UserError("--beats needs --base: give both, or neither for the networks of a suite")
    if embedder_only and base is None:
        raise UserError("--embedder-only needs --base: the Stable Diffusion that the share refers to")
    if base is not None and beats is not None:
        pipeline = from_released(embedder, beats, base, official_dropout, lora)
    else:
        pipeline = from_suite(embedder, suite, official_dropout, lora)
    if embedder_only:
        assert base is not None
        pipeline.save_embedder(output, base)
    else:
        pipeline.save_pretrained(output)
    print(output)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0 done, 1 failed, 2 wrong use."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(convert)
    try:
        typer.main.get_command(app).main(arguments, prog_name="python -m audiotoken.convert", standalone_mode=False)
    except BenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    except typer.Exit as error:
        return error.exit_code
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        print(f"{error.format_message()} --help shows the usage", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    quiet_libraries()
    raise SystemExit(main())
