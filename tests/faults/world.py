"""A folder of small inputs for every command, with files of a user in between; copied per test."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from faults.processes import ForkServer
from fixtures.web_package import write_web_package

from mobilenetdet.classification.config import (
    ClassifierConfig,
    ClassifierModelConfig,
    ClassifierTrainConfig,
    ImageDataConfig,
)
from mobilenetdet.config.storage import to_json

# Files that are the user's, beside what commands write.
FOREIGN = (
    *("out/notes.txt", "out/.hidden", "out/mine.jpg", "out/overlays/mine.jpg", "out/eval/mine.txt"),
    *("kitti/ImageSets/test.txt", "kitti/tfrecord/notes.md", "fresh/ImageSets/mine.txt"),
    *("run/notes.txt", "run/eval/mine.json", "run/overlays/holiday.jpg", "rendered/README"),
)
CLASSIFIER = ClassifierConfig(
    data=ImageDataConfig(
        dataset="imagenet",
        data_dir="class_records",
        image_size=32,
        num_classes=4,
        min_area=0.6,
        colour=0.0,
    ),
    model=ClassifierModelConfig(alpha=0.25, small_images=True, batch_norm_momentum=0.8),
    train=ClassifierTrainConfig(
        epochs=2, batch_size=32, optimizer="sgd", learning_rate=0.05, warmup_epochs=0.5, ema=0.9
    ),
)


@dataclass
class World:
    """Where commands run, and the process that starts them.

    Attributes:
        folder: the copy for this test; at the same path for all, since records and reports name it.
        pristine: what it is copied from.
        server: starts commands.
    """

    folder: Path
    pristine: Path
    server: ForkServer

    def restore(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.pristine, self.folder, symlinks=True)

    def start(self, words, **handicaps):
        return self.server.start(words, self.folder, **handicaps)

    def run(self, words, **handicaps):
        return self.server.run(words, self.folder, **handicaps)

    def must(self, words, **handicaps):
        """Runs a command that has to end well."""
        running, code = self.run(words, **handicaps)
        assert code == 0, f"{words}: code {code}\n{running.out}\n{running.err}"
        return running


@pytest.fixture(scope="session")
def fork_server(request):
    """Starts commands within tenths of a second; in the sample only those without networks."""
    everything = any(item.get_closest_marker("faults") for item in request.session.items)
    with ForkServer(networks=everything) as server:
        yield server


@pytest.fixture(scope="session")
def pristine_world(
    fork_server, tmp_path_factory, small_kitti, small_config, class_folders, class_records
):
    """The folder as it is before each test."""
    base = tmp_path_factory.mktemp("world")
    world = World(base / "here", base / "pristine", fork_server)
    here = world.folder
    for root in ("kitti", "fresh"):
        shutil.copytree(small_kitti, here / root, ignore=shutil.ignore_patterns("tfrecord"))
    shutil.rmtree(here / "fresh/ImageSets")
    for split in ("train", "val"):
        shutil.copytree(class_folders / split, here / "classes" / split)
    shutil.copytree(class_records, here / "class_records")
    write_pictures(here)
    write_results(here)
    write_other_formats(here)
    write_configs(here, small_config)
    for name in FOREIGN:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(f"of the user: {name}")
    (here / "tmp").mkdir()
    world.must("tf_convert_data --dataset_root kitti --num_shards 3")
    if fork_server.networks:
        world.must("train --config small.json --run_dir run")
        write_smaller_run(here)
        shutil.copytree(here / "run", here / "other")
        for index in range(2):
            world.must(f"eval --run_dir run --num_shards 2 --shard {index} --output_dir jobs")
    here.rename(world.pristine)
    return world


def write_pictures(here):
    (here / "pictures").mkdir()
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (4, 64, 192, 3)).astype(np.uint8)
    for index, frame in enumerate(frames[:3]):
        cv2.imwrite(str(here / f"pictures/photo{index}.png"), frame)
    video = cv2.VideoWriter(str(here / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (192, 64))
    for frame in frames:
        video.write(frame)
    video.release()


def write_results(here):
    """Result files that are as good as the labels."""
    (here / "results").mkdir()
    for frame_id in (here / "kitti/ImageSets/val.txt").read_text().split():
        lines = (here / f"kitti/training/label_2/{frame_id}.txt").read_text().splitlines()
        found = [f"{line} 0.9\n" for line in lines if not line.startswith("DontCare")]
        (here / f"results/{frame_id}.txt").write_text("".join(found))


def write_other_formats(here):
    """Pictures with labels of COCO's format, what predict finds in them, and test frames."""
    names = [f"pictures/photo{index}.png" for index in range(3)]
    content = {
        "images": [{"id": i, "file_name": n, "width": 192} for i, n in enumerate(names)],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "bbox": [9, 8, 40, 30]} for i in range(3)
        ],
    }
    (here / "coco.json").write_text(json.dumps(content))
    found = [{"class": "Car", "score": 0.9, "box_xyxy": [9, 8, 49, 38]}]
    entries = [{"source": n, "width": 192, "height": 64, "detections": found} for n in names]
    (here / "predictions").mkdir()
    (here / "predictions/detections.json").write_text(json.dumps(entries))
    write_web_package(here / "package")
    (here / "kitti/testing/image_2").mkdir(parents=True)
    for index, name in enumerate(names):
        shutil.copy(here / name, here / f"kitti/testing/image_2/{index:06d}.png")


def write_configs(here, small_config):
    settings = replace(
        small_config.train, tensorboard_images=1, ema=0.8, batch_size=8, optimizer="sgd"
    )
    data = replace(small_config.data, records_dir="kitti/tfrecord")
    config = replace(small_config, data=data, train=settings)
    (here / "small.json").write_text(to_json(config))
    (here / "classifier.json").write_text(to_json(CLASSIFIER))


def write_smaller_run(here):
    """A run on other frames, as far as `learning_curve` looks."""
    smaller = here / "smaller"
    (smaller / "eval").mkdir(parents=True)
    config = json.loads((here / "run/config.json").read_text())
    config["data"]["train_split"] = "val"
    (smaller / "config.json").write_text(json.dumps(config))
    shutil.copy(here / "run/eval/metrics.json", smaller / "eval/metrics.json")


@pytest.fixture
def world(pristine_world):
    """A fresh copy of the small inputs."""
    pristine_world.restore()
    yield pristine_world
    pristine_world.server.end_all()
