"""Our losses against those of tensorflow-addons, where it is installed (Python 3.10 and 3.11)."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from mobilenetdet.boxes.geometry import giou
from mobilenetdet.config.detection import AddonsFocalLoss, DetectionConfig, FocalLoss
from mobilenetdet.config.presets import make_preset
from mobilenetdet.models.addons_losses import load_addons, tfa_focal, tfa_giou
from mobilenetdet.models.detector import Detector
from mobilenetdet.models.losses import sigmoid_focal

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def addons(tensorflow_only):
    try:
        return load_addons()
    except ValueError as error:
        pytest.skip(str(error))


def random_boxes(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 80, (count, 2))
    return np.concatenate([corners, corners + rng.uniform(1, 60, (count, 2))], -1).astype("float32")


@pytest.mark.parametrize("count", [1, 2, 200])
def test_giou_is_theirs(addons, count):
    first, second = random_boxes(count, 0), random_boxes(count, 1)
    theirs = ops.convert_to_numpy(tfa_giou(first, second))
    assert theirs.shape == (count,)
    np.testing.assert_allclose(ops.convert_to_numpy(giou(first, second)), theirs, atol=1e-5)


def test_giou_of_equal_and_of_distant_boxes_is_theirs(addons):
    box, far = np.array([[5, 5, 9, 8]], "float32"), np.array([[900, 5, 905, 300]], "float32")
    for other in (box, far):
        assert float(tfa_giou(box, other)[0]) == pytest.approx(float(giou(box, other)[0]), abs=1e-6)


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.75, 1.5), (0.5, 0.0)])
def test_focal_loss_is_theirs(addons, alpha, gamma):
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 3, (2, 50, 3)).astype("float32")
    targets = rng.integers(0, 2, (2, 50, 3)).astype("float32")
    theirs = ops.convert_to_numpy(tfa_focal(logits, targets, alpha=alpha, gamma=gamma))
    ours = ops.convert_to_numpy(sigmoid_focal(logits, targets, alpha=alpha, gamma=gamma))
    np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=1e-6)


OURS = {"box_loss": "giou", "class_loss": FocalLoss()}
THEIRS = {"box_loss": "tfa_giou", "class_loss": AddonsFocalLoss()}


def small_config(**loss: object) -> DetectionConfig:
    config = make_preset("ssd_fpn")
    data = replace(config.data, image_height=32, image_width=64)
    model = replace(config.model, alpha=0.25, weights="none")
    return replace(config, data=data, model=model, head=replace(config.head, **loss))


def test_a_detector_learns_by_them(addons, pack_targets):
    y = pack_targets([[(0, 1, 2, (4, 4, 30, 24))], []], 8)
    images = np.zeros((2, 32, 64, 3), np.uint8)
    losses = []
    for settings in (OURS, THEIRS):
        keras.utils.set_random_seed(0)
        detector = Detector(small_config(**settings))
        losses.append(float(detector.compute_loss(y=y, y_pred=detector(images))))
    assert losses[0] == pytest.approx(losses[1], rel=1e-4) and losses[0] > 0


@pytest.mark.parametrize("loss", [{name: loss} for name, loss in THEIRS.items()], ids=str)
def test_without_them_the_detector_says_how_to_get_them(monkeypatch, tensorflow_only, loss):
    monkeypatch.setitem(sys.modules, "tensorflow_addons", None)
    with pytest.raises(ValueError, match=r"pip install -e '.\[addons\]' with Python 3.10 or 3.11"):
        Detector(small_config(**loss))


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="about other backends")
def test_other_backends_are_refused():
    with pytest.raises(ValueError, match="need KERAS_BACKEND=tensorflow"):
        Detector(small_config(box_loss="tfa_giou"))


@pytest.mark.slow
def test_their_import_warns_of_nothing(addons):
    # In a process of its own: here they are imported already.
    code = "from mobilenetdet.models.addons_losses import load_addons; load_addons()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "Warning" not in done.stderr and "Addons" not in done.stderr
