"""The complete ImageNet weights in our classifier, against `keras.applications` on photographs."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from mobilenetdet.classification.evaluate import make_predictor
from mobilenetdet.classification.imagenet import central_image
from mobilenetdet.classification.model import build_classifier, load_classifier_weights

_NUM_PICTURES = 200
_SIZE = 224


def test_top1_is_that_of_keras_applications(shared_dir):
    weights = str(shared_dir / "weights" / "mobilenet_1_0_224_tf.h5")
    pictures = crops_of_frames(shared_dir / "kitti" / "training" / "image_2")
    ours = build_classifier((_SIZE, _SIZE, 3), num_classes=1000)
    report = load_classifier_weights(ours, weights, alpha=1.0)
    assert not (report.missing or report.unused or report.mismatched)
    theirs = keras.applications.MobileNet(weights=weights)
    predict, reference = make_predictor(ours), make_predictor(theirs)
    top1, probabilities, expected = [], [], []
    for first in range(0, _NUM_PICTURES, 25):
        batch = pictures[first : first + 25]
        logits = predict(batch)
        top1 += list(logits.argmax(axis=1))
        probabilities.append(np.array(tf.nn.softmax(logits)))
        scaled = keras.applications.mobilenet.preprocess_input(batch.astype(np.float32))
        expected.append(reference(scaled))
    expected = np.concatenate(expected)
    np.testing.assert_array_equal(top1, expected.argmax(axis=1))
    np.testing.assert_allclose(np.concatenate(probabilities), expected, atol=1e-5)
    # It has seen something: streets are no single class, and the network is not indifferent.
    assert len(set(top1)) > 20
    assert expected.max(axis=1).mean() > 0.2


def crops_of_frames(folder: Path) -> np.ndarray:
    """The square at a place that goes from left to right, through the preprocessing of ImageNet."""
    paths = sorted(folder.glob("*.jpg"))[:_NUM_PICTURES]
    assert len(paths) == _NUM_PICTURES
    pictures = []
    for place, path in zip(np.linspace(0, 1, _NUM_PICTURES), paths, strict=True):
        image = tf.io.decode_jpeg(path.read_bytes())
        side = image.shape[0]
        left = int(place * (image.shape[1] - side))
        crop = tf.io.encode_jpeg(image[:, left : left + side], quality=100)
        pictures.append(central_image(crop, _SIZE).numpy())
    return np.stack(pictures)
