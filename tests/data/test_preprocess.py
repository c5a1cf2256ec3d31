"""From a record to what the network gets: pixels, boxes, roles and counts together."""

import cv2
import numpy as np
import pytest
from fixtures.records import serialize_frame

from mobilenetdet.boxes.box_status import DONT_CARE, IGNORED, OBJECT, PADDING
from mobilenetdet.config.detection import AugmentConfig, DataConfig, DetectionConfig
from mobilenetdet.data.preprocess import FramePreparer, pad_targets
from mobilenetdet.data.targets import Targets
from mobilenetdet.kitti.labels import KittiObjects, parse_objects
from mobilenetdet.records.detection_record import RecordFrame, decode_record

NAMES = ("flip", "crop", "shift_scale", "colour", "hue_saturation")
GREY = 127


def config(**augment):
    data = DataConfig(image_height=192, image_width=640)
    return DetectionConfig(data=data, augment=AugmentConfig(**augment))


def record(text="", *, size=(188, 620), image=None, frame_id="000042"):
    if image is None:
        image = np.full((*size, 3), GREY, np.uint8)
    encoded = cv2.imencode(".png", image[..., ::-1])[1].tobytes()
    return RecordFrame(frame_id, encoded, "png", *size, parse_objects(text, "x"))


def line(name, box, *, occluded=0, truncated=0.0):
    left, top, right, bottom = box
    rest = "1 1 1 1 1 1 1"
    return f"{name} {truncated} {occluded} -10 {left} {top} {right} {bottom} {rest}\n"


def rectangle(box, size=(188, 620)):
    image = np.full((*size, 3), GREY, np.uint8)
    left, top, right, bottom = box
    image[top:bottom, left:right] = 255
    return image


@pytest.mark.parametrize("training", [False, True])
def test_boxes_frame_the_drawn_object(training):
    """The whole way: encoded, decoded, shifted, cropped, flipped, letterboxed, clipped."""
    settings = dict.fromkeys(NAMES, 0.5) | {"colour": 0.0, "hue_saturation": 0.0}
    preparer = FramePreparer(config(**settings), training=training)
    box, num_seen = [250, 60, 370, 140], 0
    frame = record(line("Car", box), image=rectangle(box))
    for seed in range(60 if training else 1):
        prepared = preparer.prepare(frame, seed=(seed,))
        bright = (prepared.image[..., 0] > (GREY + 255) / 2).nonzero()
        if len(prepared.targets.box_status) == 0:
            assert len(bright[0]) < 4 * prepared.image.shape[1]  # a sliver under min_box_size
            continue
        num_seen += 1
        rows, columns = bright
        seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        # Half a pixel, as edges of pixels lie beside the true edge, and half a pixel at the far
        # border, as the letterbox draws whole pixels.
        np.testing.assert_allclose(prepared.targets.boxes_xyxy[0], seen, atol=1.0)
    assert num_seen > (40 if training else 0)


def test_without_augmentation_only_the_letterbox_acts():
    text = line("Car", [100, 50, 200, 100]) + line("DontCare", [0, 0, 30, 30])
    prepared = FramePreparer(config(flip=1.0, crop=1.0), training=False).prepare(record(text))
    scale = 192 / 188  # the height is what limits
    letterbox = prepared.letterbox
    assert letterbox.scale == pytest.approx(scale)
    np.testing.assert_allclose(
        prepared.targets.boxes_xyxy,
        letterbox.apply(np.array([[100.0, 50, 200, 100], [0, 0, 30, 30]])),
        rtol=1e-6,
    )
    assert prepared.targets.box_status.tolist() == [OBJECT, DONT_CARE]
    assert prepared.targets.classes.tolist() == [0, -1]
    assert prepared.frame_id == "000042"


def test_the_switch_of_the_config_holds():
    frame = record(line("Car", [100, 50, 200, 100]))
    off = FramePreparer(config(enabled=False, flip=1.0), training=True).prepare(frame, seed=(0,))
    plain = FramePreparer(config(), training=False).prepare(frame)
    assert (off.targets.boxes_xyxy == plain.targets.boxes_xyxy).all()


@pytest.mark.parametrize("enabled", [False, True])
def test_training_drops_tiny_boxes_with_or_without_augmentation(enabled):
    frame = record(line("Car", [100, 50, 101, 100]) + line("Car", [100, 50, 200, 100]))
    cfg = config(enabled=enabled, **dict.fromkeys(NAMES, 0.0))
    prepared = FramePreparer(cfg, training=True).prepare(frame, seed=(0,))
    assert (len(prepared.targets.box_status), prepared.targets.num_dropped) == (1, 1)
    prepared = FramePreparer(cfg, training=False).prepare(frame)
    assert (len(prepared.targets.box_status), prepared.targets.num_dropped) == (2, 0)


@pytest.mark.parametrize("size", [(375, 1242), (1600, 900)])  # a KITTI frame, a portrait photo
def test_heights_are_measured_in_network_pixels(size):
    scale = min(192 / size[0], 640 / size[1])
    text = line("Car", [10, 10, 200, 10 + 11.9 / scale])
    text += line("Car", [10, 10, 200, 10 + 12.1 / scale])
    prepared = FramePreparer(config(), training=False).prepare(record(text, size=size))
    assert prepared.targets.box_status.tolist() == [IGNORED, OBJECT]


def test_background_classes_are_not_yielded():
    text = line("Truck", [10, 10, 90, 90]) + line("Van", [10, 10, 90, 90])
    prepared = FramePreparer(config(), training=False).prepare(record(text))
    assert prepared.targets.box_status.tolist() == [IGNORED]
    assert prepared.targets.num_dropped == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        line("DontCare", [0, 0, 620, 188], occluded=-1, truncated=-1),
        line("DontCare", [-20, -20, 5, 300], occluded=-1, truncated=-1),
        line("Car", [0, 0, 620, 188]),
        line("Car", [-10, -10, 630, 200]),
        line("Car", [619.5, 187.5, 620, 188]),
        line("Car", [620, 188, 700, 200]),
        line("Car", [300, 90, 300, 90]),
        line("Tram", [10, 10, 90, 90]),
    ],
)
def test_frames_at_the_edge_of_sense(text):
    preparer = FramePreparer(config(**dict.fromkeys(NAMES, 0.8)), training=True)
    frame = record(text)
    num_labels = sum(name in text for name in ("Car ", "DontCare "))
    for seed in range(12):
        prepared = preparer.prepare(frame, seed=(seed,))
        targets = prepared.targets
        assert prepared.image.shape == (192, 640, 3)
        assert len(targets.box_status) + targets.num_dropped == num_labels
        assert (targets.boxes_xyxy >= 0).all()
        assert (targets.boxes_xyxy <= [640, 192, 640, 192]).all()
        sides = targets.boxes_xyxy[:, 2:] - targets.boxes_xyxy[:, :2]
        assert (sides >= 3 - 1e-3).all()
        box_status = {DONT_CARE} if "DontCare" in text else {OBJECT, IGNORED}
        assert set(targets.box_status.tolist()) <= box_status


def test_what_a_crop_leaves_is_learnt_ignored_or_dropped_and_none_is_lost():
    rng = np.random.default_rng(0)
    corners = rng.uniform([0, 0], [560, 150], (40, 2))
    boxes = np.hstack([corners, corners + rng.uniform(14, 38, (40, 2))])
    frame = record("".join(line("Car", box) for box in boxes))
    preparer = FramePreparer(config(crop=1.0, crop_min_scale=0.55), training=True)
    learnt = ignored = dropped = 0
    for seed in range(40):
        targets = preparer.prepare(frame, seed=(seed,)).targets
        assert len(targets.box_status) + targets.num_dropped == 40
        learnt += (targets.box_status == OBJECT).sum()
        ignored += (targets.box_status == IGNORED).sum()
        dropped += targets.num_dropped
    assert min(learnt, ignored, dropped) > 20


def test_a_record_that_lies_about_the_size_is_named():
    frame = record(line("Car", [10, 10, 90, 90]))
    lying = RecordFrame("000042", frame.encoded, "png", 620, 188, frame.objects)
    with pytest.raises(ValueError, match="frame 000042: the image is 620x188 .* says 188x620"):
        FramePreparer(config(), training=False).prepare(lying)


def make_targets(count):
    box_status = np.full(count, OBJECT, np.int32)
    return Targets(np.ones((count, 4), np.float32), box_status * 0, box_status, count)


@pytest.mark.parametrize(
    ("counts", "num_boxes"),
    [([0, 0], 8), ([1, 8], 8), ([9, 0, 3], 16), ([16], 16), ([17, 2], 24)],
)
def test_boxes_are_padded_to_a_multiple_of_eight(counts, num_boxes):
    batch = pad_targets([make_targets(count) for count in counts])
    shape = (len(counts), num_boxes)
    assert batch["boxes"].shape == (*shape, 4)
    assert batch["classes"].shape == batch["box_status"].shape == shape
    assert (batch["box_status"] != PADDING).sum(axis=1).tolist() == counts
    padding = batch["box_status"] == PADDING
    assert (batch["classes"][padding] == -1).all()
    assert (batch["boxes"][padding] == 0).all()
    assert batch["num_dropped"].tolist() == counts
    assert batch["boxes"].dtype == np.float32
    assert {batch[key].dtype for key in ("classes", "box_status", "num_dropped")} == {
        np.dtype(np.int32)
    }


def test_a_batch_is_its_frames():
    cfg = config()
    preparer = FramePreparer(cfg, training=True)
    frames = [record(line("Car", [100 + i, 50, 200, 100]), frame_id=f"{i:06d}") for i in range(3)]
    payloads = [
        serialize_frame(f.frame_id, f.encoded, f.format, (f.height, f.width), f.objects)
        for f in frames
    ]
    seeds = [(0, 1, index) for index in range(3)]
    batch = preparer.prepare_batch(payloads, seeds)
    assert batch["frame_ids"].tolist() == [b"000000", b"000001", b"000002"]
    for row, (payload, seed) in enumerate(zip(payloads, seeds, strict=True)):
        alone = preparer.prepare(decode_record(payload), seed=seed)
        assert (batch["images"][row] == alone.image).all()
        assert (batch["image_info"][row] == alone.letterbox.to_array()).all()
        count = len(alone.targets.box_status)
        assert (batch["boxes"][row, :count] == alone.targets.boxes_xyxy).all()


def test_a_frame_without_labels_has_empty_arrays():
    frame = record()
    assert isinstance(frame.objects, KittiObjects)
    targets = FramePreparer(config(), training=True).prepare(frame, seed=(0,)).targets
    assert targets.boxes_xyxy.shape == (0, 4)
    assert targets.classes.shape == targets.box_status.shape == (0,)
