"""The site in a real browser, opened from its folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sites import CLIPS, LABELS

WAIT = 60_000
"""Milliseconds that a busy machine is given."""


def until(page: Any, expression: str) -> None:
    """Wait until an expression is true in the page, which forbids playwright's own way of asking again."""
    deadline = time.monotonic() + WAIT / 1000
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(50)


@pytest.fixture
def page(chromium: Any, site: Path) -> Iterator[Callable[..., Any]]:
    """Opens a page of the site."""
    yield from opener(chromium, site)


@pytest.fixture
def stressed_page(chromium: Any, stressed: Path) -> Iterator[Callable[..., Any]]:
    """Opens a page of the site with runs on changed clips."""
    yield from opener(chromium, stressed)


def opener(chromium: Any, site: Path) -> Iterator[Callable[..., Any]]:
    """Opens a page of a site; at the end nothing may have gone wrong in it, and no other host been asked."""
    context = chromium.new_context(viewport={"width": 1200, "height": 900})
    context.set_default_timeout(WAIT)
    opened, faults, asked = context.new_page(), [], []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda one: faults.append(one.text) if one.type in ("error", "warning") else None)
    opened.on("dialog", lambda one: (faults.append(f"dialog {one.message}"), one.dismiss()))
    opened.on("request", lambda one: asked.append(one.url))

    def at(name: str, ready: bool = True) -> Any:
        opened.goto("about:blank")
        opened.goto(f"{site.as_uri()}/{name}")
        if ready:
            opened.wait_for_selector("body[data-ready]")
        return opened

    yield at
    context.close()
    assert faults == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:", "about:"))] == []


def test_the_leaderboard_sorts_filters_and_keeps_both_in_its_address(page):
    board = page("index.html", ready=False)
    names = "tbody tr:not([hidden]) th a"
    assert board.locator(names).all_text_contents()[0] == "alpha"
    board.get_by_role("button", name="aic ↑").click()
    values = [
        float(v)
        for v in board.locator("#board tbody tr td:nth-child(5)").evaluate_all("c => c.map(x => x.dataset.value)")
    ]
    assert values == sorted(values, reverse=True)
    board.get_by_role("button", name="label", exact=True).click()
    assert board.locator(names).all_text_contents() == ["gamma"]
    assert board.locator("#shown").text_content() == "1 of 4 methods"
    board.get_by_role("button", name="label", exact=True).click()
    board.get_by_role("button", name="label list").click()
    assert board.locator("tbody tr:not([hidden]) td:nth-child(3)").all_text_contents() == ["audio, label list"]
    board.get_by_role("button", name="label list").click()
    board.get_by_role("button", name="label", exact=True).click()
    again = page(f"index.html#{board.url.partition('#')[2]}", ready=False)
    assert again.locator(names).all_text_contents() == ["gamma"]
    assert again.locator("th[aria-sort]").get_attribute("data-metric") == "aic"


def test_the_gallery_filters_sorts_opens_and_plays(page):
    gallery = page("gallery.html")
    cards = gallery.locator(".clip")
    cards.first.locator(".pic img").nth(1).wait_for()
    assert 2 < cards.count() < CLIPS, "only what is near the view is in the page"
    gallery.locator("#class").select_option(LABELS[1])
    assert gallery.locator("#shown").text_content() == f"{CLIPS // 3} of {CLIPS} clips"
    gallery.locator("#class").select_option("")
    gallery.locator("#sort").select_option("worst")
    gallery.locator("#find").fill("clip-0001")
    until(gallery, f"shown.textContent === '10 of {CLIPS} clips'")
    gallery.locator("#find").fill("")
    until(gallery, f"shown.textContent === '{CLIPS} clips'")
    gallery.locator("#differ").check()
    until(gallery, f"shown.textContent.includes('of {CLIPS}')")
    gallery.locator("#find").blur()
    gallery.keyboard.press("j")
    first = gallery.locator(".clip.at .id").text_content()
    gallery.keyboard.press("Enter")
    dialog = gallery.locator("dialog[open]")
    assert dialog.locator(".id").text_content() == first and f"clip={first}" in gallery.url
    assert dialog.locator(".pic").count() == 4, "the true frame and the three methods that have images"
    assert dialog.locator("img").first.evaluate("i => i.decode().then(() => i.naturalWidth)") > 0
    dialog.locator("#wave > div").wait_for()
    dialog.locator(".play").click()
    until(gallery, "sound.audio.duration > 0.9 && sound.audio.currentTime > 0")
    gallery.keyboard.press("ArrowRight")
    until(gallery, f"!location.hash.includes('clip={first}') && location.hash.includes('clip=')")
    gallery.keyboard.press("Escape")
    until(gallery, "!location.hash.includes('clip=') && location.hash.includes('sort=worst')")


def test_a_link_shows_the_same_clip_and_methods_again(page):
    gallery = page("gallery.html#clip=clip-00004&methods=alpha,beta&seeds=all")
    dialog = gallery.locator("dialog[open]")
    assert dialog.locator(".who").all_text_contents() == [
        "true frame",
        "alpha, seed 0, runs",
        "alpha, seed 1, runs",
        "beta, seed 0, runs",
    ]
    gallery = page("gallery.html#view=table")
    gallery.locator(".tabulator-row").first.wait_for()
    gallery.locator(".tabulator-row").first.click()
    gallery.locator("dialog[open] .pics").wait_for()


def test_two_methods_and_two_runs_are_compared(page):
    compare = page("compare.html#a=alpha&b=beta")
    rows = compare.locator("#differences tbody tr")
    assert rows.count() == 3 and "alpha minus beta" in compare.locator("#notes").text_content()
    difference = rows.first.locator("td").nth(2).text_content()
    compare.locator(".change .pic img").first.wait_for()
    compare.locator("#swap").click()
    until(compare, "notes.textContent.includes('beta minus alpha')")
    turned = rows.first.locator("td").nth(2).text_content()
    assert turned.split()[0].lstrip("+-") == difference.split()[0].lstrip("+-") and turned[0] != difference[0]
    runs = compare.locator("#a optgroup[label=Runs] option").evaluate_all("o => o.map(x => x.value)")
    assert len(runs) == 5
    compare = page(f"compare.html#a={runs[0]}&b={runs[1]}")
    assert compare.locator("#differences tbody tr").count() >= 2


def test_a_clip_on_a_phone_has_its_title_above_the_buttons(page):
    gallery = page("gallery.html#clip=clip-00004&class=no+such+class")
    gallery.set_viewport_size({"width": 390, "height": 844})
    title = gallery.locator("#clip-title").bounding_box()
    assert title["width"] > 300 and title["height"] < 80
    assert gallery.locator("#class").input_value() == "", "a class that is not there is no empty choice"


def test_a_link_is_shown_where_it_cannot_be_copied(page):
    gallery = page("gallery.html#clip=clip-00004")
    gallery.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    gallery.get_by_role("button", name="copy link").click()
    assert gallery.get_by_label("Link to this clip").input_value() == gallery.url


UNNAMED = """all => all.filter(one => !(one.getAttribute('aria-label') || one.textContent.trim() || one.labels?.length
  || one.title)).map(one => one.outerHTML)"""


@pytest.mark.parametrize("name", ["index", "plots", "gallery", "compare", "methods/alpha", "metrics/ais"])
def test_pages_fit_a_phone_in_light_and_dark(page, name):
    shown = page(f"{name}.html", ready=name in ("plots", "gallery", "compare"))
    shown.set_viewport_size({"width": 390, "height": 844})
    backgrounds = set()
    for scheme in ("light", "dark"):
        shown.emulate_media(color_scheme=scheme)
        backgrounds.add(shown.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert shown.evaluate("document.documentElement.scrollWidth") <= 391
    assert len(backgrounds) == 2
    before = shown.evaluate("getComputedStyle(document.body).backgroundColor")
    shown.locator("#theme").click()
    assert shown.evaluate("getComputedStyle(document.body).backgroundColor") != before
    assert shown.locator("button, a, select, input").evaluate_all(UNNAMED) == []
    assert shown.locator("h1").count() == 1


def test_stress_is_drawn_beside_its_numbers_and_methods_can_be_left_out(stressed_page):
    plots = stressed_page("plots.html#metric=ais")
    assert plots.locator("#stress-plots figcaption").all_text_contents() == [
        "White noise: dB below the sound",
        "Other changes",
    ]
    noise = plots.locator("#stress-plots figure").first
    line = "path[fill=none]"
    assert noise.locator(line).count() == 1, "alpha has a curve, beta one point"
    assert noise.get_by_text("\u22125", exact=True).count() == 1 and noise.get_by_text("chance").count() == 1
    titles = plots.locator("#stress-plots figure title").all_text_contents()
    table = plots.locator("#stress-table table")
    assert table.locator("tbody tr").count() == 7 and table.locator("thead th").nth(1).text_content() == "alpha"
    shown = table.locator("tbody tr").nth(2).locator("td").first.text_content()
    assert shown[0].isdigit() and f"alpha, snr=0: {shown}" in titles
    chip = plots.locator("#stress-methods button").first
    chip.focus()
    plots.keyboard.press("Enter")
    until(plots, f"document.querySelectorAll('#stress-plots {line}').length === 0")
    assert chip.get_attribute("aria-pressed") == "false" and "unstressed=0" in plots.url
    assert chip.evaluate("one => one === document.activeElement")
    assert plots.locator("#stress-table thead th").nth(1).text_content() == "alpha", "the numbers stay"
    plots.locator("#metric").select_option("fd.clip")
    until(plots, "document.querySelector('#stress-table caption').textContent.startsWith('fd.clip')")


def test_what_is_heard_is_drawn_with_chance_and_ceiling(stressed_page):
    plots = stressed_page("plots.html")
    figure = plots.locator("#atom-plots figure")
    assert figure.count() == 1 and figure.locator("figcaption").text_content() == "hears.size"
    assert figure.locator("line.ceiling").count() == figure.locator("line.chance").count() == 1
    rows = plots.locator("#atoms-table tbody tr").all_text_contents()
    assert [row.split(".")[0] for row in rows] == ["ceiling91", "true91", "beta40", "chance33"]


def test_plots_of_stress_fit_a_phone(stressed_page):
    plots = stressed_page("plots.html")
    plots.set_viewport_size({"width": 390, "height": 844})
    plots.wait_for_timeout(400)
    assert plots.evaluate("document.documentElement.scrollWidth") <= 391
    assert plots.locator("button, a, select, input").evaluate_all(UNNAMED) == []
