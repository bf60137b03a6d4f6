"""CLIP as a scorer: image and text towers of open_clip, with the preprocessing that belongs to the weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING

import numpy as np
import torch

from metrics.preprocessing import Preprocessing
from metrics.scorers.base import ImageScorer, TextScorer
from metrics.scorers.batches import rows_of
from metrics.tensor_files import check_finite, one_line

if TYPE_CHECKING:
    from open_clip import CLIP
    from PIL.Image import Image


class CLIPScorer(ImageScorer, TextScorer):
    """open_clip model in eval mode and single precision.

    Images are embedded in batches padded to `batch_size`, so that the arithmetic of an image does not depend on its
    neighbours.

    Args:
        name: Name in tables and records.
        sha256: Hash of weights and preprocessing.
        model: The network; it is put in eval mode and frozen.
        preprocessing: Preprocessing of images.
        tokenize: Map from texts to ids (n, context).
        device: Device to run on.
    """

    def __init__(
        self,
        name: str,
        sha256: str,
        model: CLIP,
        preprocessing: Preprocessing,
        tokenize: Callable[[Sequence[str]], torch.Tensor],
        device: str = "cpu",
    ) -> None:
        self.name, self.sha256, self.device = name, sha256, device
        self.model = model.to(device).eval().requires_grad_(False)
        self.preprocessing = preprocessing
        self.transform = preprocessing.transform()
        self.tokenize = tokenize

    def embed_images(self, images: Sequence[Image]) -> np.ndarray:
        """Return float32 embeddings (n, d) of images by the image tower, not normalised."""
        return self.embed_prepared([self.prepare(image) for image in images])

    def prepare(self, image: Image) -> torch.Tensor:
        """Return an image resized, cropped and normalised: float32 (3, size, size)."""
        return self.transform(image)

    def embed_prepared(self, prepared: Sequence[torch.Tensor]) -> np.ndarray:
        """Return the embeddings of images of which each went through `prepare`, as `embed_images` does."""
        return rows_of(self.model.encode_image, prepared, self.batch_size, self.device)

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 embeddings (n, d) of texts by the text tower, not normalised."""
        # One at a time: a label's embedding must not depend on the label set.
        rows = [self.model.encode_text(self.tokenize([text]).to(self.device)).float().cpu() for text in texts]
        return torch.cat(rows).numpy()


def load_openai_clip(name: str, sha256: str, architecture: str, path: Path, device: str = "cpu") -> CLIPScorer:
    """Load one of OpenAI's CLIPs from open_clip's file of its parameters, with OpenAI's preprocessing and tokenizer.

    Nothing is downloaded or unpickled.

    Args:
        name: Name in tables and records.
        sha256: Hash of weights and preprocessing.
        architecture: open_clip's name of the architecture, such as "ViT-B-32-quickgelu".
        path: The file.
        device: Device to run on.

    Raises:
        ValueError: The file is not a checkpoint of this architecture; the message lists missing, unexpected and wrongly
            shaped parameters.
    """
    import open_clip

    model = open_clip.create_model(architecture, pretrained=None, precision="fp32")
    try:
        open_clip.load_checkpoint(model, str(path), strict=True, weights_only=True, device="cpu")
    except UnpicklingError as error:
        raise ValueError(
            f"{path} is not a CLIP {architecture}: it is damaged, or holds more than tensors, which is never executed"
        ) from error
    except OSError:
        raise
    except Exception as error:  # on damaged data PyTorch raises nearly anything: IndexError, TypeError, ...
        raise ValueError(f"{path} is not a CLIP {architecture}: {one_line(error)}") from error
    check_finite(model.state_dict(), path)
    size = model.visual.image_size
    preprocessing = Preprocessing(
        size[0] if isinstance(size, tuple) else size, open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    )
    tokenizer = open_clip.get_tokenizer(architecture)
    return CLIPScorer(name, sha256, model, preprocessing, lambda texts: tokenizer(list(texts)), device)
