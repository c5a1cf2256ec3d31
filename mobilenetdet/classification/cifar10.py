"""CIFAR-10: 50,000 training and 10,000 test images of 32x32 pixels in ten classes.

Learning Multiple Layers of Features from Tiny Images, A. Krizhevsky, 2009.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mobilenetdet.classification.array_pickle import load_array_pickle
from mobilenetdet.classification.config_sections import CIFAR10_SIDE

CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
FOLDER = "cifar-10-batches-py"
BATCHES = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}
_REMEDY = "unpack cifar-10-python.tar.gz again"


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images that fit into memory, with their classes.

    Attributes:
        images: uint8 [N, 32, 32, 3], RGB.
        labels: int32 [N], 0 to 9.
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)


def read_cifar10(data_dir: str, split: str) -> LabelledImages:
    """Reads all images of a split, in the order of the batches.

    Args:
        data_dir: folder that holds or is `cifar-10-batches-py`; empty: `keras.datasets.cifar10`,
            which downloads it once.
        split: "train" or "test".

    Raises:
        FileNotFoundError: no such folder, a batch is missing, or nothing can be downloaded.
        ValueError: a batch is damaged or holds something else; names it.
    """
    if not data_dir:
        return _download(split)
    folder = _find_folder(Path(data_dir))
    paths = [folder / name for name in BATCHES[split]]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise FileNotFoundError(f"{folder} lacks {', '.join(missing)}; {_REMEDY}")
    parts = [_read_batch(path) for path in paths]
    return LabelledImages(
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.labels for part in parts]),
    )


def _find_folder(data_dir: Path) -> Path:
    names = [name for names in BATCHES.values() for name in names]
    for folder in (data_dir, data_dir / FOLDER):
        if any((folder / name).is_file() for name in names):
            return folder
    raise FileNotFoundError(
        f"{data_dir} neither is nor holds the folder {FOLDER} with {', '.join(names)}; unpack "
        "cifar-10-python.tar.gz there, or leave --data.data_dir empty to download it"
    )


def _read_batch(path: Path) -> LabelledImages:
    content = load_array_pickle(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__} and no batch; {_REMEDY}")
    # The batches of Python 2 have byte strings as keys, others may not.
    content = {k.decode() if isinstance(k, bytes) else k: v for k, v in content.items()}
    absent = {"data", "labels"} - set(content)
    if absent:
        raise ValueError(f"{path} lacks {' and '.join(sorted(absent))}; {_REMEDY}")
    rows = np.asarray(content["data"])
    labels = np.asarray(content["labels"])
    if rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != 3 * CIFAR10_SIDE**2:
        raise ValueError(
            f"{path}: data is {rows.dtype} {list(rows.shape)}, expected uint8 "
            f"[N, {3 * CIFAR10_SIDE**2}] (is it CIFAR-10?); {_REMEDY}"
        )
    _check_labels(labels, len(rows), path)
    images = rows.reshape(-1, 3, CIFAR10_SIDE, CIFAR10_SIDE).transpose(0, 2, 3, 1)
    return LabelledImages(np.ascontiguousarray(images), labels.astype(np.int32))


def _check_labels(labels: np.ndarray, num_images: int, path: Path) -> None:
    if labels.shape != (num_images,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"{path}: {num_images} images, but labels are {labels.dtype} {list(labels.shape)}; "
            f"{_REMEDY}"
        )
    wrong = labels[(labels < 0) | (labels >= len(CLASS_NAMES))]
    if len(wrong):
        raise ValueError(f"{path}: label {wrong[0]}, expected 0 to 9; {_REMEDY}")


def _download(split: str) -> LabelledImages:
    # Not at the top: who has the folder need not wait for Keras.
    import keras

    try:
        train, test = keras.datasets.cifar10.load_data()
    except Exception as error:  # noqa: BLE001 - Keras raises a bare Exception
        raise FileNotFoundError(
            f"cannot download CIFAR-10 ({error}); download cifar-10-python.tar.gz elsewhere, "
            f"unpack it and give the folder {FOLDER} as --data.data_dir"
        ) from None
    images, labels = {"train": train, "test": test}[split]
    # Keras gives a view that is laid out as [N, C, H, W].
    return LabelledImages(np.ascontiguousarray(images), labels[:, 0].astype(np.int32))
