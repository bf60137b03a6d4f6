"""The page in a real browser, opened as a file: a whole study clicked through, and read back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import worlds

from benchmark.human.build import Plans, build
from benchmark.human.ratings import collect
from benchmark.human.study import Study
from benchmark.utils.progress import Silent

CLIPS = 4


@pytest.fixture(scope="module")
def made(runs, tmp_path_factory) -> dict[str, Path]:
    """A study of each question."""
    folders = {}
    for question in ("relevance", "pair"):
        folders[question] = tmp_path_factory.mktemp("studies") / question
        plans = Plans(question=question, clips=CLIPS, raters=3, trials=CLIPS, checks=1, seed=1, contact="<b>Ann</b>")
        build(runs, folders[question], plans, Silent())
    return folders


def opened(chromium, folder: Path, **options):
    context = chromium.new_context(accept_downloads=True, **options)
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda line: page.faults.append(line.text) if line.type == "error" else None)
    page.on("request", lambda request: page.faults.append(request.url) if request.url.startswith("http") else None)
    page.goto((folder / "page" / "index.html").as_uri() + "?sheet=2")
    return page


def begin(page, number="2"):
    page.get_by_label("Your number").fill(number)
    page.get_by_label("I have read this").check()
    page.get_by_role("button", name="Begin").click()


def answer(page, value, by_key):
    """Play the sound to its end, and answer."""
    page.wait_for_selector(".answers button:enabled")
    if by_key:
        page.keyboard.press(str(value))
    else:
        page.locator(".answers button").nth(value - 1).click()


def saved(page, button, folder: Path) -> Path:
    with page.expect_download() as download:
        button.click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_a_study_is_clicked_through_reloaded_and_imported(chromium, made, tmp_path):
    study = Study.load(made["relevance"])
    sheet = study.sheets[1]
    wanted = [trial.expects or 1 + place % 5 for place, trial in enumerate(sheet)]
    page = opened(chromium, made["relevance"])
    assert "<b>Ann</b>" in page.inner_text("main"), "the contact is text, not markup"
    page.get_by_role("button", name="Begin").click()
    assert "tick the box" in page.get_by_role("alert").inner_text()
    begin(page, "9")
    assert "from 1 to 3" in page.get_by_role("alert").inner_text()
    begin(page)
    page.get_by_role("button", name="Start").click()
    for place in range(2):
        assert f"{place + 1} of {len(sheet)}" in page.inner_text(".progress")
        answer(page, wanted[place], by_key=place % 2 == 0)
    page.wait_for_selector(f"text=3 of {len(sheet)}")

    partly = saved(page, page.get_by_role("link", name="Stop here"), tmp_path / "part")
    found = collect(study, [partly])
    assert len(found.judgements) + (sheet[0].expects is not None) + (sheet[1].expects is not None) == 2
    assert any("partly finished: 2 of 5" in remark for remark in found.remarks)

    page.reload()
    begin(page)
    assert f"3 of {len(sheet)}" in page.inner_text(".progress"), "progress did not survive the reload"
    for place in range(2, len(sheet)):
        if sheet[place].expects:
            assert f"please choose {sheet[place].expects}" in page.inner_text("h1")
        answer(page, wanted[place], by_key=place % 2 == 0)
    page.get_by_label("Anything that we should know").fill("fünf 🔔 \u001b[2J")
    path = saved(page, page.locator("#save"), tmp_path / "whole")
    assert page.faults == []
    page.context.close()

    found = collect(study, [path])
    assert [(one.item, one.value) for one in found.judgements] == [
        (trial.item, value) for trial, value in zip(sheet, wanted, strict=True) if trial.expects is None
    ]
    assert found.raters == ["sheet 2"] and not found.excluded
    assert any("fünf 🔔" in remark and "\u001b" not in remark for remark in found.remarks)
    assert collect(study, [partly, path]).raters == ["sheet 2"], "the longer file of one rater counts"


def test_which_of_two_by_the_keyboard_alone(chromium, made, tmp_path):
    study = Study.load(made["pair"])
    page = opened(chromium, made["pair"], viewport={"width": 390, "height": 844}, color_scheme="dark")
    page.get_by_label("Your number").fill("1")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=What to do")
    page.get_by_role("button", name="Start").press("Enter")
    for trial in study.sheets[0]:
        assert page.locator("img").count() == 2
        answer(page, trial.expects or 1, by_key=True)
    path = saved(page, page.locator("#save"), tmp_path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.faults == []
    page.context.close()
    found = collect(study, [path])
    assert len(found.judgements) == CLIPS
    # who always says "left" prefers whatever stood there
    assert {one.value for one in found.judgements} == {1} and {one.swapped for one in found.judgements} == {True, False}


def test_a_missing_sound_is_said_and_the_page_goes_on(chromium, made, tmp_path):
    import shutil

    folder = tmp_path / "study"
    shutil.copytree(made["relevance"], folder)
    for path in (folder / "page" / "media").glob("*.wav"):
        path.unlink()
    page = opened(chromium, folder)
    begin(page)
    page.get_by_role("button", name="Start").click()
    page.wait_for_selector("text=cannot be played")
    page.get_by_role("button", name="Go on without").click()
    page.wait_for_selector("text=2 of 5")
    page.context.close()


@pytest.mark.parametrize("width", [1440, 900, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_answer_is_in_sight_and_nothing_sticks_out(chromium, made, tmp_path, width, scheme):
    page = opened(chromium, made["relevance"], viewport={"width": width, "height": 844}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    begin(page)
    page.get_by_role("button", name="Start").click()
    page.wait_for_selector(".answers")
    boxes = [page.locator(".answers button").nth(place).bounding_box() for place in range(5)]
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= width and box["height"] >= 44 for box in boxes)
    assert boxes[0]["y"] + boxes[0]["height"] <= 844, "answers are below the fold"
    assert len({box["y"] for box in boxes}) == 1
    ink, paper = page.evaluate(
        "[getComputedStyle(document.documentElement).color, getComputedStyle(document.documentElement).backgroundColor]"
    )
    lightness = [sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(","))) / 3 for colour in (ink, paper)]
    assert (lightness[0] < 80 and lightness[1] > 200) == (scheme == "light")
    assert abs(lightness[0] - lightness[1]) > 150
    page.context.close()


def test_nothing_in_the_page_says_which_method_made_what(made, runs):
    study = Study.load(made["relevance"])
    place = made["relevance"] / "page"
    # the parts that do not come with every study alike
    own = [place / "study.js", *sorted((place / "media").iterdir())]
    names = [*study.runs, *study.clips, *(run.identity for run in study.runs.values()), *map(str, runs)]
    assert "noise" in names and len(own) == 1 + CLIPS + 2 * CLIPS
    assert not [(path, name) for path in own for name in names if name.encode() in path.read_bytes()]
    assert not [path for path in place.rglob("*") if any(name in path.name for name in names)]
    # the numbers of the pictures do not follow the methods or the clips
    data = json.loads((place / "study.js").read_text().removeprefix("const STUDY = ").rstrip().removesuffix(";"))
    pictures = {trial["item"]: trial["images"][0] for sheet in data["sheets"] for trial in sheet}
    by_name = sorted(study.items, key=lambda item: pictures[item])
    for key in (lambda item: study.items[item].runs, lambda item: study.items[item].clip):
        assert [key(item) for item in by_name] != sorted(map(key, by_name))


def test_the_verb_makes_the_same(runs, tmp_path):
    result = worlds.bench(
        "human", "build", *runs, "-o", tmp_path / "s", "--clips", 3, "--raters", 2, "--seed", 5, "--json"
    )
    assert result.code == 0, result.err
    assert result.json["sheets"] == 2 and result.json["items"] == 6 and Path(result.json["start"]).is_file()
    again = worlds.bench("human", "build", *runs, "-o", tmp_path / "s")
    assert again.code == 2 and "holds a study already" in again.err


def test_label_studio_gets_every_item_and_its_media(runs, tmp_path):
    from xml.etree import ElementTree

    result = worlds.bench(
        "human", "build", *runs, "-o", tmp_path / "s", "--clips", 3, "--raters", 2, "--format", "label-studio", "--json"
    )
    assert result.code == 0, result.err
    place, study = tmp_path / "s" / "label-studio", Study.load(tmp_path / "s")
    tasks = json.loads((place / "tasks.json").read_text())
    assert {task["data"]["item"] for task in tasks} == study.items.keys()
    config = ElementTree.parse(place / "labeling-config.xml").getroot()
    wanted = {element.get("value")[1:] for element in config.iter() if (element.get("value") or "").startswith("$")}
    for task in tasks:
        assert wanted <= task["data"].keys()
        for name in ("audio", "image1"):
            assert (place / task["data"][name].partition("?d=")[2]).is_file()
        assert "grey" not in json.dumps(task) and "noise" not in json.dumps(task)


def test_runs_that_cannot_be_rated_together_are_refused(runs, tmp_path):
    nothing = worlds.bench("human", "build", tmp_path / "none", runs[0], "-o", tmp_path / "s")
    assert nothing.code == 2 and str(tmp_path / "none") in nothing.err
    many = worlds.bench("human", "build", *runs, "--clips", 99, "-o", tmp_path / "s")
    assert many.code == 2 and "--clips 99: only 12 clips" in many.err
    alone = worlds.bench("human", "build", runs[0], "--question", "pair", "-o", tmp_path / "s")
    assert alone.code == 2 and "name at least two runs" in alone.err
    assert not (tmp_path / "s").exists()


def test_a_run_whose_record_was_edited_is_not_rated(runs, tmp_path):
    run = shutil.copytree(runs[0], tmp_path / "edited")
    text = (run / "record.json").read_text()
    (run / "record.json").write_text(text.replace('"mini', '"maxi', 1))
    refused = worlds.bench("human", "build", run, "-o", tmp_path / "s")
    assert refused.code == 2 and "record.json is not what was written" in refused.err
