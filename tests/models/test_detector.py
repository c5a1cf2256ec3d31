import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from fixtures.seeds import seed_all
from keras import ops

from mobilenetdet.boxes.box_status import DONT_CARE, IGNORED, OBJECT, PADDING
from mobilenetdet.boxes.letterbox import Letterbox
from mobilenetdet.boxes.matching import match_anchors
from mobilenetdet.config.detection import (
    DataConfig,
    DetectionConfig,
    FocalLoss,
    LevelConfig,
    ModelConfig,
    SoftmaxLoss,
    SqueezeDetHeadConfig,
    SsdHeadConfig,
    TrainConfig,
)
from mobilenetdet.config.presets import make_preset
from mobilenetdet.config.storage import with_changes
from mobilenetdet.inference.keras_runtime import KerasRuntime
from mobilenetdet.inference.loaded_detector import to_detections
from mobilenetdet.models import detector as detector_module
from mobilenetdet.models.detector import Detector, build_detector
from mobilenetdet.models.weight_file import weights_to_bytes

BACKEND = keras.backend.backend()
HEIGHT, WIDTH = 64, 128
CONFIG = DetectionConfig(
    data=DataConfig(image_height=HEIGHT, image_width=WIDTH, classes=("Car", "Pedestrian")),
    model=ModelConfig(
        alpha=0.25,
        weights="none",
        levels=(LevelConfig(16, ((32.0, 20.0), (12.0, 28.0))),),
        # The running statistics follow within the few steps that a test has.
        batch_norm_momentum=0.9,
    ),
    head=SqueezeDetHeadConfig(blocks=1, channels=64),
)
# image, class, box: each is drawn in a colour of its own.
OBJECTS = [
    (0, 0, (10, 20, 46, 40)),
    (0, 1, (70, 12, 82, 44)),
    (1, 0, (80, 30, 116, 54)),
    (1, 1, (20, 8, 34, 38)),
]
Batch = tuple[np.ndarray, dict[str, np.ndarray]]


@pytest.fixture(scope="module")
def detector() -> Detector:
    """One detector for all tests: first fresh, later trained."""
    detector, report = build_detector(CONFIG)
    assert report is None
    return compiled(detector)


def compiled(detector: Detector) -> Detector:
    """With an optimizer that is built, so that the step is traced once."""
    detector.compile(optimizer=keras.optimizers.Adam(5e-3), jit_compile=BACKEND == "jax")
    detector.optimizer.build(detector.trainable_variables)
    return detector


@pytest.fixture
def batch(pack_targets) -> Batch:
    return make_batch(pack_targets)


def make_batch(pack_targets) -> Batch:
    rng = np.random.default_rng(0)
    images = rng.integers(100, 130, (2, HEIGHT, WIDTH, 3)).astype(np.uint8)
    packed = [[], []]
    for row, (image, index, (left, top, right, bottom)) in enumerate(OBJECTS):
        images[image, top:bottom, left:right] = rng.integers(0, 255, 3)
        packed[image].append((row, OBJECT, index, (left, top, right, bottom)))
    return images, pack_targets(packed, 8) | {"num_dropped": np.array([1, 2], np.int32)}


def train(detector: Detector, batch: Batch, steps: int = 1) -> dict[str, float]:
    """Trains on one batch again and again; returns what the last step says."""
    logs = {}
    for step in range(steps):
        if step == steps - 1:
            detector.reset_metrics()
        logs = detector.train_on_batch(*batch, return_dict=True)
    return {name: float(value) for name, value in logs.items()}


def all_finite(detector: Detector) -> bool:
    return all(np.isfinite(weights).all() for weights in detector.get_weights())


@pytest.fixture(scope="module")
def predictions(detector, pack_targets) -> dict[str, np.ndarray]:
    """Of the fresh detector for the images of the batch."""
    return detector.predict_on_batch(make_batch(pack_targets)[0])


def test_predictions_fit_the_anchors(detector, predictions):
    shapes = {name: tuple(value.shape) for name, value in predictions.items()}
    count = (HEIGHT // 16) * (WIDTH // 16) * 2
    assert detector.anchors.shape == (count, 4)
    assert shapes == {
        "class_logits": (2, count, 2),
        "confidence_logits": (2, count),
        "deltas": (2, count, 4),
    }


def test_a_pyramid_lends_the_head_what_coarse_maps_see(tensorflow_only, batch):
    (level,) = CONFIG.model.levels
    model = replace(CONFIG.model, levels=(replace(level, stride=8),), pyramid_channels=16)
    head = replace(CONFIG.head, blocks=0)
    detector, _ = build_detector(replace(CONFIG, model=model, head=head))
    assert set(detector.backbone.output) == {"stride_8", "stride_16", "stride_32"}
    detector.compile(optimizer=keras.optimizers.Adam(5e-3), run_eagerly=True)
    before = {v.path: v.numpy().copy() for v in detector.trainable_variables}
    train(detector, batch)
    still = {v.path for v in detector.trainable_variables if np.array_equal(before[v.path], v)}
    assert not still
    count = (HEIGHT // 8) * (WIDTH // 8) * 2
    assert detector.anchors.shape == (count, 4)
    assert detector.predict_on_batch(batch[0])["deltas"].shape == (2, count, 4)


# Of three levels, finest first.
SHAPES = (((12.0, 20.0), (12.0, 28.0)), ((32.0, 20.0),), ((40.0, 30.0),))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strides", "pyramid_channels", "loss"),
    [
        ((8, 16, 32), 32, {"class_loss": FocalLoss(), "box_weight": 2.0}),
        ((16, 32, 64), 0, {"class_loss": SoftmaxLoss(), "box_weight": 1.0}),
    ],
    ids=["pyramid, focal", "extra layers, softmax"],
)
def test_ssd_finds_the_objects_of_a_batch(
    tensorflow_only, batch, strides, pyramid_channels, loss, tmp_path
):
    levels = tuple(map(LevelConfig, strides, SHAPES))
    config = replace(
        CONFIG,
        model=replace(CONFIG.model, levels=levels, pyramid_channels=pyramid_channels),
        head=SsdHeadConfig(blocks=1, channels=32, box_loss="giou", class_weight=1.0, **loss),
    )
    detector, _ = build_detector(config)
    counts = [
        -(-HEIGHT // level.stride) * -(-WIDTH // level.stride) * len(level.anchors)
        for level in levels
    ]
    assert detector.anchors.shape == (sum(counts), 4)
    compiled(detector)
    first = train(detector, batch)
    last = train(detector, batch, 60)
    assert set(first) == {"loss", "box_loss", "class_loss", "dropped_boxes"}
    assert last["loss"] < first["loss"] / 5
    detector.save_weights(tmp_path / "a.weights.h5")
    again, _ = build_detector(config)
    again.load_weights(tmp_path / "a.weights.h5")
    for name, value in detector(batch[0]).items():
        np.testing.assert_allclose(again(batch[0])[name], value, atol=1e-6)


def test_the_range_of_the_pixels_is_inside(tensorflow_only, detector, batch, predictions):
    images = batch[0]
    pixels = images.astype(np.float32) / 127.5 - 1.0
    (features,) = detector.backbone(pixels, training=False).values()
    expected = detector.head(features, training=False)
    as_float = detector(images.astype(np.float32), training=False)
    for name, value in expected.items():
        np.testing.assert_allclose(predictions[name], value, atol=1e-5)
        np.testing.assert_allclose(as_float[name], value, atol=1e-5)


@pytest.mark.parametrize(
    "box_status",
    [[PADDING] * 8, [IGNORED] * 8, [DONT_CARE] * 8],
    ids=["no object", "only ignored", "only DontCare"],
)
def test_a_step_without_objects_is_finite(detector, batch, box_status):
    batch[1]["box_status"][:] = box_status
    logs = train(detector, batch)
    assert np.isfinite(list(logs.values())).all()
    assert logs["box_loss"] == logs["class_loss"] == logs["confidence_positive_loss"] == 0.0
    assert logs["confidence_negative_loss"] > 0.0
    assert all_finite(detector)


def test_a_step_with_odd_boxes_is_finite(detector, batch):
    boxes = [(30, 30, 30, 30), (5, 5, 6, 6), (-90, -90, -80, -80), (0, 0, 128, 64)] * 2
    batch[1]["boxes"][:] = boxes
    batch[1]["box_status"][:], batch[1]["classes"][:] = OBJECT, 0
    assert np.isfinite(list(train(detector, batch).values())).all()
    assert all_finite(detector)


def test_the_loss_is_the_sum_of_its_parts(tensorflow_only, detector, batch):
    images, targets = batch
    predictions = {n: ops.convert_to_tensor(v) for n, v in detector(images).items()}
    targets = {n: ops.convert_to_tensor(v) for n, v in targets.items()}
    matches = match_anchors(
        detector.anchor_grid, targets["boxes"], targets["box_status"], CONFIG.matching
    )
    parts = detector.head.losses_by_part(
        predictions,
        detector.anchors,
        matches,
        gt_boxes=targets["boxes"],
        gt_classes=targets["classes"],
        config=CONFIG.head,
    )
    assert len(parts) == 4
    # What is optimised, and not only what is logged.
    loss = float(detector.compute_loss(y=targets, y_pred=predictions))
    assert loss == pytest.approx(sum(map(float, parts.values())), rel=1e-6)
    logs = train(detector, batch)
    assert logs["loss"] == pytest.approx(sum(logs[name] for name in parts), rel=1e-6)
    assert logs["dropped_boxes"] == 3.0


def test_the_momentum_reaches_every_normalisation(detector):
    norms = [layer for layer in detector.backbone.layers if "_bn" in layer.name]
    norms += [layer for layer in detector.head.blocks if "_bn" in layer.name]
    assert len(norms) == 23 + 2
    assert {layer.momentum for layer in norms} == {0.9}


def test_sample_weights_are_refused(detector, batch):
    with pytest.raises(ValueError, match="sample_weight"):
        detector.compute_loss(*batch, sample_weight=np.ones(2))


def test_overfits_a_batch(detector, batch):
    before = train(detector, batch)["loss"]
    after = train(detector, batch, steps=100)["loss"]
    assert after < 0.1 * before
    found = detections(detector, batch[0])
    for image, index, box in OBJECTS:
        best = found[image][found[image].class_ids == index]
        assert best.scores[0] > 0.5
        np.testing.assert_allclose(best.boxes_xyxy[0], box, atol=4)
        assert overlap(best.boxes_xyxy[0], box) > 0.7
    assert all(len(f.above(0.5)) == 2 for f in found)  # and nothing else


def detections(detector: Detector, images: np.ndarray) -> list:
    """In the pixels of the images, which are as large as the network input."""
    raw = KerasRuntime(detector).run(images)
    info = np.stack([Letterbox.fit((HEIGHT, WIDTH), (HEIGHT, WIDTH)).to_array()] * len(images))
    return to_detections(raw, info, detector.config.data.classes)


def overlap(first: np.ndarray, second: tuple[float, ...]) -> float:
    shared = np.prod(np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2]))
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (first, second)]
    return shared / (sum(areas) - shared)


LOAD = """
import sys
import numpy as np
import keras
from mobilenetdet.config.storage import from_json
from mobilenetdet.models.detector import build_detector
assert keras.backend.backend() == {backend!r}
detector, _ = build_detector(from_json(open("config.json").read(), "config.json"))
detector.load_weights("model.weights.h5")
inputs = np.load("inputs.npy")
detector.compile(jit_compile={backend!r} == "jax")
np.savez("outputs.npz", **detector.predict_on_batch(inputs))
"""


def test_weights_load_on_the_other_backend(tensorflow_only, detector, batch, tmp_path):
    other = "jax"
    pytest.importorskip(other, reason=f"{other} is not installed")
    from mobilenetdet.config.storage import to_json

    (tmp_path / "config.json").write_text(to_json(CONFIG))
    detector.save_weights(tmp_path / "model.weights.h5")
    np.save(tmp_path / "inputs.npy", batch[0])
    environment = os.environ | {
        "KERAS_BACKEND": other,
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    command = [sys.executable, "-c", LOAD.format(backend=other)]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    expected = detector(batch[0], training=False)
    with np.load(tmp_path / "outputs.npz") as outputs:
        for name, value in expected.items():
            np.testing.assert_allclose(outputs[name], value, atol=1e-4, rtol=1e-4, err_msg=name)


def test_building_leaves_the_state_of_the_process_as_it_is():
    config = replace(CONFIG, train=TrainConfig(precision="mixed_bfloat16", seed=5))
    seed_all(3)
    expected = ops.convert_to_numpy(keras.random.normal((4,)))  # of Keras' global generator
    seed_all(3)
    policy, state = (
        keras.config.dtype_policy(),
        (random.getstate(), np.random.get_state()[1].copy()),
    )
    detector, _ = build_detector(config)
    assert keras.config.dtype_policy() is policy
    assert random.getstate() == state[0]
    np.testing.assert_array_equal(np.random.get_state()[1], state[1])
    np.testing.assert_array_equal(ops.convert_to_numpy(keras.random.normal((4,))), expected)
    assert detector.head.dtype_policy.name == "mixed_bfloat16" == detector.dtype_policy.name


@pytest.mark.parametrize("preset", ["squeezedet", "ssd", "ssd_fpn"])
def test_equal_weights_are_equal_files(preset):
    small = {"model.weights": "none", "model.alpha": 0.25}
    small |= {"data.image_height": 128, "data.image_width": 192}
    config = with_changes(make_preset(preset), small)
    one, other = (build_detector(config)[0] for _ in range(2))
    other.set_weights(one.get_weights())
    assert weights_to_bytes(one) == weights_to_bytes(other)  # their hash stands in metrics.json


def test_building_that_fails_leaves_it_too(monkeypatch):
    before = keras.config.dtype_policy(), random.getstate()
    monkeypatch.setattr(detector_module, "_make_head", lambda config: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build_detector(CONFIG, precision="mixed_bfloat16", seed=9)
    assert (keras.config.dtype_policy(), random.getstate()) == before


def test_precision_and_seed_may_be_given(tensorflow_only):
    given, _ = build_detector(CONFIG, precision="mixed_bfloat16", seed=1)
    of_config, _ = build_detector(
        replace(CONFIG, train=TrainConfig(precision="mixed_bfloat16", seed=1))
    )
    assert given.dtype_policy == of_config.dtype_policy
    for a, b in zip(given.get_weights(), of_config.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_detector_comes_back_from_its_config(detector):
    again = Detector.from_config(detector.get_config())
    assert again.config == detector.config
    assert [layer.name for layer in again.head.blocks] == [
        layer.name for layer in detector.head.blocks
    ]


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_steps_like_float32(tensorflow_only, batch, precision):
    features = []
    for name in ("float32", precision):
        detector, _ = build_detector(replace(CONFIG, train=TrainConfig(precision=name)))
        # Not later: a random network makes every difference larger from layer to layer.
        early = keras.Model(
            detector.backbone.input, detector.backbone.get_layer("conv_pw_3_relu").output
        )
        features.append(ops.convert_to_numpy(ops.cast(early(batch[0], training=True), "float32")))
        assert detector.backbone.get_layer("conv_pw_3").dtype_policy.name == name
        detector.compile(optimizer=keras.optimizers.Adam(5e-3), run_eagerly=True)
        before = detector.head.prediction.get_weights()[0]
        assert np.isfinite(train(detector, batch)["loss"])
        # With float16 the first steps go into finding the scale of the loss.
        moved = not np.array_equal(before, detector.head.prediction.get_weights()[0])
        assert moved == (name != "mixed_float16")
        assert all_finite(detector)
        assert {str(v.dtype) for v in detector.trainable_variables} == {"float32"}
    error = np.sqrt(np.mean((features[1] - features[0]) ** 2)) / features[0].std()
    assert 0 < error < 0.05


def test_frozen_blocks_do_not_move(tensorflow_only, batch):
    model = replace(CONFIG.model, frozen_blocks=2)
    detector, _ = build_detector(replace(CONFIG, model=model))
    detector.compile(optimizer=keras.optimizers.SGD(0.1), run_eagerly=True)
    before = {v.path: v.numpy().copy() for v in detector.weights}
    train(detector, batch)
    still = {v.path for v in detector.weights if np.array_equal(before[v.path], v.numpy())}
    frozen = {"conv1", "conv_dw_1", "conv_pw_1", "conv_dw_2", "conv_pw_2"}
    expected = {path for path in before if path.split("/")[0].removesuffix("_bn") in frozen}
    assert expected and still == expected


@pytest.mark.parametrize("whole", [False, True])
def test_batch_normalisation_stays_as_loaded(tensorflow_only, batch, whole):
    changes = {"model.freeze_batch_norm": True, "model.pyramid_channels": 32}
    # Of a backbone its own, of a detector all: the other layers of the former were fresh.
    changes["model.detector_weights"] = "somewhere" if whole else ""
    config = with_changes(CONFIG, changes)
    detector, _ = build_detector(config, load_weights=False)

    def statistics() -> dict[str, np.ndarray]:
        weights = {w.path: np.array(w) for w in detector.weights}
        return {path: value for path, value in weights.items() if "moving_" in path}

    before = statistics()
    train(compiled(detector), batch, steps=2)
    after = statistics()
    moved = {path for path in before if not np.array_equal(before[path], after[path])}
    of_backbone = {w.path for w in detector.backbone.weights} & set(before)
    assert 40 < len(of_backbone) < len(before)
    assert moved == (set() if whole else set(before) - of_backbone)


def test_the_seed_decides_the_weights(tensorflow_only):
    first, again, other = [
        build_detector(replace(CONFIG, train=TrainConfig(seed=seed)))[0] for seed in (1, 1, 2)
    ]
    for a, b in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for part in ("backbone", "head"):
        kernels = [
            [w for w in getattr(detector, part).get_weights() if w.ndim == 4]
            for detector in (first, other)
        ]
        assert not any(np.array_equal(a, b) for a, b in zip(*kernels, strict=True))


def test_backbone_weights_are_loaded_and_reported(tensorflow_only, shared_dir):
    path = shared_dir / "weights/mobilenet_2_5_224_tf_no_top.h5"
    config = replace(CONFIG, model=replace(CONFIG.model, weights=str(path)))
    detector, report = build_detector(config)
    # Stride 16 has no use for the last two blocks of the file.
    assert len(report.loaded) == 46 and len(report.unused) == 8 and not report.missing
    assert detector.backbone.get_layer("conv1").kernel.shape == (3, 3, 3, 8)
    untouched, nothing = build_detector(config, load_weights=False)
    assert nothing is None
    kernels = [d.backbone.get_layer("conv1").get_weights()[0] for d in (detector, untouched)]
    assert not np.array_equal(*kernels)
