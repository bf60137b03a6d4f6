"""The page of `bench demo`, made with Gradio: a sound goes in, an answer comes out. Nothing leaves this machine."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.demo.picture import refusal, to_html
from benchmark.utils.errors import BenchError, UserError

if TYPE_CHECKING:
    from benchmark.demo.studio import Studio

TITLE = "What does it sound like?"
MISSING = (
    "bench demo needs gradio, which is not installed: pip install 'audio2image-bench[demo]', in an environment of its "
    "own if pip finds no versions that agree"
)
FONTS = ["system-ui", "sans-serif"]


def check_installed() -> None:
    """Raise UserError where Gradio is not installed: before methods are fitted for a page that cannot be shown."""
    if importlib.util.find_spec("gradio") is None:
        raise UserError(MISSING)


def serve(studio: Studio, *, port: int | None = None, block: bool = True) -> Any:
    """Show the page at an address of this machine.

    Args:
        studio: The methods, prepared.
        port: Port of the address; None for the first free one from 7860.
        block: Whether to serve until interrupted.

    Returns:
        The page, whose `local_url` is its address.

    Raises:
        UserError: Gradio is not installed, or the port is taken.
    """
    check_installed()
    # Gradio would report each start, and ask whether it is the newest.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio

    page = _page(gradio, studio)
    theme = gradio.themes.Default(font=FONTS, font_mono=["monospace"])
    try:
        page.queue(default_concurrency_limit=1).launch(
            server_name="127.0.0.1",
            server_port=port,
            share=False,
            quiet=True,
            prevent_thread_lock=True,
            footer_links=[],
            theme=theme,
        )
    except OSError as error:
        raise UserError(f"--port {port}: {' '.join(str(error).split())}: choose another, or leave it out") from error
    if block:
        page.block_thread()
    return page


def _page(gradio: Any, studio: Studio) -> Any:
    names = list(studio.runs)

    def answer(sound: str | None, methods: Sequence[str], number: float | None) -> str:
        if sound is None:
            return refusal(["Drop a sound, or record one, first."])
        try:
            return to_html(studio.answer(Path(sound), methods, int(number or 0)))
        except BenchError as error:
            return refusal(str(error).splitlines())

    with gradio.Blocks(title=TITLE, analytics_enabled=False) as page:
        gradio.Markdown(f"# {TITLE}\n\nA sound goes in; each method draws what it makes of it.")
        with gradio.Row():
            sound = gradio.Audio(
                sources=["upload", "microphone"], type="filepath", label="Sound", buttons=[], elem_id="sound"
            )
            with gradio.Column():
                methods = gradio.CheckboxGroup(names, value=names, label="Methods", elem_id="methods")
                number = gradio.Number(0, minimum=0, precision=0, label="Number: each another draw", elem_id="number")
                button = gradio.Button("Draw", variant="primary", elem_id="draw")
        shown = gradio.HTML(elem_id="answer", label="Pictures")
        button.click(answer, [sound, methods, number], shown)
    return page
