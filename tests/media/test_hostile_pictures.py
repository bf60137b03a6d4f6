"""Pictures that are no files, or that are small on the disk and immense in memory."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import worlds
from PIL import Image

from benchmark.media import images
from benchmark.media.images import ImageError, load_image, pixel_digest


def test_pipes_and_devices_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path, kind in ((tmp_path / "pipe.png", "a pipe"), (Path("/dev/zero"), "a device")):
        with pytest.raises(ImageError, match=f"is {kind}, not a file"):
            load_image(path)


def pictures() -> dict[str, Image.Image]:
    rng = np.random.default_rng(0)
    colours = Image.fromarray(rng.integers(0, 256, (37, 23, 4), dtype=np.uint8))
    transparent = Image.fromarray(rng.integers(0, 256, (37, 23, 3), dtype=np.uint8)).quantize(16)
    transparent.info["transparency"] = 3
    return {
        "rgba": colours,
        "palette": transparent,
        "grey with alpha": colours.convert("LA"),
        "16 bits": Image.fromarray(rng.integers(0, 65536, (37, 23), dtype=np.uint16)),
    }


@pytest.mark.parametrize("kind", sorted(pictures()))
def test_strips_change_no_pixel(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    pictures()[kind].save(path)
    whole = np.asarray(load_image(path))
    sha256 = pixel_digest(load_image(path))
    assert sha256 == hashlib.sha256(b"(37, 23, 3)" + whole.tobytes()).hexdigest() == pixel_digest(whole)
    monkeypatch.setattr(images, "STRIP_PIXELS", 100)
    np.testing.assert_array_equal(np.asarray(load_image(path)), whole)
    assert pixel_digest(load_image(path)) == sha256 and whole.std() > 20


def test_the_largest_picture_fits_into_a_gigabyte(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    side = 9_400
    Image.new("RGBA", (side, side)).save(path, compress_level=1)
    assert path.stat().st_size < 3e6
    code = (
        "import sys; from benchmark.media.images import load_image, pixel_digest; from pathlib import Path\n"
        "image = load_image(Path(sys.argv[1])); print(*image.size); pixel_digest(image)\n" + worlds.PRINT_PEAK
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=120, check=True
    )
    size, memory = done.stdout.strip().splitlines()
    assert size == f"{side} {side}" and float(memory) < 1100
