from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from audiotoken import checkpoint
from audiotoken.checkpoint import load_embedder, load_state, read_metadata, save_embedder, save_state
from audiotoken.embedder import Embedder
from benchmark.utils.errors import UserError
from benchmark.utils.sealed import Damaged


@pytest.fixture
def embedder() -> Embedder:
    torch.manual_seed(0)
    return Embedder(10, 6)


def same(one: Embedder, other: Embedder) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return list(a) == list(b) and all(torch.equal(a[name], b[name]) for name in a)


def test_round_trip(tmp_path: Path, embedder: Embedder) -> None:
    path = tmp_path / "made" / "embedder.safetensors"
    save_embedder(path, embedder, {"suite": "mini", "step": "600"})
    loaded = load_embedder(path)
    assert same(loaded, embedder)
    assert (loaded.input_size, loaded.output_size) == (10, 6)
    assert not loaded.training and all(p.requires_grad for p in loaded.parameters())
    assert read_metadata(path) == {"suite": "mini", "step": "600"}
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_hidden_size_is_read_from_the_tensors(tmp_path: Path) -> None:
    torch.manual_seed(0)
    wide = Embedder(10, 6, hidden_size=7)
    save_embedder(tmp_path / "e", wide, {})
    loaded = load_embedder(tmp_path / "e")
    assert same(loaded, wide) and (loaded.input_size, loaded.hidden_size, loaded.output_size) == (10, 7, 6)
    state = {**wide.state_dict(), "fc1.weight": torch.zeros(8, 10)}
    save_file(state, tmp_path / "torn")
    with pytest.raises(UserError, match=r"fc1.weight has shape \(8, 10\), expected \(7, 10\) to fit") as caught:
        load_embedder(tmp_path / "torn")
    assert len(caught.value.problems) == 1


def test_equal_embedders_are_equal_files(tmp_path: Path, embedder: Embedder) -> None:
    metadata = {key: key * 2 for key in "abcdefgh"}
    save_embedder(tmp_path / "one", embedder, metadata)
    save_embedder(tmp_path / "two", embedder, dict(reversed(metadata.items())))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_options_are_passed_on(tmp_path: Path, embedder: Embedder) -> None:
    save_embedder(tmp_path / "e", embedder, {})
    x = torch.ones(1, 5, 10) * torch.arange(5).reshape(1, 5, 1)
    loaded = load_embedder(tmp_path / "e", official_dropout=True)
    assert not torch.equal(loaded(x), loaded(x))


def test_loading_leaves_the_random_state_alone(tmp_path: Path, embedder: Embedder) -> None:
    save_embedder(tmp_path / "e", embedder, {})
    before = torch.get_rng_state()
    load_embedder(tmp_path / "e")
    assert torch.equal(torch.get_rng_state(), before)


def test_metadata_must_be_text(tmp_path: Path, embedder: Embedder) -> None:
    with pytest.raises(TypeError, match="'step' is a int"):
        save_embedder(tmp_path / "e", embedder, {"step": 600})  # type: ignore[dict-item]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("old_format", [False, True])
def test_released_file(tmp_path: Path, embedder: Embedder, old_format: bool) -> None:
    path = tmp_path / "embedder_learned_embeds.bin"
    torch.save(embedder.half().state_dict(), path, _use_new_zipfile_serialization=not old_format)
    loaded = load_embedder(path)
    assert same(loaded, embedder.float())
    assert read_metadata(path) == {}


def test_all_problems_are_listed(tmp_path: Path, embedder: Embedder) -> None:
    state = dict(embedder.state_dict())
    del state["fc1.bias"]
    state["fc3.weight"] = torch.zeros(2)
    state["fga.reduce_potentials.0.weight"] = torch.zeros(1, 3, 1)
    state["fc2.bias"] = torch.full((6,), float("nan"))
    save_file(state, tmp_path / "broken.safetensors")
    with pytest.raises(UserError) as caught:
        load_embedder(tmp_path / "broken.safetensors")
    found = [problem.split("checkpoint: ")[1] for problem in caught.value.problems]
    assert found == [
        "fc1.bias is missing",
        "fc3.weight is unexpected",
        "fc2.bias holds values that are not finite",
        "fga.reduce_potentials.0.weight has shape (1, 3, 1), expected (1, 2, 1) to fit the others",
    ]


@pytest.mark.parametrize("shape", [None, (6,)])
def test_without_sizes(tmp_path: Path, embedder: Embedder, shape: tuple[int, ...] | None) -> None:
    state = dict(embedder.state_dict())
    del state["fc2.weight"]
    if shape:
        state["fc2.weight"] = torch.zeros(shape)
    save_file(state, tmp_path / "e")
    with pytest.raises(UserError, match="fc2.weight is missing|fc2.weight has shape \\(6,\\)") as caught:
        load_embedder(tmp_path / "e")
    assert len(caught.value.problems) == 1


class Trap:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("sprung"),)


def test_nothing_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"fc1.weight": Trap()}, tmp_path / "trap")
    with pytest.raises(UserError, match="trap cannot be read"):
        load_embedder(tmp_path / "trap")
    monkeypatch.setattr(checkpoint, "_plain", lambda value, place: value)
    save_state(tmp_path / "trap", {"fc1.weight": Trap()})
    with pytest.raises(UserError, match="trap cannot be read"):
        load_state(tmp_path / "trap")
    assert not (tmp_path / "sprung").exists()


# The last ones are pickles that end their own stack: PyTorch raises IndexError.
@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"\x40\0\0\0\0\0\0\0{", b"PK\x03\x04 cut off", b"\x80\x02e.", b"\x80\x02b."]
)
def test_damaged_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UserError, match="file cannot be read"):
        load_embedder(tmp_path / "file")
    with pytest.raises(Damaged):
        load_state(tmp_path / "file")


@pytest.mark.parametrize("stored", ["[1]", '{"a": 1}', "null", "{"])
def test_metadata_of_another_shape(tmp_path: Path, stored: str) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "file", {"audiotoken": stored})
    with pytest.raises(UserError, match="file cannot be read"):
        read_metadata(tmp_path / "file")


def test_a_training_state_is_of_its_folder_and_of_nothing_else(tmp_path: Path) -> None:
    save_state(tmp_path / "one" / "training.pt", {"step": 1})
    whole = (tmp_path / "one" / "training.pt").read_bytes()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "training.pt").write_bytes(whole)
    with pytest.raises(Damaged, match="something else"):
        load_state(tmp_path / "other" / "training.pt")
    for place in range(0, len(whole), 7):
        (tmp_path / "one" / "training.pt").write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(Damaged):
            load_state(tmp_path / "one" / "training.pt")
    with pytest.raises(FileNotFoundError):
        load_state(tmp_path / "absent")


@pytest.mark.parametrize("load", [load_embedder, read_metadata])
def test_missing_file_and_folder(tmp_path: Path, load: Any) -> None:
    with pytest.raises(UserError, match="absent cannot be read: No such file"):
        load(tmp_path / "absent")
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path)


def test_other_contents(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list")
    with pytest.raises(UserError, match="does not hold named tensors"):
        load_embedder(tmp_path / "list")


def test_training_state_continues_bit_identically(tmp_path: Path, embedder: Embedder) -> None:
    def train(model: Embedder, optimizer: torch.optim.Optimizer, steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            model(torch.randn(2, 4, 10)).square().mean().backward()
            optimizer.step()

    optimizer = torch.optim.AdamW(embedder.parameters(), lr=1e-2)
    train(embedder, optimizer, 3)
    save_embedder(tmp_path / "e", embedder, {})
    save_state(tmp_path / "s", {"step": 3, "optimizer": optimizer.state_dict(), "rng": torch.get_rng_state()})
    train(embedder, optimizer, 3)

    torch.manual_seed(99)
    resumed = load_embedder(tmp_path / "e").train()
    state = load_state(tmp_path / "s")
    again = torch.optim.AdamW(resumed.parameters(), lr=1e-2)
    again.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["rng"])
    train(resumed, again, 3)
    assert state["step"] == 3
    assert same(resumed, embedder)


def test_state_keeps_plain_values(tmp_path: Path) -> None:
    state = {
        "numbers": [1, 2.5, True, None],
        "pair": (1, "two"),
        "bytes": b"\x00\xff",
        3: {"nested": torch.arange(3)},
    }
    save_state(tmp_path / "s", collections.OrderedDict(state))  # type: ignore[arg-type]
    loaded: dict[Any, Any] = load_state(tmp_path / "s")
    assert torch.equal(loaded[3].pop("nested"), torch.arange(3))
    assert loaded == {"numbers": [1, 2.5, True, None], "pair": (1, "two"), "bytes": b"\x00\xff", 3: {}}


def test_equal_states_are_equal_files(tmp_path: Path) -> None:
    for name in ("one", "another"):
        save_state(tmp_path / name, {"x": torch.ones(3)})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "another").read_bytes()


def test_state_refuses_objects_and_keeps_the_old_file(tmp_path: Path) -> None:
    save_state(tmp_path / "s", {"step": 1})
    with pytest.raises(TypeError, match=r"state\['a'\]\[1\] is a set"):
        save_state(tmp_path / "s", {"a": [1, {2}]})
    assert load_state(tmp_path / "s") == {"step": 1}


def test_files_are_safetensors(tmp_path: Path, embedder: Embedder) -> None:
    save_embedder(tmp_path / "e", embedder, {})
    assert set(load_file(tmp_path / "e")) == set(embedder.state_dict())
