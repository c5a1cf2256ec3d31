"""Batches from records: what is in an epoch, in which order, and that it can be repeated."""

import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
import tensorflow as tf

from mobilenetdet.boxes.box_status import DONT_CARE, PADDING, WITHOUT_WEIGHT
from mobilenetdet.boxes.letterbox import Letterbox
from mobilenetdet.config.detection import (
    AugmentConfig,
    DataConfig,
    DetectionConfig,
    EvalConfig,
    TrainConfig,
)
from mobilenetdet.data.batch_share import BatchShare
from mobilenetdet.data.pipeline import (
    eval_batches,
    plan_epochs,
    train_batches,
)
from mobilenetdet.kitti.layout import KittiLayout
from mobilenetdet.records.kitti_convert import ConversionOptions, convert_split
from mobilenetdet.records.shards import count_frames

NUM_FRAMES = 22
SIZE = (50, 160)
# Frame i is painted in the grey 10 * i, so that a batch tells which frames are in it.
EMPTY, DONT_CARE_ONLY = 3, 7


def write_kitti(root, *, damage=None):
    for folder in ("training/image_2", "training/label_2", "ImageSets"):
        (root / folder).mkdir(parents=True)
    frame_ids = [f"{index:06d}" for index in range(NUM_FRAMES)]
    rng = np.random.default_rng(0)
    for index, frame_id in enumerate(frame_ids):
        image = np.full((*SIZE, 3), 10 * index, np.uint8)
        encoded = bytearray(cv2.imencode(".png", image)[1].tobytes())
        if index == damage:
            start = encoded.index(b"IDAT") + 4
            encoded[start : start + 20] = bytes(20)
        (root / f"training/image_2/{frame_id}.png").write_bytes(encoded)
        (root / f"training/label_2/{frame_id}.txt").write_text(label(index, rng))
    for split in ("train", "val"):
        (root / f"ImageSets/{split}.txt").write_text("\n".join(frame_ids) + "\n")
    return root


def label(index, rng):
    if index == EMPTY:
        return ""
    region = "DontCare -1 -1 -10 5 5 30 40 -1 -1 -1 -1000 -1000 -1000 -10\n"
    if index == DONT_CARE_ONLY:
        return region
    lines = []
    for _ in range(index % 11):
        left, top = rng.uniform([0, 0], [120, 20])
        box = f"{left:.2f} {top:.2f} {left + 35:.2f} {top + 25:.2f}"
        lines.append(f"Car 0 0 -10 {box} 1 1 1 1 1 1 1\n")
    return "".join(lines) + region


def convert(root, records_dir):
    layout = KittiLayout(root)
    for split in ("train", "val"):
        convert_split(layout, split, records_dir, ConversionOptions(num_shards=3))
    return records_dir


@pytest.fixture(scope="module")
def records_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipeline")
    return convert(write_kitti(folder / "KITTI"), folder / "tfrecord")


def make_config(records_dir, *, seed=0, batch_size=4, shuffle_buffer=8, **augment):
    return DetectionConfig(
        data=DataConfig(
            records_dir=str(records_dir),
            image_height=32,
            image_width=96,
            min_object_height=5,
            shuffle_buffer=shuffle_buffer,
        ),
        augment=AugmentConfig(**augment),
        train=TrainConfig(seed=seed, batch_size=batch_size),
        eval=EvalConfig(batch_size=batch_size),
    )


def frames_of(images):
    """Returns the index of each frame of a batch by its grey."""
    return (images[:, 16, 48, 0].astype(int) // 10).tolist()


def flatten(batch):
    images, targets = batch
    return images.tobytes(), {key: value.tobytes() for key, value in targets.items()}


def run(config, **settings):
    return list(train_batches(config, **settings).as_numpy_iterator())


def parts_of_processes(config, count, num_devices):
    """The batches of processes, put together, and which of their rows fill up."""
    shares = [BatchShare(index, count, num_devices) for index in range(count)]
    room = {"room_for": 20}
    for parts in zip(*(run(config, num_epochs=2, share=s, **room) for s in shares), strict=True):
        assert {targets["boxes"].shape[1] for _, targets in parts} == {24}
        images = np.concatenate([images for images, _ in parts])
        joined = {key: np.concatenate([y[key] for _, y in parts]) for key in parts[0][1]}
        yield images, joined, (joined["box_status"] == WITHOUT_WEIGHT).all(axis=1)


@pytest.mark.parametrize(
    ("count", "num_devices", "batch_size"), [(2, 2, 4), (2, 4, 4), (3, 3, 6), (2, 2, 2)]
)
def test_processes_together_make_the_batches_of_one(records_dir, count, num_devices, batch_size):
    config = make_config(records_dir, batch_size=batch_size, crop=1.0, flip=0.5, min_box_size=12)
    config = replace(config, train=replace(config.train, record_shares=count))
    whole = run(config, num_epochs=2, share=BatchShare(0, 1, num_devices))
    together = list(parts_of_processes(config, count, num_devices))
    assert len(whole) == len(together) == 2 * plan_epochs(config).steps
    real = 0
    for (images, one), (joined_images, joined, fills_up) in zip(whole, together, strict=True):
        np.testing.assert_array_equal(joined_images, images)
        assert len(images) % num_devices == 0
        for row in range(len(images)):
            used = one["box_status"][row] != PADDING
            for key in ("boxes", "classes"):
                found = joined[key][row][joined["box_status"][row] != PADDING]
                expected = one[key][row][used]
                np.testing.assert_array_equal(found[: len(expected)], expected)
                assert not found[len(expected) :].any() or key == "classes"
        np.testing.assert_array_equal(joined["num_dropped"], one["num_dropped"])
        assert not joined["num_dropped"][fills_up].any()
        real += (~fills_up).sum()
    assert real == 2 * NUM_FRAMES


def test_each_epoch_of_shares_has_every_frame_once(records_dir):
    config = make_config(records_dir, enabled=False, batch_size=6)
    config = replace(config, train=replace(config.train, record_shares=3))
    orders = []
    for images, targets in run(config, num_epochs=2):
        fills_up = (targets["box_status"] == WITHOUT_WEIGHT).all(axis=1)
        orders += frames_of(images[~fills_up])
    assert sorted(orders[:NUM_FRAMES]) == sorted(orders[NUM_FRAMES:]) == list(range(NUM_FRAMES))
    assert orders[:NUM_FRAMES] != orders[NUM_FRAMES:]
    resumed = run(config, first_epoch=1, num_epochs=1)
    straight = run(config, num_epochs=2)[-len(resumed) :]
    assert [flatten(batch) for batch in straight] == [flatten(batch) for batch in resumed]


def test_a_process_reads_no_shard_of_another(records_dir, tmp_path):
    own = tmp_path / "tfrecord"
    shutil.copytree(records_dir, own)
    config = make_config(own, batch_size=6)
    config = replace(config, train=replace(config.train, record_shares=3))
    share = BatchShare(0, 3, 3)
    whole = [flatten(batch) for batch in run(config, num_epochs=1, share=share)]
    for name in ("train_001.tfrecord", "train_002.tfrecord"):
        path = own / name
        path.write_bytes(bytes(path.stat().st_size))  # damaged from its first byte on
    assert [flatten(batch) for batch in run(config, num_epochs=1, share=share)] == whole
    with pytest.raises(tf.errors.DataLossError):
        run(config, num_epochs=1, share=BatchShare(1, 3, 3))


def test_batches_of_a_split_are_those_of_all(records_dir):
    config = make_config(records_dir, batch_size=3)
    whole = [list(b["frame_ids"]) for b in eval_batches(config, "val").as_numpy_iterator()]
    for some in (range(0), range(1), range(1, 3), range(2, len(whole))):
        batches = eval_batches(config, "val", some).as_numpy_iterator()
        assert [list(batch["frame_ids"]) for batch in batches] == whole[some.start : some.stop]


def test_counts(records_dir):
    config = make_config(records_dir)
    for split in ("train", "val"):
        assert count_frames(config.data.records_dir, split) == NUM_FRAMES
    assert plan_epochs(config).steps == plan_epochs(config, count_records=True).steps == 6
    assert plan_epochs(make_config(records_dir, batch_size=11)).steps == 2
    assert plan_epochs(make_config(records_dir, batch_size=64)).steps == 1


def test_each_epoch_has_every_frame_once_in_an_order_of_its_own(records_dir):
    config = make_config(records_dir, enabled=False)
    dataset = train_batches(config, num_epochs=3)
    assert dataset.cardinality() == 18
    batches = list(dataset.as_numpy_iterator())
    assert [len(images) for images, _ in batches] == [4, 4, 4, 4, 4, 2] * 3
    orders = []
    for epoch in range(3):
        images = np.concatenate([images for images, _ in batches[6 * epoch : 6 * epoch + 6]])
        orders.append(frames_of(images))
        assert sorted(orders[-1]) == list(range(NUM_FRAMES))
    assert len(set(map(tuple, orders))) == 3
    assert list(range(NUM_FRAMES)) not in orders


def test_a_batch_is_what_the_docstring_says(records_dir):
    config = make_config(records_dir)
    dataset = train_batches(config)
    assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY
    images_spec, target_specs = dataset.element_spec
    assert images_spec.shape.as_list() == [None, 32, 96, 3]
    assert target_specs["boxes"].shape.as_list() == [None, None, 4]
    for images, targets in dataset.take(8).as_numpy_iterator():
        size, num_boxes = targets["box_status"].shape
        assert images.dtype == np.uint8
        assert set(targets) == {"boxes", "classes", "box_status", "num_dropped"}
        assert num_boxes % 8 == 0
        assert (
            num_boxes - (targets["box_status"] != PADDING).sum(axis=1).max() < 8 or num_boxes == 8
        )
        assert targets["boxes"].shape == (size, num_boxes, 4)
        assert targets["boxes"].dtype == np.float32
        assert targets["num_dropped"].shape == (size,)
        nameless = np.isin(targets["box_status"], (PADDING, DONT_CARE))
        assert (targets["classes"][nameless] == -1).all()
        assert (targets["classes"][~nameless] >= 0).all()


def test_training_images_may_be_smaller_than_those_of_evaluation(records_dir):
    config = make_config(records_dir)  # 32x96
    config = replace(config, train=replace(config.train, image_scale=2 / 3))
    assert next(iter(train_batches(config)))[0].shape[1:3] == (32, 64)
    assert next(iter(eval_batches(config, "val")))["images"].shape[1:3] == (32, 96)


def test_the_same_seed_gives_the_same_run_whatever_else_is_seeded(records_dir):
    config = make_config(records_dir, hue_saturation=0.2, crop=0.2)
    tf.random.set_seed(1)
    first = [flatten(batch) for batch in run(config, num_epochs=2)]
    tf.random.set_seed(0)
    second = [flatten(batch) for batch in run(config, num_epochs=2)]
    assert first == second


def test_one_dataset_gives_the_same_twice(records_dir):
    dataset = train_batches(make_config(records_dir), num_epochs=1)
    first, second = ([flatten(b) for b in dataset.as_numpy_iterator()] for _ in range(2))
    assert first == second


@pytest.mark.parametrize("shuffle_buffer", [3, 1000])
def test_a_resumed_run_goes_on_as_if_it_had_never_stopped(records_dir, shuffle_buffer):
    config = make_config(records_dir, shuffle_buffer=shuffle_buffer)
    whole = [flatten(batch) for batch in run(config, num_epochs=5)]
    resumed = [flatten(batch) for batch in run(config, first_epoch=3, num_epochs=2)]
    endless = train_batches(config, first_epoch=3).take(12)
    assert resumed == whole[18:]
    assert [flatten(batch) for batch in endless.as_numpy_iterator()] == resumed


def test_other_seeds_and_epochs_differ(records_dir):
    runs = [
        run(make_config(records_dir, seed=seed, enabled=False), num_epochs=1) for seed in (0, 1)
    ]
    orders = [frames_of(np.concatenate([images for images, _ in batches])) for batches in runs]
    assert orders[0] != orders[1]


def test_frames_are_augmented_anew_each_epoch(records_dir):
    config = make_config(records_dir, crop=1.0)
    batches = run(config, num_epochs=3)
    boxes = [
        np.concatenate([np.sort(t["boxes"].reshape(-1)) for _, t in batches[6 * e : 6 * e + 6]])
        for e in range(3)
    ]
    assert not np.array_equal(boxes[0], boxes[1])
    assert not np.array_equal(boxes[1], boxes[2])


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_evaluation_sees_every_frame_in_order(records_dir, batch_size):
    config = make_config(records_dir, batch_size=batch_size, flip=1.0, crop=1.0)
    batches = list(eval_batches(config, "val").as_numpy_iterator())
    frame_ids = [name.decode() for batch in batches for name in batch["frame_ids"]]
    assert frame_ids == [f"{index:06d}" for index in range(NUM_FRAMES)]
    images = np.concatenate([batch["images"] for batch in batches])
    assert frames_of(images) == list(range(NUM_FRAMES))
    assert set(batches[0]) == {
        "images",
        "image_info",
        "frame_ids",
        "payloads",
        "boxes",
        "classes",
        "box_status",
    }


def test_evaluation_boxes_go_back_to_the_labels(records_dir):
    batches = eval_batches(make_config(records_dir, batch_size=64), "val").as_numpy_iterator()
    batch = next(batches)
    counts = (batch["box_status"] != PADDING).sum(axis=1)
    assert counts[EMPTY] == 0
    assert batch["box_status"][DONT_CARE_ONLY, 0] == DONT_CARE
    assert counts[DONT_CARE_ONLY] == 1
    assert counts[10] == 11
    letterbox = Letterbox.from_array(batch["image_info"][DONT_CARE_ONLY])
    restored = letterbox.undo(batch["boxes"][DONT_CARE_ONLY, :1].astype(float))
    np.testing.assert_allclose(restored, [[5, 5, 30, 40]], atol=1e-3)


@pytest.mark.filterwarnings("ignore")
def test_a_damaged_image_stops_the_run_and_is_named(tmp_path):
    records_dir = convert(write_kitti(tmp_path / "KITTI", damage=13), tmp_path / "tfrecord")
    config = make_config(records_dir)
    with pytest.raises(tf.errors.OpError, match="frame 000013: .*cannot be decoded"):
        run(config, num_epochs=1)
    with pytest.raises(tf.errors.OpError, match="frame 000013: .*cannot be decoded"):
        list(eval_batches(config, "val"))


def test_records_that_are_not_there_are_named(tmp_path):
    config = make_config(tmp_path)
    for call in (
        lambda: train_batches(config),
        lambda: eval_batches(config, "val"),
        lambda: plan_epochs(config, count_records=True),
    ):
        with pytest.raises(FileNotFoundError, match="mobilenetdet tf_convert_data"):
            call()
