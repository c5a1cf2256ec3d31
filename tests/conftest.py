"""Fixtures that every test may use."""

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

from mobilenetdet.config import (
    AugmentConfig,
    DataConfig,
    DetectionConfig,
    EvalConfig,
    ModelConfig,
    TrainConfig,
)

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder with real KITTI frames and reference outputs beside the checkout, if any."""
    folder = REPOSITORY.parent / "shared"
    if not (folder / "kitti").is_dir():
        pytest.skip("no reference data beside the checkout")
    return folder


@pytest.fixture(scope="session")
def small_kitti(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A KITTI root with 12 frames of 192x64 pixels: red boxes on grey are Cars, green Pedestrians.

    Converted: tfrecord/train_* (8 frames) and tfrecord/val_* (4).
    """
    root = tmp_path_factory.mktemp("small_kitti")
    for folder in ("training/image_2", "training/label_2", "ImageSets"):
        (root / folder).mkdir(parents=True)
    frame_ids = [f"{index:06d}" for index in range(12)]
    for index, frame_id in enumerate(frame_ids):
        image, lines = draw_small_frame(index)
        cv2.imwrite(str(root / f"training/image_2/{frame_id}.png"), image)
        (root / f"training/label_2/{frame_id}.txt").write_text("".join(lines))
    for name, ids in (("train", frame_ids[:8]), ("val", frame_ids[8:]), ("trainval", frame_ids)):
        (root / f"ImageSets/{name}.txt").write_text("\n".join(ids) + "\n")
    from mobilenetdet.cli import tf_convert_data

    tf_convert_data.main(["--dataset_root", str(root), "--output_dir", str(root / "tfrecord")])
    return root


def draw_small_frame(index: int) -> tuple[np.ndarray, list[str]]:
    """One frame of `small_kitti` and its label lines; frame 3 holds no object."""
    rng = np.random.default_rng(index)
    image = rng.integers(100, 130, (64, 192, 3)).astype(np.uint8)
    if index == 3:
        return image, []
    lines = ["DontCare -1 -1 -10 0.00 0.00 12.00 9.00 -1 -1 -1 -1000 -1000 -1000 -10\n"]
    for slot, (name, colour, size) in enumerate(
        (("Car", (0, 0, 255), (44, 30)), ("Pedestrian", (0, 255, 0), (14, 34)))
    ):
        left = 20 + 90 * slot + int(rng.integers(0, 30))
        top = 12 + int(rng.integers(0, 14))
        right, bottom = left + size[0], top + size[1]
        image[top:bottom, left:right] = colour
        box = f"{left}.00 {top}.00 {right}.00 {bottom}.00"
        lines.append(f"{name} 0.00 0 0.00 {box} 1.5 1.6 3.9 0.0 1.6 10.0 0.00\n")
    return image, lines


@pytest.fixture(scope="session")
def small_config(small_kitti: Path) -> DetectionConfig:
    """A detector small enough to be trained in a test on `small_kitti`."""
    return DetectionConfig(
        data=DataConfig(
            records_dir=str(small_kitti / "tfrecord"),
            image_height=64,
            image_width=192,
            min_object_height=4.0,
        ),
        augment=AugmentConfig(enabled=False),
        model=ModelConfig(
            alpha=0.25,
            weights="none",
            strides=(8,),
            anchors=((44.0, 30.0), (14.0, 34.0)),
            head_blocks=1,
            head_channels=32,
        ),
        train=TrainConfig(epochs=2, batch_size=4, warmup_epochs=0.5, eval_every=1),
        eval=EvalConfig(num_overlays=2),
    )


@pytest.fixture(scope="session")
def small_cifar10(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with cifar-10-batches-py: 5 x 16 training images and 24 test images.

    The class of an image is the place of a bright square on noise, so it can be learned.
    """
    root = tmp_path_factory.mktemp("small_cifar10")
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    for index, name in enumerate(names):
        rng = np.random.default_rng(index)
        labels = rng.permutation(np.arange(24 if name == "test_batch" else 16) % 10)
        images = rng.integers(0, 60, (len(labels), 32, 32, 3)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            top, left = 16 * (label // 5), 6 * (label % 5)
            image[top : top + 12, left : left + 6] = (250, 20 * label, 40)
        rows = images.transpose(0, 3, 1, 2).reshape(len(labels), 3072)
        batch = {b"data": rows, b"labels": labels.tolist(), b"batch_label": name.encode()}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    return root


@pytest.fixture(scope="session")
def class_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with train/NAME/*.JPEG and val/NAME/*.JPEG: 4 classes x 8 and x 5 rendered images.

    The class is the place of a bright bar on noise; sizes differ from image to image.
    """
    root = tmp_path_factory.mktemp("class_folders")
    for split, count in (("train", 8), ("val", 5)):
        for label, name in enumerate(("n01", "n02", "n10", "n20")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                image = draw_class_image(label, seed=100 * label + index + 1000 * (split == "val"))
                cv2.imwrite(str(folder / f"{name}_{index}.JPEG"), image)
    return root


def draw_class_image(label: int, seed: int) -> np.ndarray:
    """One image of `class_folders`, uint8 [H, W, 3]."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(40, 60, 2)
    image = rng.integers(0, 60, (height, width, 3)).astype(np.uint8)
    vertical, far = divmod(label, 2)
    start = 5 if not far else (width if vertical else height) - 17
    bar = (slice(None), slice(start, start + 12)) if vertical else (slice(start, start + 12),)
    image[bar] = (60 * label, 255, 90)
    return image


@pytest.fixture(scope="session")
def class_records(class_folders: Path) -> Path:
    """`class_folders` as records, 32 images in train_*, 20 in val_*."""
    from mobilenetdet.cli import imagenet_convert

    out = class_folders / "tfrecord"
    arguments = ["--dataset_root", str(class_folders), "--output_dir", str(out)]
    imagenet_convert.main([*arguments, "--num_shards", "3"])
    return out
