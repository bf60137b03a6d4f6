from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmark.media.images import ImageError, load_image, pixel_digest, resize, save_png, to_uint8
from benchmark.utils.errors import UserError


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def write(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def corner(path: Path) -> tuple[int, ...]:
    image = load_image(path)
    assert image.mode == "RGB"
    return tuple(np.asarray(image)[0, 0].tolist())


def test_transparency_is_composed_over_white(tmp_path: Path) -> None:
    size = (8, 8)
    assert corner(write(tmp_path / "rgba.png", Image.new("RGBA", size, (200, 0, 0, 0)))) == (255, 255, 255)
    assert corner(write(tmp_path / "half.png", Image.new("RGBA", size, (0, 0, 0, 128)))) == (127, 127, 127)
    assert corner(write(tmp_path / "la.png", Image.new("LA", size, (10, 0)))) == (255, 255, 255)
    assert corner(write(tmp_path / "la2.png", Image.new("LA", size, (10, 255)))) == (10, 10, 10)
    palette = Image.new("P", size, 0)
    palette.putpalette([9, 8, 7, 1, 2, 3])
    assert corner(write(tmp_path / "p.png", palette)) == (9, 8, 7)
    assert corner(write(tmp_path / "pt.png", palette, transparency=0)) == (255, 255, 255)
    assert corner(write(tmp_path / "pa.png", palette, transparency=bytes([128, 255]))) == (132, 131, 131)
    assert corner(write(tmp_path / "pt.gif", palette, transparency=0)) == (255, 255, 255)
    assert corner(write(tmp_path / "key.png", Image.new("RGB", size, (1, 2, 3)), transparency=(1, 2, 3))) == (255,) * 3


def test_other_modes(tmp_path: Path) -> None:
    size = (8, 8)
    deep = Image.fromarray(np.full((8, 8), 257 * 200, np.uint16))
    assert corner(write(tmp_path / "16.png", deep)) == (200, 200, 200)
    assert corner(write(tmp_path / "16.tiff", deep)) == (200, 200, 200)
    assert corner(write(tmp_path / "l.png", Image.new("L", size, 33))) == (33, 33, 33)
    assert corner(write(tmp_path / "1.png", Image.new("1", size, 1))) == (255, 255, 255)
    assert corner(write(tmp_path / "cmyk.tiff", Image.new("CMYK", size, (0, 255, 255, 0)))) == (255, 0, 0)
    assert corner(write(tmp_path / "a.webp", Image.new("RGB", size, (5, 6, 7)), lossless=True)) == (5, 6, 7)
    write(tmp_path / "f.tiff", Image.new("F", size, 0.5))
    write(tmp_path / "32.tiff", Image.new("I", size, 70000))
    for name in ("f.tiff", "32.tiff"):
        with pytest.raises(ImageError, match=name):
            load_image(tmp_path / name)


def test_exif_orientation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:, :16] = 255
    loaded = load_image(write(tmp_path / "a.jpg", Image.fromarray(pixels), exif=exif, quality=100))
    assert loaded.size == (16, 32)
    assert np.asarray(loaded)[:12].min() > 240 and np.asarray(loaded)[20:].max() < 15


def test_every_error_is_one_line_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "noise.png").write_bytes(np.random.default_rng(0).bytes(5000))
    whole = Image.fromarray(noise(64, 64))
    for suffix in ("png", "jpg", "webp"):
        data = write(tmp_path / f"whole.{suffix}", whole).read_bytes()
        (tmp_path / f"cut.{suffix}").write_bytes(data[: len(data) // 2])
    data = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "damaged.png").write_bytes(data[:200] + bytes(100) + data[300:])
    write(tmp_path / "1x1.png", Image.new("RGB", (1, 1)))
    write(tmp_path / "1x9.png", Image.new("RGB", (1, 9)))
    write(tmp_path / "thin.png", Image.new("RGB", (2, 201)))
    expected = {
        "gone.png": "does not exist: correct the path",
        "folder.png": "is a folder",
        "empty.png": "cannot be decoded",
        "noise.png": "cannot be decoded (unknown format)",
        "cut.png": "cannot be decoded",
        "cut.jpg": "cannot be decoded",
        "cut.webp": "cannot be decoded",
        "damaged.png": "cannot be decoded",
        "1x1.png": "is 1 x 1 pixels",
        "1x9.png": "is 1 x 9 pixels",
        "thin.png": "is 2 x 201 pixels (sides over 100 to 1)",
        "nul\0.png": "cannot be decoded",
    }
    for name, reason in expected.items():
        with pytest.raises(ImageError) as caught:
            load_image(tmp_path / name)
        assert isinstance(caught.value, UserError)
        assert str(caught.value).startswith(f"image {str(tmp_path / name)!r} {reason}")
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("side", [10_000, 14_000])
def test_decompression_bombs(tmp_path: Path, side: int) -> None:
    path = write(tmp_path / "bomb.png", Image.new("1", (side, side)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with pytest.raises(ImageError, match=r"bomb\.png' .* pixels.*: make it smaller"):
            load_image(path)
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with pytest.raises(ImageError, match="make it smaller"):
            load_image(path)


def test_postscript_is_not_run(tmp_path: Path) -> None:
    lines = ["%!PS-Adobe-3.0 EPSF-3.0", "%%BoundingBox: 0 0 10 10", "%%EndComments", "showpage", "%%EOF", ""]
    (tmp_path / "a.png").write_text("\n".join(lines))
    with pytest.raises(ImageError, match="unknown format"):
        load_image(tmp_path / "a.png")


def test_arrays() -> None:
    pixels = noise(6, 9)
    np.testing.assert_array_equal(to_uint8(load_image(pixels)), pixels)
    np.testing.assert_array_equal(to_uint8(pixels / 255.0), pixels)
    np.testing.assert_array_equal(to_uint8((pixels / 255).astype(np.float32)), pixels)
    np.testing.assert_array_equal(to_uint8(pixels.astype(np.uint16) * 257), pixels)
    np.testing.assert_array_equal(to_uint8(pixels[:, :, :1]), np.repeat(pixels[:, :, :1], 3, axis=2))
    np.testing.assert_array_equal(to_uint8(pixels[:, :, 0] > 9)[:, :, 1], (pixels[:, :, 0] > 9) * 255)
    assert to_uint8(np.zeros((4, 4, 4), np.uint8)).min() == 255
    wrong = [
        pixels.astype(float),
        pixels.astype(int),
        pixels[None],
        pixels[:, :, :2],
        pixels[:0],
        np.full((4, 4), np.nan),
    ]
    for array in [*wrong, pixels[:1]]:
        with pytest.raises(ImageError, match="^image 'array' "):
            load_image(array)


def test_resize_modes() -> None:
    wide = np.zeros((40, 80, 3), np.uint8)
    wide[:, 20:60, 0] = 255
    wide[:, :20, 2] = 255
    image = Image.fromarray(wide)
    for size in (20, 64):
        middle = np.asarray(resize(image, size, "center-crop"))
        assert middle.shape == (size, size, 3)
        assert middle[:, 3:-3, 0].min() > 250 and middle[:, 3:-3, 2].max() < 5
        assert resize(image, size, "stretch").size == (size, size)
        assert resize(image, size, "stretch-512x320").size == (512, 320)
        boxed = np.asarray(resize(image, size, "pad"))
        assert boxed.shape == (size, size, 3)
        assert (boxed[: size // 4] == 255).all() and (boxed[-(size // 4) :] == 255).all()
        assert (boxed[size // 2, 2] == [0, 0, 255]).all()
    with pytest.raises(UserError, match="unknown resize mode 'center_crop': did you mean 'center-crop'"):
        resize(image, 20, "center_crop")


@pytest.mark.parametrize("shape", [(2, 200), (200, 2), (37, 53), (64, 64), (63, 64)])
@pytest.mark.parametrize("mode", ["center-crop", "stretch", "pad"])
def test_resize_is_exact_in_size(shape: tuple[int, int], mode: str) -> None:
    assert resize(Image.fromarray(noise(*shape)), 64, mode).size == (64, 64)


def test_resize_is_antialiased() -> None:
    checks = np.indices((256, 256)).sum(axis=0) % 2 == 0
    small = to_uint8(resize(load_image(checks), 32, "stretch")).astype(int)
    assert abs(small - 127.5).max() < 8


def test_save_png(tmp_path: Path) -> None:
    image = Image.fromarray(noise(20, 30))
    image.info["icc_profile"] = b"anything"
    save_png(tmp_path / "new" / "a.png", image)
    save_png(tmp_path / "b.png", np.asarray(image))
    assert (tmp_path / "new" / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    np.testing.assert_array_equal(np.asarray(load_image(tmp_path / "b.png")), np.asarray(image))
    assert pixel_digest(load_image(tmp_path / "b.png")) == pixel_digest(image) == pixel_digest(np.asarray(image))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.png", "new"]


def test_pixel_digest_covers_the_shape() -> None:
    pixels = noise(4, 9)
    assert pixel_digest(pixels) != pixel_digest(pixels.reshape(9, 4, 3))
    changed = pixels.copy()
    changed[0, 0, 0] ^= 1
    assert pixel_digest(pixels) != pixel_digest(changed)
