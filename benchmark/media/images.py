"""Image files in, RGB out: the only place where images are decoded, composed over white, resized and saved."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from benchmark.utils.errors import UserError, unknown
from benchmark.utils.files import special_file, write_atomic

MIN_SIDE = 2
MAX_PIXELS = 89_478_485
STRIP_PIXELS = 1 << 20
# Cropping the centre of an image of size 1 x 100000 would first scale it to an immense one.
MAX_ASPECT = 100

# An explicit list, because other formats of Pillow start programs (EPS) or accept nearly any bytes (TGA).
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")

WHITE = (255, 255, 255)


class ImageError(UserError):
    """Image that cannot be used; the message is one line, "image <source> <reason>: <fix>".

    Args:
        source: The file, or the word "array".
        reason: What is wrong with the image, as a predicate.
        fix: What to do about it, as an imperative.
    """

    def __init__(self, source: Path | str, reason: str, fix: str) -> None:
        self.reason = reason
        self.fix = fix
        super().__init__(f"image {str(source)!r} {reason}: {fix}")


def load_image(source: Path | np.ndarray) -> Image.Image:
    """Load a file or an array as an RGB image.

    The EXIF orientation is applied; transparency (alpha, or a transparent colour) is composed over white; 16 bits per
    channel are scaled to 8. Colour profiles are ignored.

    Args:
        source: A file: png, jpeg, webp, gif and tiff (first frame), bmp, ppm, avif or jpeg 2000. Or an array of shape
            (height, width) or (height, width, channels) with 1, 3 or 4 channels: uint8, uint16, bool, or floats in
            [0, 1].

    Returns:
        The image, in mode RGB.

    Raises:
        ImageError: The image is missing, damaged, truncated, too large (over 89 megapixels), too thin (a side under 2
            pixels, or over 100 times the other), or of unknown pixel values. The message names the file and the fix.
    """
    if isinstance(source, np.ndarray):
        name: Path | str = "array"
        image = _from_array(source)
    else:
        name = Path(source)
        image = _decode(name)
    _check_sides(name, *image.size)
    return _to_rgb(name, image)


def resize(image: Image.Image, size: int, mode: str) -> Image.Image:
    """Resize an image with Pillow's antialiased bicubic filter.

    Args:
        image: The image, in any mode.
        size: Side of the result, in pixels.
        mode: One of

            - "center-crop": the short side becomes `size`, and the central size x size is kept (rounded as torchvision
              does).
            - "stretch": size x size, whatever the aspect ratio.
            - "stretch-512x320": 512 wide and 320 high, whatever `size` is, as the published AudioToken does
              (guyyariv/AudioToken@b42a374 data/dataloader.py).
            - "pad": the long side becomes `size`, centred on a white size x size.

    Returns:
        The resized image, in mode RGB.

    Raises:
        UserError: The mode is unknown.
    """
    if mode not in RESIZE_MODES:
        raise unknown("resize mode", mode, RESIZE_MODES)
    return RESIZE_MODES[mode](image.convert("RGB"), size)


def to_uint8(picture: Image.Image | np.ndarray) -> np.ndarray:
    """Return the RGB pixels of an image or of an array as `load_image` takes it: uint8, (height, width, 3)."""
    image = _from_array(picture) if isinstance(picture, np.ndarray) else picture
    return np.array(_to_rgb("array", image))


def save_png(path: Path, image: Image.Image | np.ndarray) -> None:
    """Write the RGB pixels as PNG, atomically.

    No metadata is written, so that equal pixels give equal bytes (with one version of Pillow).
    """
    buffer = io.BytesIO()
    Image.fromarray(to_uint8(image)).save(buffer, format="PNG")
    write_atomic(path, buffer.getvalue())


def pixel_digest(image: Image.Image | np.ndarray) -> str:
    """Return the sha256 (hex) of the size and the RGB pixels, which is the same for an image and for its saved file."""
    if isinstance(image, np.ndarray):
        image = _from_array(image)
    found = hashlib.sha256(f"({image.height}, {image.width}, 3)".encode())
    for _, strip in _strips(image):
        found.update(to_uint8(strip).ravel().data)
    return found.hexdigest()


def _scale(image: Image.Image, width: int, height: int) -> Image.Image:
    return image.resize((width, height), Image.Resampling.BICUBIC)


def _center_crop(image: Image.Image, size: int) -> Image.Image:
    width, height = image.size
    short = min(width, height)
    image = _scale(image, size * width // short, size * height // short)
    left, top = (round((side - size) / 2) for side in image.size)
    return image.crop((left, top, left + size, top + size))


def _stretch(image: Image.Image, size: int) -> Image.Image:
    return _scale(image, size, size)


def _stretch_512x320(image: Image.Image, size: int) -> Image.Image:
    return _scale(image, 512, 320)


def _pad(image: Image.Image, size: int) -> Image.Image:
    width, height = (max(1, round(side * size / max(image.size))) for side in image.size)
    canvas = Image.new("RGB", (size, size), WHITE)
    canvas.paste(_scale(image, width, height), ((size - width) // 2, (size - height) // 2))
    return canvas


RESIZE_MODES: dict[str, Callable[[Image.Image, int], Image.Image]] = {
    "center-crop": _center_crop,
    "stretch": _stretch,
    "stretch-512x320": _stretch_512x320,
    "pad": _pad,
}


def _decode(path: Path) -> Image.Image:
    if kind := special_file(path):
        raise ImageError(path, f"is {kind}, not a file", "correct the path")
    try:
        with Image.open(path, formats=FORMATS) as image:
            # The header gives the size: it is checked before the pixels take memory.
            _check_sides(path, *image.size)
            image.load()
            return ImageOps.exif_transpose(image)
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(path, "does not exist", "correct the path") from None
    except IsADirectoryError:
        raise ImageError(path, "is a folder", "correct the path") from None
    except PermissionError:
        raise ImageError(path, "cannot be opened (no permission)", "correct the path or its permissions") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(path, f"has more than {MAX_PIXELS} pixels", "make it smaller") from None
    except Exception as error:  # on damaged data Pillow raises nearly anything: SyntaxError, struct.error, ...
        detail = "unknown format" if isinstance(error, UnidentifiedImageError) else " ".join(str(error).split())
        raise ImageError(path, f"cannot be decoded ({detail})", "replace it") from None


def _check_sides(name: Path | str, width: int, height: int) -> None:
    short, long = sorted((width, height))
    if short < MIN_SIDE:
        raise ImageError(name, f"is {width} x {height} pixels (at least {MIN_SIDE} a side are needed)", "replace it")
    if long > MAX_ASPECT * short:
        raise ImageError(name, f"is {width} x {height} pixels (sides over {MAX_ASPECT} to 1)", "crop it")
    if width * height > MAX_PIXELS:
        raise ImageError(name, f"is {width} x {height} pixels (at most {MAX_PIXELS} in all)", "make it smaller")


def _from_array(array: np.ndarray) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if not array.size or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ImageError("array", f"has shape {array.shape}", "give (height, width) or (height, width, 1, 3 or 4)")
    if array.dtype == np.bool_:
        array = array * np.uint8(255)
    elif array.dtype == np.uint16:
        array = np.rint(array / 257).astype(np.uint8)
    elif array.dtype.kind == "f":
        # Rounding may take a network's output slightly past 1; values further out are on another scale.
        if not (array.min() >= -1e-3 and array.max() <= 1 + 1e-3):
            raise ImageError("array", f"holds floats from {array.min()} to {array.max()}", "scale them to [0, 1]")
        array = np.rint(np.clip(array, 0, 1) * 255).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise ImageError("array", f"has dtype {array.dtype}", "give uint8, uint16, bool, or floats in [0, 1]")
    return Image.fromarray(np.ascontiguousarray(array))


def _to_rgb(name: Path | str, image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ImageError(name, "has floating point pixels of unknown range", "save it with 8 or 16 bits per channel")
    if image.mode.startswith("I"):
        return _in_strips(image, lambda strip: _from_16_bits(name, strip))
    if not image.has_transparency_data:
        return image.convert("RGB")
    return _in_strips(image, _over_white)


def _from_16_bits(name: Path | str, image: Image.Image) -> Image.Image:
    grey = np.asarray(image)
    if grey.min() < 0 or grey.max() > 65535:
        raise ImageError(name, "has pixels of more than 16 bits", "save it with 8 or 16 bits per channel")
    return _from_array(grey.astype(np.uint16)).convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGBA", image.size, (*WHITE, 255))
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def _in_strips(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Return the RGB image of `convert`, which treats every pixel alone: the largest images fill no memory twice."""
    if image.width * image.height <= STRIP_PIXELS:
        return convert(image)
    result = Image.new("RGB", image.size)
    for top, strip in _strips(image):
        result.paste(convert(strip), (0, top))
    return result


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Yield the image from the top down in strips, each with the number of its first row."""
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))
