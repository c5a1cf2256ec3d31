import keras
import numpy as np
import pytest
from keras import ops

from mobilenetdet.models.layers import FusedBatchNormalization
from mobilenetdet.models.mobilenet_v1 import (
    build_mobilenet_v1,
    freeze_batch_norm,
    freeze_blocks,
    round_channels,
)
from mobilenetdet.models.weights import load_h5_layers

TAPS = {
    "stride_8": "conv_pw_5_relu",
    "stride_16": "conv_pw_11_relu",
    "stride_32": "conv_pw_13_relu",
}
WEIGHT_FILES = {
    0.25: "mobilenet_2_5_224_tf_no_top.h5",
    1.0: "mobilenet_1_0_224_tf_no_top_partial.h5",
}


def applications_model(alpha: float) -> keras.Model:
    """Keras' own network, with its maps at the places of our taps."""
    full = keras.applications.MobileNet(
        input_shape=(None, None, 3), alpha=alpha, include_top=False, weights=None
    )
    return keras.Model(full.input, {tap: full.get_layer(name).output for tap, name in TAPS.items()})


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copies by layer name; the two must have the same layers with variables."""
    names = [{layer.name for layer in model.layers if layer.weights} for model in (source, target)]
    assert names[0] == names[1]
    for name in names[0]:
        target.get_layer(name).set_weights(source.get_layer(name).get_weights())


def images(height: int, width: int, count: int = 2) -> np.ndarray:
    rng = np.random.default_rng(height)
    return rng.uniform(-1, 1, (count, height, width, 3)).astype(np.float32)


def predict(model: keras.Model, pixels: np.ndarray) -> dict[str, np.ndarray]:
    return {tap: ops.convert_to_numpy(m) for tap, m in model(pixels, training=False).items()}


def assert_equal_maps(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert list(ours) == list(TAPS)
    for tap, expected in theirs.items():
        assert expected.std() > 0.05, f"{tap} says nothing"
        np.testing.assert_allclose(ours[tap], expected, atol=1e-5, rtol=0, err_msg=tap)


@pytest.mark.parametrize("alpha", [0.25, 0.5, 0.75, 1.0])
def test_equals_keras_applications_on_random_weights(request, randomise, alpha):
    if alpha != 0.25:  # JAX compiles each of these widths for many seconds
        request.getfixturevalue("tensorflow_only")
    theirs = applications_model(alpha)
    randomise(theirs, seed=1)
    ours = build_mobilenet_v1((64, 96, 3), alpha=alpha)  # even sides: padded by the convolution
    copy_weights(theirs, ours)
    assert_equal_maps(predict(ours, images(64, 96)), predict(theirs, images(64, 96)))


@pytest.mark.parametrize("input_shape", [(None, None, 3), (75, 101, 3)])
def test_equals_keras_applications_on_odd_sizes(tensorflow_only, randomise, input_shape):
    theirs = applications_model(0.25)
    randomise(theirs, seed=2)
    ours = build_mobilenet_v1(input_shape, alpha=0.25)
    copy_weights(theirs, ours)
    for size in [(75, 101)] if input_shape[0] else [(75, 101), (64, 66), (33, 47)]:
        assert_equal_maps(predict(ours, images(*size)), predict(theirs, images(*size)))


@pytest.mark.parametrize("alpha", [0.25, 1.0])
def test_equals_keras_applications_on_imagenet_weights(request, shared_dir, alpha):
    if alpha != 0.25:
        request.getfixturevalue("tensorflow_only")
    path = shared_dir / "weights" / WEIGHT_FILES[alpha]
    theirs = applications_model(alpha)
    load_h5_layers(theirs, path)  # Keras' own loader wants the whole model, taps excluded
    ours = build_mobilenet_v1((64, 96, 3), alpha=alpha)
    report = load_h5_layers(ours, path)
    assert len(report.loaded) == 54 and not report.missing + report.unused
    assert_equal_maps(predict(ours, images(64, 96)), predict(theirs, images(64, 96)))


def test_keras_reads_the_same_files(tensorflow_only, shared_dir):
    path = shared_dir / "weights" / WEIGHT_FILES[0.25]
    theirs = keras.applications.MobileNet(
        input_shape=(64, 96, 3), alpha=0.25, include_top=False, weights=str(path)
    )
    ours = build_mobilenet_v1((64, 96, 3), alpha=0.25)
    load_h5_layers(ours, path)
    expected = ops.convert_to_numpy(theirs(images(64, 96), training=False))
    np.testing.assert_allclose(predict(ours, images(64, 96))["stride_32"], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("strides", "last_layer"),
    [((8,), "conv_pw_5_relu"), ((16, 8), "conv_pw_11_relu"), ((32,), "conv_pw_13_relu")],
)
def test_taps(tensorflow_only, strides, last_layer):
    model = build_mobilenet_v1((64, 128, 3), alpha=0.25, strides=strides)
    assert model.layers[-1].name == last_layer  # nothing is built beyond the last tap
    channels = {8: 64, 16: 128, 32: 256}
    expected = {f"stride_{s}": (None, 64 // s, 128 // s, channels[s]) for s in sorted(strides)}
    assert {tap: tuple(m.shape) for tap, m in model.output.items()} == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strides": (4,)}, r"\(4,\).*\(8, 16, 32\)"),
        ({"strides": ()}, r"\(\)"),
        ({"alpha": 0.0}, "alpha is 0.0"),
        ({"alpha": -1.0}, "alpha is -1.0"),
    ],
)
def test_impossible_networks_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build_mobilenet_v1((64, 64, 3), **options)


@pytest.mark.parametrize(("alpha", "channels"), [(1.0, 32), (0.3, 9), (0.75, 24), (0.01, 1)])
def test_channels_are_truncated_as_in_keras(alpha, channels):
    assert round_channels(32, alpha) == channels


@pytest.fixture(scope="module")
def shared_model() -> keras.Model:
    return build_mobilenet_v1((64, 96, 3), alpha=0.25)


@pytest.fixture
def small_model(shared_model) -> keras.Model:
    for layer in shared_model.layers:
        layer.trainable = True
    return shared_model


@pytest.mark.parametrize(
    ("num_blocks", "frozen", "trained"),
    [
        (0, [], ["conv1", "conv1_bn", "conv_dw_1"]),
        (1, ["conv1", "conv1_bn", "conv_dw_1", "conv_pw_1", "conv_pw_1_bn"], ["conv_dw_2"]),
        (3, ["conv1", "conv_dw_3", "conv_dw_3_bn", "conv_pw_3"], ["conv_dw_4", "conv_pw_10"]),
        (13, ["conv1", "conv_pw_13", "conv_pw_13_bn"], []),
    ],
)
def test_freeze_blocks(small_model, num_blocks, frozen, trained):
    freeze_blocks(small_model, num_blocks)
    assert not any(small_model.get_layer(name).trainable for name in frozen)
    assert all(small_model.get_layer(name).trainable for name in trained)
    assert (len(small_model.trainable_variables) == 0) == (num_blocks == 13)


def test_frozen_statistics_stay_and_the_others_move(small_model):
    freeze_blocks(small_model, 2)
    before = _moving_means(small_model)
    small_model(images(64, 96), training=True)
    after = _moving_means(small_model)
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    frozen = {"conv1_bn", "conv_dw_1_bn", "conv_pw_1_bn", "conv_dw_2_bn", "conv_pw_2_bn"}
    assert moved == set(before) - frozen


def test_freeze_batch_norm_keeps_all_of_it(small_model):
    freeze_batch_norm(small_model)
    before = _moving_means(small_model)
    small_model(images(64, 96), training=True)
    after = _moving_means(small_model)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    trained = {v.name for v in small_model.trainable_variables}
    assert trained == {"kernel"}


def _moving_means(model: keras.Model) -> dict[str, np.ndarray]:
    norms = [layer for layer in model.layers if isinstance(layer, FusedBatchNormalization)]
    assert len(norms) == 27
    return {layer.name: ops.convert_to_numpy(layer.moving_mean) for layer in norms}
