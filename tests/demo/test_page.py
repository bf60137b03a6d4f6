"""The page of `bench demo` in a real browser: a file goes in, images come out, and nothing leaves this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import worlds

from benchmark.data.manifest import load_manifest
from benchmark.demo import page as demo
from benchmark.demo.studio import Studio
from benchmark.runs.request import RunRequest
from benchmark.utils.errors import UserError
from benchmark.utils.progress import Silent

WAIT = 120_000
"""Milliseconds that the page may take on a busy machine."""
SIZES = ((1440, 900), (900, 900), (390, 844))

ATTENTION = """
    def attention(self, clips):
        import numpy as np
        return np.array([[0.1, 0.1, 0.7, 0.1, 0.0]] * len(clips))
"""
COPY = 'return [Image.open(r"{path}") for clip in clips]'


def test_without_gradio_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = worlds.bench("demo", runs=tmp_path)
    assert result.code == 2 and "pip install 'audio2image-bench[demo]'" in result.err
    assert not list(tmp_path.iterdir()), "nothing is fitted for a page that cannot be shown"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def studio(base: Path) -> Studio:
    train = load_manifest(worlds.things(base)).train
    assert train is not None
    copier = worlds.method_file(base, COPY.format(path=train[4].image), name="copier")
    grey = worlds.method_file(base, worlds.GREY, name="grey", more=ATTENTION)
    made = Studio([RunRequest(method=name, runs=base / "runs") for name in (copier, grey)], Silent())
    made.__dict__["_train"] = train
    made.prepare()
    return made


@pytest.fixture(scope="module")
def address(studio: Studio) -> Iterator[str]:
    pytest.importorskip("gradio", reason="the extra `demo` is not installed")
    served = demo.serve(studio, block=False)
    yield served.local_url
    served.close()


@pytest.fixture
def sheet(chromium: Any, address: str) -> Iterator[Any]:
    """The page, opened; what it asked of other hosts is in `sheet.elsewhere`, and its errors in `sheet.errors`."""
    context = chromium.new_context()
    opened = context.new_page()
    opened.set_default_timeout(WAIT)
    opened.elsewhere, opened.errors = [], []
    own = urlsplit(address).netloc

    def watch(request: Any) -> None:
        if urlsplit(request.url).scheme in ("http", "https", "ws", "wss") and urlsplit(request.url).netloc != own:
            opened.elsewhere.append(request.url)

    opened.on("request", watch)
    opened.on("pageerror", lambda error: opened.errors.append(str(error)))
    opened.goto(address)
    opened.locator("#draw").wait_for()
    yield opened
    context.close()


def give(sheet: Any, file: Path) -> None:
    sheet.locator("#sound input[type=file]").set_input_files(str(file))
    sheet.locator("#sound audio, #sound #waveform, #sound [data-testid*=waveform]").first.wait_for()


def draw(sheet: Any, words: str) -> None:
    """Click until the sound has arrived, which on a busy machine takes longer than the player needs to show it."""
    for _ in range(20):
        sheet.locator("#draw").click()
        wanted = sheet.locator("#answer").get_by_text(words)
        wanted.or_(sheet.locator("#answer").get_by_text("Drop a sound")).first.wait_for()
        if wanted.count():
            return
        sheet.wait_for_timeout(1000)
    raise AssertionError(f"{words!r} does not come")


def test_a_file_becomes_images_side_by_side(sheet: Any, base: Path) -> None:
    give(sheet, next((base / "things" / "audio").glob("test-*.wav")))
    draw(sheet, "copier")
    figures = sheet.locator("#answer figure")
    assert [figures.nth(k).get_attribute("data-method") for k in range(figures.count())] == ["copier", "grey"]
    sizes = sheet.evaluate("[...document.querySelectorAll('#answer img')].map(one => one.naturalWidth)")
    assert sizes == [64] * 4, "an image is not shown"
    assert sheet.locator("#answer").get_by_text("A copy of a training clip").count() == 1
    assert [text.strip() for text in sheet.locator("#answer .listened").all_inner_texts()] == [
        "It has no attention over time: the whole sound counts.",
        "Half of its attention: 1.0 to 1.5 s",
    ]
    lit = [float(one.get_attribute("opacity") or 0) for one in sheet.locator("#answer .lit").all()]
    assert len(lit) == 5 and lit.index(max(lit)) == 2, "the third of five moments is lit"
    assert sheet.locator("#answer audio").count() == 2
    assert sheet.elsewhere == [] and sheet.errors == []


def test_a_recording_becomes_images(chromium: Any, address: str) -> None:
    """With the tone that chromium's pretended microphone gives."""
    pretended = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    program = shutil.which("chromium") or shutil.which("google-chrome")
    heard = chromium.browser_type.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu", *pretended])
    try:
        sheet = heard.new_context(permissions=["microphone"]).new_page()
        sheet.set_default_timeout(WAIT)
        sheet.goto(address)
        sheet.locator("#sound").get_by_label("Record audio").click()
        sheet.locator("#sound .record-button").first.click()
        sheet.wait_for_timeout(1500)
        sheet.locator("#sound .stop-button").first.click()
        draw(sheet, "copier")
        assert sheet.locator("#answer figure").count() == 2
        assert sheet.locator("#answer [role=status]").count() == 0, "what was recorded is silent"
    finally:
        heard.close()


def test_only_the_chosen_methods_draw(sheet: Any, base: Path) -> None:
    give(sheet, next((base / "things" / "audio").glob("test-*.wav")))
    sheet.locator("#methods").get_by_label("copier").uncheck()
    draw(sheet, "grey")
    assert sheet.locator("#answer figure").count() == 1


def test_bad_input_is_said_and_the_page_goes_on(sheet: Any, base: Path, tmp_path: Path) -> None:
    draw(sheet, "Drop a sound, or record one, first.")
    (tmp_path / "broken.wav").write_bytes(b"RIFF no sound")
    sheet.locator("#sound input[type=file]").set_input_files(str(tmp_path / "broken.wav"))
    draw(sheet, "broken.wav")
    assert sheet.locator("#answer [role=alert]").count() == 1 and sheet.locator("#answer figure").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows_at_any_width(sheet: Any, base: Path, scheme: str) -> None:
    sheet.emulate_media(color_scheme=scheme)
    give(sheet, next((base / "things" / "audio").glob("test-*.wav")))
    draw(sheet, "grey")
    for width, height in SIZES:
        sheet.set_viewport_size({"width": width, "height": height})
        assert sheet.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
        boxes = [one.bounding_box() for one in sheet.locator("#answer figure").all()]
        assert all(box["x"] >= 0 and box["x"] + box["width"] <= width for box in boxes)
        if folder := os.environ.get("DEMO_SHOTS"):
            sheet.screenshot(path=f"{folder}/demo-{width}-{scheme}.png", full_page=True)


def test_a_taken_port_is_one_line(studio: Studio, address: str) -> None:
    with pytest.raises(UserError, match="--port") as caught:
        demo.serve(studio, port=urlsplit(address).port, block=False)
    assert len(caught.value.problems) == 1
