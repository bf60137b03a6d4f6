"""Convert a trained embedder to a diffusers pipeline that can be shared: `python -m audiotoken.convert`.

The embedder is from a fit of this benchmark, or the released `embedder_learned_embeds.bin`; the frozen networks around
it are those of a suite, or files.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmark.utils.device import arithmetic
from benchmark.utils.errors import BenchError, UserError
from benchmark.utils.progress import quiet_libraries
from benchmark.utils.text import visible

if TYPE_CHECKING:
    from audiotoken.pipeline import AudioTokenPipeline, TokenEmbedder

METHODS = ("audiotoken", "audiotoken-cl", "audiotoken-lora")
"""Methods whose fit consists of an embedder over BEATs (the last one with a LoRA beside it) and nothing else."""


@arithmetic()
def from_suite(
    embedder: Path, suite: str | None = None, official_dropout: bool | None = None, lora: Path | None = None
) -> AudioTokenPipeline:
    """Create a pipeline of an embedder and the frozen networks and settings of its suite.

    It generates the images that `bench` generates: bit by bit in single precision on the same device, with one CPU
    generator per image, seeded as in the benchmark, and batches of the same size.

    Args:
        embedder: Folder of a fit, or file of an embedder.
        suite: Name of the suite; by default the one that the file names.
        official_dropout: Whether dropout stays on at inference; by default as in the fit.
        lora: LoRA of the U-Net; by default the one beside the embedder of a fit that has one.

    Raises:
        UserError: The fit is of another method, no suite is known, or files cannot be read or do not fit together.
    """
    from audiotoken.checkpoint import read_metadata
    from audiotoken.features import encoder_of
    from audiotoken.pipeline import AudioEncoder, AudioTokenPipeline
    from benchmark.registries import BACKBONES
    from benchmark.suite import load_suite

    file = _file(embedder)
    metadata = read_metadata(file)
    if (method := metadata.get("method", METHODS[0])) not in METHODS:
        raise UserError(f"{file} is a fit of method {method!r}: only {', '.join(METHODS)} can be converted")
    name = suite or metadata.get("suite")
    if name is None:
        raise UserError(f"{file} does not name its suite: give --suite, or --beats and --base")
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


@arithmetic()
def from_released(
    embedder: Path,
    beats: Path,
    base: str,
    official_dropout: bool | None = None,
    lora: Path | None = None,
    **settings: Any,
) -> AudioTokenPipeline:
    """Create a pipeline of an embedder, a BEATs checkpoint and Stable Diffusion.

    Only tensors are read from the files. The safety checker is omitted, as in the benchmark.

    Args:
        embedder: The released `embedder_learned_embeds.bin`, or a fit's folder or file.
        beats: BEATs checkpoint.
        base: Stable Diffusion in diffusers' layout: a folder or a repository ("repository@revision" pins it).
        official_dropout: Whether dropout stays on at inference; by default as in the fit, and off for the released
            embedder.
        lora: LoRA of the U-Net, such as the released `lora_layers_learned_embeds.bin`; by default the one beside the
            embedder of a fit that has one.
        **settings: Arguments of `AudioTokenPipeline`.

    Raises:
        UserError: Files cannot be read, widths do not fit together, or parameters are missing, unexpected or wrongly
            shaped; the error lists them all.
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
    """Return the embedder of `file`; by default its dropout at inference is as in its fit."""
    from audiotoken.checkpoint import load_embedder, read_metadata
    from audiotoken.pipeline import TokenEmbedder

    if official_dropout is None:
        official_dropout = read_metadata(file).get("official_dropout") == "true"
    return TokenEmbedder.of(load_embedder(file), official_dropout)


def _with_lora(pipeline: AudioTokenPipeline, embedder: Path, lora: Path | None) -> AudioTokenPipeline:
    """Return `pipeline` with the given LoRA, or with the one beside a fit's embedder."""
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
    embedder: Annotated[Path, typer.Argument(help="Folder of a fit, or file of an embedder (.safetensors, .bin).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write the pipeline to; it must not exist.")],
    suite: Annotated[str | None, typer.Option(help="Suite whose networks to use. \\[default: the fit's suite]")] = None,
    beats: Annotated[Path | None, typer.Option(help="BEATs checkpoint to use (.pt); requires --base.")] = None,
    base: Annotated[str | None, typer.Option(help="Stable Diffusion to use: a folder, or repository@revision.")] = None,
    lora: Annotated[
        Path | None, typer.Option(help="LoRA of the U-Net to use (.safetensors, .bin). \\[default: the fit's]")
    ] = None,
    embedder_only: Annotated[
        bool, typer.Option("--embedder-only", help="Write the embedder and a reference to --base: 35 MB, not 4 GB.")
    ] = False,
    official_dropout: Annotated[
        bool | None,
        typer.Option(
            "--official-dropout/--no-official-dropout",
            show_default=False,
            help="Keep the embedder's dropout on at inference, as the released code does. \\[default: as in the fit]",
        ),
    ] = None,
) -> None:
    """Convert a trained embedder to a diffusers pipeline."""
    if output.exists():
        raise UserError(f"-o {output} already exists: choose another folder, or remove it")
    if beats is not None and base is None:
        raise UserError("--beats needs --base: give both, or neither to use the networks of a suite")
    if embedder_only and base is None:
        raise UserError("--embedder-only needs --base: the Stable Diffusion to refer to")
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
    """Run the command line.

    Returns:
        The exit code: 0 for success, 1 for a failure, 2 for wrong usage.
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(convert)
    try:
        typer.main.get_command(app).main(arguments, prog_name="python -m audiotoken.convert", standalone_mode=False)
    except BenchError as error:
        print(visible(str(error), lines=True), file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(visible(str(error), lines=True), file=sys.stderr)
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
