"""Fixtures that every test may use."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from mobilenetdet.config.detection import (
    AugmentConfig,
    DataConfig,
    DetectionConfig,
    EvalConfig,
    LevelConfig,
    ModelConfig,
    SqueezeDetHeadConfig,
    TrainConfig,
)

pytest_plugins = (
    "faults.summary",
    "fixtures.backend",
    "fixtures.chromium",
    "fixtures.class_images",
    "fixtures.crowded_frames",
    "fixtures.exportable",
    "fixtures.faults",
    "fixtures.label_folders",
    "fixtures.other_writer",
    "fixtures.own_classes",
    "fixtures.red_finder",
    "fixtures.scenes",
    "fixtures.servers",
    "fixtures.small_layout",
    "fixtures.training",
    "fixtures.weight_files",
)

REPOSITORY = Path(__file__).resolve().parents[1]
# Files of few tests that take half a minute and more: begun first, no process ends with one alone.
LONG_FILES = (
    *("cli/test_chain.py", "training/test_train.py", "classification/test_train.py"),
    *("test_python_page.py", "training/test_own_classes.py", "evaluation/test_evaluate.py"),
    *("test_front_door.py", "models/test_detector.py", "classification/test_model.py"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts long files first; goes with --no-loadscope-reorder of pytest-xdist."""
    order = {REPOSITORY / "tests" / name: place for place, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


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

    A blue one in frame 0 is the only Cyclist: no class of the default config is without an object.
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
    if index == 0:
        image[14:48, 166:186] = (255, 0, 0)
        box = "166.00 14.00 186.00 48.00"
        lines.append(f"Cyclist 0.00 0 0.00 {box} 1.7 0.6 1.8 0.0 1.6 10.0 0.00\n")
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
            levels=(LevelConfig(8, ((44.0, 30.0), (14.0, 34.0))),),
        ),
        head=SqueezeDetHeadConfig(blocks=1, channels=32),
        train=TrainConfig(epochs=2, batch_size=4, warmup_epochs=0.5, eval_every=1),
        eval=EvalConfig(num_overlays=2),
    )


def pytest_terminal_summary(terminalreporter) -> None:
    """Says how many inputs fuzzing has tried."""
    reports = [report for group in terminalreporter.stats.values() for report in group]
    counts = [
        value
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == "inputs" and report.when == "call"
    ]
    if counts:
        terminalreporter.write_line(f"fuzzing: {sum(counts):,} inputs to {len(counts)} parsers")
