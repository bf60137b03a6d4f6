"""The card of a shared model, from a committed record: its licence, its numbers, and text that stays text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from audiotoken.method import AudioToken
from audiotoken.pipeline import AudioTokenPipeline
from audiotoken.settings import AudioTokenSettings
from benchmark.records.store import packaged_records
from benchmark.sharing.card import Shared, example, licences, model_card
from benchmark.suite import load_suite
from benchmark.utils.errors import UserError
from benchmark.weights.catalog import network


@pytest.fixture
def shared() -> Shared:
    records = [one.record for one in packaged_records("mini").records if one.record.method.name == "audiotoken"]
    method = AudioToken(AudioTokenSettings())
    return Shared("mine", method, load_suite("mini"), records[0], AudioTokenPipeline, True, False, "1.2.3")


def header(card: str) -> Any:
    return yaml.safe_load(card.split("---\n")[1])


def but(shared: Shared, **changed: Any) -> Shared:
    return Shared(**{**shared.__dict__, **changed})


def test_what_ships_with_the_package_is_under_its_licence(shared: Shared) -> None:
    assert header(model_card(shared))["license"] == "apache-2.0"
    assert set(licences(shared).values()) == {"Apache-2.0", shared.method.card.licence}


def test_every_network_of_a_released_suite_has_its_own(shared: Shared) -> None:
    released = but(shared, suite=load_suite("vggsound"))
    found = header(model_card(released))
    assert found["license"] == "other" and found["license_link"] == "README.md"
    names = ("stable-diffusion-v1-4", "beats")
    assert {network(name).licence for name in names} < set(licences(released).values())
    assert "use restrictions" in model_card(released)


def test_text_of_others_stays_text(shared: Shared) -> None:
    bad = "a | b \x1b[2J `x` <script>alert(1)</script> [link](http://x) \u202e\n## Heading"
    record = shared.record.model_copy(update={"warnings": [bad]})
    text = model_card(but(shared, record=record))
    assert "\x1b" not in text and "\u202e" not in text and "\n## Heading" not in text
    assert not re.search(r"(?<!\\)<script", text) and not re.search(r"(?<!\\)\[link", text)


def test_the_example_asks_for_no_more_trust_than_it_needs(shared: Shared) -> None:
    assert "trust_remote_code=True" in example(shared) and "load_lora_weights" not in example(shared)
    plain = but(shared, custom=False)
    assert "trust_remote_code" not in model_card(plain)
    assert "pipeline.load_lora_weights(folder)" in example(but(shared, lora=True))


@pytest.mark.parametrize("name", ["", "..", "a b", "ä", "-x", "x" * 97])
def test_names_that_no_repository_can_have(name: str, tmp_path: Path) -> None:
    from benchmark.sharing.push import push
    from benchmark.utils.progress import Silent

    with pytest.raises(UserError) as caught:
        push(tmp_path / "run", tmp_path / "below" / name, Silent())
    assert len(caught.value.problems) == 1
