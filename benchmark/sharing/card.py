"""The card of a shared model (README.md of its folder): how it is loaded, its data, results, limits and licence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.leaderboard.possible import definition
from benchmark.utils.text import visible
from benchmark.weights import catalog, locate

if TYPE_CHECKING:
    from benchmark.method import Method
    from benchmark.records.record import RunRecord
    from benchmark.suite import Suite

TEMPLATE = Path(__file__).with_name("templates") / "model_card.md.j2"
TASK = "audio-to-image"


@dataclass(frozen=True)
class Shared:
    """What is shared."""

    name: str
    """Name of the folder, by which the example loads it."""
    method: Method
    """The fitted method."""
    suite: Suite
    """The suite of the run."""
    record: RunRecord
    """Its record."""
    kind: type
    """Class of the pipeline."""
    custom: bool
    """Whether diffusers needs the folder's `pipeline.py` to find the class."""
    lora: bool
    """Whether a LoRA is stored apart."""
    version: str
    """Version of this package."""


def model_card(shared: Shared) -> str:
    """Return the card as Markdown, with the results as `model-index` in its header."""
    from jinja2 import Environment, StrictUndefined

    record, card = shared.record, shared.method.card
    rows, missing = [], []
    for name, metric in sorted(record.metrics.items()):
        if metric.value is None:
            missing.append(f"No {_cell(name)}: {_cell(metric.reason)}.")
            continue
        interval = "" if metric.low is None else f"{metric.low:.4g} to {metric.high:.4g}"
        chance = "" if metric.chance is None else f"{metric.chance:.4g}"
        arrow = "↑" if metric.direction == "up" else "↓"
        rows.append((f"`{_cell(name)}`", f"{arrow} {metric.unit}", f"{metric.value:.4g}", interval, chance))
    # Markdown, not HTML: what comes from files is escaped cell by cell.
    template = Environment(undefined=StrictUndefined, autoescape=False, trim_blocks=False).from_string(
        TEMPLATE.read_text(encoding="utf-8")
    )
    text = template.render(
        data=_header(shared),
        method=card,
        suite=shared.suite,
        record=record,
        version=shared.version,
        custom=shared.custom,
        kind=shared.kind.__name__,
        example=example(shared),
        plain_example=_plain_example(shared),
        side=shared.suite.backbone.resolution,
        trained_on=_trained_on(shared),
        settings={name: _cell(value) for name, value in record.method.settings.items()},
        rows=rows,
        missing=missing,
        limits=_limits(shared),
        licences={_cell(part): _cell(licence) for part, licence in licences(shared).items()},
    )
    return text.rstrip() + "\n"


def example(shared: Shared) -> str:
    """Return the lines that load the model by diffusers alone; they stand on the card, and a test executes them."""
    ask = ', custom_pipeline="pipeline", trust_remote_code=True' if shared.custom else ""
    return (
        "from diffusers import DiffusionPipeline\n\n"
        f"{_place(shared)}"
        f"pipeline = DiffusionPipeline.from_pretrained(folder{ask})\n"
        + ("pipeline.load_lora_weights(folder)\n" if shared.lora else "")
        + _call()
    )


def licences(shared: Shared) -> dict[str, str]:
    """Return the licence of every part that the folder holds, by the name of the part."""
    suite, method = shared.suite, shared.method
    found = {f"method {method.card.name}": method.card.licence}
    for part, name in (("backbone", suite.backbone.source), (method.network, method.network)):
        if name and _packaged(suite):
            found[f"{part} of {suite.base}"] = "Apache-2.0"
        elif name:
            one = locate.entry(suite, name)
            found[one.title] = one.licence
    if suite.data.manifest:
        found["what was learned from the manifest's clips"] = "to be stated by whoever shares it"
    return found


def _packaged(suite: Suite) -> bool:
    """Whether the suite's networks ship with this package."""
    return suite.backbone.source not in catalog.networks()


def _header(shared: Shared) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    record = shared.record
    results = [
        EvalResult(
            task_type=TASK,
            task_name="Audio-to-image generation",
            dataset_type=record.suite.name,
            dataset_name=f"{record.suite.name}, version {record.suite.version}",
            dataset_split="test",
            dataset_revision=record.suite.fingerprint,
            metric_type=name,
            metric_name=known.title if (known := definition(name)) else name,
            metric_value=metric.value,
            metric_args={"version": metric.version, "unit": metric.unit, "clips": metric.n},
        )
        for name, metric in sorted(record.metrics.items())
        if metric.value is not None
    ]
    # One identifier holds only where everything in the folder has it.
    free = _packaged(shared.suite) and shared.method.settings.trains and not shared.suite.data.manifest
    licence: Mapping[str, Any] = (
        {"license": "apache-2.0"}
        if free
        else {"license": "other", "license_name": "several", "license_link": "README.md"}
    )
    data = ModelCardData(
        **licence,
        library_name="diffusers",
        tags=[TASK, "audio2image-bench", shared.method.card.name],
        model_name=shared.name,
        eval_results=results or None,
    )
    return str(data.to_yaml())


def _trained_on(shared: Shared) -> str:
    if not shared.method.settings.trains:
        return "Nothing was trained here: the settings name trained weights."
    what, data = shared.method.card.training_data, shared.suite.data
    if data.manifest:
        where = "here the rows of a manifest, or the suite's own clips where it has none to train on"
    else:
        where = f"data set `{data.source}`, revision {data.revision}, {data.train:,} training clips"
    return f"{what[:1].upper()}{what[1:]}: {where}. The settings, with all defaults:"


def _limits(shared: Shared) -> list[str]:
    suite, card = shared.suite, shared.method.card
    limits = [
        "It knows the kinds of sound that it was trained on, and draws one of them, or a mixture, for any other. It "
        "never says that it does not know.",
        "A picture is no evidence of what was recorded: what is not heard (colours, places, faces) is made up.",
        "There is no safety checker. People, voices and brands need care and consent that no metric measures.",
        "Automatic scores say whether a picture fits; they do not say whether people find it good.",
    ]
    if _packaged(suite):
        limits.append(f"The backbone of `{suite.base}` has seen a generated world only, and draws no photographs.")
    if card.notes:
        limits.append(f"{card.notes[:1].upper()}{card.notes[1:]}.")
    if shared.record.clips.failed:
        limits.append(f"{shared.record.clips.failed} of {shared.record.clips.total} clips have no image.")
    return limits + [_cell(line) for line in shared.record.warnings]


def _place(shared: Shared) -> str:
    return (
        f'folder = "{shared.name}"  # this folder, or the name of the repository that holds it: "you/{shared.name}"\n'
    )


def _call() -> str:
    return 'image = pipeline("sound.wav").images[0]\nimage.save("image.png")\n'


def _plain_example(shared: Shared) -> str:
    kind = shared.kind
    return (
        f"from {kind.__module__} import {kind.__name__}\n\n"
        f"{_place(shared)}"
        f"pipeline = {kind.__name__}.from_pretrained(folder)\n{_call()}"
    )


def _cell(value: object) -> str:
    """Return a value as the text of a Markdown table's cell."""
    text = visible(str(value))
    return re.sub(r"([\\`|<>\[\]*])", r"\\\1", text)
