import keras
import numpy as np
import pytest
from keras import ops

from mobilenetdet.models.layers import DepthwiseConv2D, FusedBatchNormalization, PointwiseConv2D

SHAPE = (3, 5, 6, 8)
EPSILON = 1e-3


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def arrays(rng) -> dict[str, np.ndarray]:
    """Inputs off centre, variables of a batch normalisation, and weights of a loss."""
    channels = SHAPE[-1]
    return {
        "x": (rng.normal(size=SHAPE) * 2 + 1).astype(np.float32),
        "gamma": rng.uniform(0.5, 2, channels).astype(np.float32),
        "beta": rng.normal(size=channels).astype(np.float32),
        "mean": rng.normal(size=channels).astype(np.float32),
        "variance": rng.uniform(0.5, 2, channels).astype(np.float32),
        "weights": rng.normal(size=SHAPE).astype(np.float32),
    }


def make_norm(kind: type, arrays: dict[str, np.ndarray], **options: object) -> keras.layers.Layer:
    layer = kind(momentum=0.9, epsilon=EPSILON, **options)
    layer.build(arrays["x"].shape)
    layer.set_weights([arrays[name] for name in ("gamma", "beta", "mean", "variance")])
    return layer


def run(layer: keras.layers.Layer, x: np.ndarray, **options: object) -> np.ndarray:
    return ops.convert_to_numpy(ops.cast(layer(x, **options), "float32"))


def reference(arrays: dict[str, np.ndarray], *, by_batch: bool) -> dict[str, np.ndarray]:
    """Outputs and gradients of sum(weights * outputs) in float64, by the book."""
    a = {name: value.astype(np.float64) for name, value in arrays.items()}
    axes = (0, 1, 2)
    mean, variance = a["mean"], a["variance"]
    if by_batch:
        mean, variance = a["x"].mean(axes), a["x"].var(axes)
    normal = (a["x"] - mean) / np.sqrt(variance + EPSILON)
    upstream = a["weights"]
    dx = upstream
    if by_batch:  # the mean and the variance depend on x, too
        dx = upstream - upstream.mean(axes) - normal * (upstream * normal).mean(axes)
    return {
        "outputs": normal * a["gamma"] + a["beta"],
        "x": dx * a["gamma"] / np.sqrt(variance + EPSILON),
        "gamma": (upstream * normal).sum(axes),
        "beta": upstream.sum(axes),
        "mean": 0.9 * a["mean"] + 0.1 * a["x"].mean(axes),
        "variance": 0.9 * a["variance"] + 0.1 * a["x"].var(axes),
    }


def assert_near(found: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    """The largest difference, as a share of the largest value."""
    difference = np.abs(np.asarray(found, np.float64) - expected).max()
    assert difference <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize("training", [True, False])
def test_norm_is_the_one_of_keras_and_of_the_book(arrays, training):
    fused = make_norm(FusedBatchNormalization, arrays)
    keras_own = make_norm(keras.layers.BatchNormalization, arrays)
    outputs = run(fused, arrays["x"], training=training)
    np.testing.assert_allclose(
        outputs, run(keras_own, arrays["x"], training=training), rtol=1e-5, atol=2e-6
    )
    expected = reference(arrays, by_batch=training)
    assert_near(outputs, expected["outputs"], 2e-6)
    for ours, theirs in zip(fused.get_weights(), keras_own.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    mean, variance = fused.get_weights()[2:]
    names = ("mean", "variance")
    wanted = [expected[name] if training else arrays[name] for name in names]
    assert_near(mean, wanted[0], 2e-6)
    assert_near(variance, wanted[1], 2e-6)


@pytest.mark.parametrize("training", [True, False])
def test_norm_gradients_against_float64(arrays, gradients, training):
    layer = make_norm(FusedBatchNormalization, arrays)
    statistics = [arrays["mean"], arrays["variance"]]

    def loss(x, gamma, beta):
        outputs, _ = layer.stateless_call([gamma, beta], statistics, x, training=training)
        return ops.sum(outputs * arrays["weights"])

    found = gradients(loss, *(arrays[name] for name in ("x", "gamma", "beta")))
    expected = reference(arrays, by_batch=training)
    for name, gradient in zip(("x", "gamma", "beta"), found, strict=True):
        assert_near(gradient, expected[name], 5e-6)


def test_frozen_norm_keeps_its_statistics_and_lets_gradients_through(arrays, gradients):
    layer = make_norm(FusedBatchNormalization, arrays)
    layer.trainable = False
    before = layer.get_weights()
    expected = reference(arrays, by_batch=False)
    assert_near(run(layer, arrays["x"], training=True), expected["outputs"], 2e-6)
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)

    def loss(x):
        return ops.sum(layer(x, training=True) * arrays["weights"])

    assert_near(gradients(loss, arrays["x"])[0], expected["x"], 5e-6)


@pytest.mark.parametrize("training", [True, False])
def test_norm_in_bfloat16(arrays, gradients, training):
    layer = make_norm(FusedBatchNormalization, arrays, dtype="mixed_bfloat16")
    outputs = layer(arrays["x"], training=training)
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    assert {str(v.dtype) for v in layer.weights} == {"float32"}
    expected = reference(arrays, by_batch=training)
    assert_near(ops.convert_to_numpy(ops.cast(outputs, "float32")), expected["outputs"], 0.01)
    if training:
        mean, variance = layer.get_weights()[2:]
        assert_near(mean, expected["mean"], 2e-3)
        assert_near(variance, expected["variance"], 2e-3)
    statistics = [arrays["mean"], arrays["variance"]]

    def loss(x, gamma, beta):
        outputs, _ = layer.stateless_call([gamma, beta], statistics, x, training=training)
        return ops.sum(ops.cast(outputs, "float32") * arrays["weights"])

    found = gradients(loss, *(arrays[name] for name in ("x", "gamma", "beta")))
    for name, gradient in zip(("x", "gamma", "beta"), found, strict=True):
        assert_near(gradient, expected[name], 0.02)


def test_norm_of_a_single_value_a_channel_is_finite(arrays):
    arrays["x"] = arrays["x"][:1, :1, :1]
    layer = make_norm(FusedBatchNormalization, arrays)
    np.testing.assert_allclose(
        run(layer, arrays["x"], training=True)[0, 0, 0], arrays["beta"], atol=1e-5
    )
    np.testing.assert_allclose(layer.get_weights()[3], 0.9 * arrays["variance"], rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((4, 6), {}),  # not an image
        ((2, 3, 4, 6), {"axis": 1}),  # channels first
        ((2, 3, 4, 6), {"scale": False}),
        ((2, 3, 4, 6), {"center": False}),
    ],
)
def test_what_the_kernel_cannot_do_is_left_to_keras(rng, shape, options):
    x = rng.normal(size=shape).astype(np.float32)
    fused, keras_own = (
        FusedBatchNormalization(**options),
        keras.layers.BatchNormalization(**options),
    )
    for training in (True, False):
        np.testing.assert_array_equal(
            run(fused, x, training=training), run(keras_own, x, training=training)
        )


def convolution_twins(
    ours: keras.layers.Layer, theirs: keras.layers.Layer, shape: tuple[int, ...], rng
) -> list[np.ndarray]:
    """Builds both and gives them the same weights, which are returned."""
    ours.build(shape)
    theirs.build(shape)
    assert [v.name for v in ours.weights] == [v.name for v in theirs.weights]
    weights = [rng.normal(size=v.shape).astype(np.float32) for v in theirs.weights]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    return weights


def stateless_loss(layer: keras.layers.Layer, weights: np.ndarray, training: bool | None):
    """sum(weights * layer(x)) as a function of x and the layer's variables."""
    options = {} if training is None else {"training": training}

    def loss(x, *variables):
        outputs, _ = layer.stateless_call(list(variables), [], x, **options)
        return ops.sum(ops.cast(outputs, "float32") * weights)

    return loss


@pytest.mark.parametrize("training", [True, False, None])
@pytest.mark.parametrize("options", [{"use_bias": False}, {"activation": "relu"}])
def test_pointwise_is_the_convolution_of_keras(rng, gradients, training, options):
    ours, theirs = PointwiseConv2D(7, **options), keras.layers.Conv2D(7, 1, **options)
    variables = convolution_twins(ours, theirs, SHAPE, rng)
    x = rng.normal(size=SHAPE).astype(np.float32)
    np.testing.assert_allclose(run(ours, x, training=training), run(theirs, x), atol=1e-5)
    weights = rng.normal(size=(*SHAPE[:3], 7)).astype(np.float32)
    found = gradients(stateless_loss(ours, weights, training), x, *variables)
    expected = gradients(stateless_loss(theirs, weights, None), x, *variables)
    for ours_gradient, gradient in zip(found, expected, strict=True):
        assert_near(ours_gradient, gradient, 5e-6)


# strides, padding, precision, tolerance
DEPTHWISE = [
    (1, "same", "float32", 5e-6),
    (2, "same", "float32", 5e-6),
    (2, "valid", "float32", 5e-6),
    (1, "same", "mixed_bfloat16", 0.03),
    (2, "same", "mixed_bfloat16", 0.03),
    (2, "valid", "mixed_bfloat16", 0.03),
]


@pytest.mark.parametrize(("strides", "padding", "precision", "tolerance"), DEPTHWISE)
@pytest.mark.parametrize("training", [True, False])
def test_depthwise_is_the_one_of_keras(
    rng, gradients, tensorflow_only, *, strides, padding, precision, tolerance, training
):
    options = {"strides": strides, "padding": padding, "activation": "relu6"}
    ours = DepthwiseConv2D(3, dtype=precision, **options)
    theirs = keras.layers.DepthwiseConv2D(3, dtype="float32", **options)
    variables = convolution_twins(ours, theirs, SHAPE, rng)
    # Values that bfloat16 can hold: what differs is the arithmetic.
    rounded = [
        ops.convert_to_numpy(ops.cast(ops.cast(v, "bfloat16"), "float32")) for v in variables
    ]
    x = np.round(rng.normal(size=SHAPE) * 8).astype(np.float32) / 8
    ours.set_weights(rounded)
    theirs.set_weights(rounded)
    outputs = ours(x, training=training)
    assert keras.backend.standardize_dtype(outputs.dtype) == ours.compute_dtype
    expected = run(theirs, x)
    assert_near(ops.convert_to_numpy(ops.cast(outputs, "float32")), expected, tolerance)
    weights = rng.normal(size=expected.shape).astype(np.float32)
    found = gradients(stateless_loss(ours, weights, training), x, *rounded)
    wanted = gradients(stateless_loss(theirs, weights, None), x, *rounded)
    for gradient, of_keras in zip(found, wanted, strict=True):
        assert np.isfinite(gradient).all()
        # At the corners of the activation bfloat16 may fall on the other side.
        far = np.abs(gradient - of_keras) > tolerance * np.abs(of_keras).max()
        assert far.mean() <= (0.02 if precision == "mixed_bfloat16" else 0.0)


@pytest.mark.parametrize("training", [True, False])
def test_pointwise_in_bfloat16(rng, gradients, tensorflow_only, training):
    ours, theirs = PointwiseConv2D(7, dtype="mixed_bfloat16"), keras.layers.Conv2D(7, 1)
    variables = convolution_twins(ours, theirs, SHAPE, rng)
    x = rng.normal(size=SHAPE).astype(np.float32)
    outputs = ours(x, training=training)
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    assert_near(ops.convert_to_numpy(ops.cast(outputs, "float32")), run(theirs, x), 0.02)
    weights = rng.normal(size=(*SHAPE[:3], 7)).astype(np.float32)
    found = gradients(stateless_loss(ours, weights, training), x, *variables)
    expected = gradients(stateless_loss(theirs, weights, None), x, *variables)
    for gradient, of_keras in zip(found, expected, strict=True):
        assert_near(gradient, of_keras, 0.02)


@pytest.mark.parametrize(
    "layer",
    [
        FusedBatchNormalization(momentum=0.7),
        PointwiseConv2D(5, use_bias=False),
        DepthwiseConv2D(3, strides=2, padding="same"),
    ],
)
def test_layers_come_back_from_their_config(layer):
    restored = type(layer).from_config(layer.get_config())
    assert restored.get_config() == layer.get_config()


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3},
        {"strides": 2},
        {"strides": (1, 2)},
        {"dilation_rate": 2},
        {"groups": 2},
        {"data_format": "channels_first"},
    ],
)
def test_pointwise_convolution_is_1x1(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} is "):
        PointwiseConv2D(4, **options)
    layer = PointwiseConv2D(4)
    assert PointwiseConv2D.from_config(layer.get_config()).kernel_size == (1, 1)
