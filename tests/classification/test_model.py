import keras
import numpy as np
import pytest
from keras import ops

from mobilenetdet.classification.model import (
    build_classifier,
    load_classifier_weights,
)

SIZE, NUM_CLASSES = 64, 12


def applications_model(alpha: float) -> keras.Model:
    return keras.applications.MobileNet(
        input_shape=(SIZE, SIZE, 3), alpha=alpha, weights=None, classes=NUM_CLASSES
    )


def images(count: int = 3) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, SIZE, SIZE, 3)).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".h5", ".weights.h5"])
@pytest.mark.parametrize("alpha", [0.25, 0.5, 0.75, 1.0])
def test_equals_keras_applications(request, randomise, tmp_path, alpha, suffix):
    if alpha != 0.25:  # JAX compiles each of these widths for many seconds
        request.getfixturevalue("tensorflow_only")
    theirs = applications_model(alpha)
    randomise(theirs, seed=3)
    path = tmp_path / f"theirs{suffix}"
    # Keras 3 writes the old format for whole models only.
    _ = theirs.save_weights(path) if suffix == ".weights.h5" else theirs.save(path)
    ours = build_classifier((SIZE, SIZE, 3), num_classes=NUM_CLASSES, alpha=alpha)
    report = load_classifier_weights(ours, str(path), alpha=alpha)
    assert len(report.loaded) == 55 and not report.missing + report.mismatched + report.unused
    scaled = images().astype(np.float32) / 127.5 - 1
    expected = ops.convert_to_numpy(theirs(scaled, training=False))
    assert expected.max(axis=1).min() > 2 / NUM_CLASSES, "the classes do not differ"
    found = ops.softmax(ours(images(), training=False))
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, atol=1e-5, rtol=0)


def test_keras_applications_has_our_layers_in_our_order(tensorflow_only):
    ours = build_classifier((SIZE, SIZE, 3), num_classes=NUM_CLASSES, alpha=0.25)
    models = applications_model(0.25), ours
    # Padding and scaling differ, Keras numbers the layers that it names itself, and has a softmax.
    special = ("input", "conv_pad", "scale", "global_average", "predictions")
    layers, expected = (
        [
            (layer.name, [tuple(w.shape) for w in layer.weights])
            for layer in model.layers
            if not layer.name.startswith(special)
        ]
        for model in models
    )
    assert len(layers) == 84 and layers == expected


def test_images_may_be_bytes_or_floats():
    model = build_classifier((32, 32, 3), num_classes=5, alpha=0.25)
    pixels = images()[:, :32, :32]
    logits = [
        ops.convert_to_numpy(model(given, training=False))
        for given in (pixels, pixels.astype(np.float32))
    ]
    np.testing.assert_array_equal(logits[0], logits[1])


@pytest.mark.parametrize(
    ("size", "small_images", "sides"),
    [
        # Sides after blocks 1, 3, 5, 11 and 13.
        ((32, 32), True, [32, 16, 8, 8, 4]),
        ((32, 32), False, [16, 8, 4, 2, 1]),
        ((96, 96), False, [48, 24, 12, 6, 3]),
        ((224, 224), False, [112, 56, 28, 14, 7]),
    ],
)
def test_strides(tensorflow_only, size, small_images, sides):
    model = build_classifier(
        (*size, 3), num_classes=10, alpha=0.25, small_images=small_images, activation="leaky_relu"
    )
    for block, side in zip((1, 3, 5, 11, 13), sides, strict=True):
        layer = model.get_layer(f"conv_pw_{block}_relu")
        assert layer.output.shape[1:3] == (side, side), block
        assert isinstance(layer, keras.layers.LeakyReLU)
    assert model.output_shape == (None, 10)


def test_any_size_and_moved_strides_take_the_same_weights(tensorflow_only):
    models = [
        build_classifier(shape, num_classes=4, alpha=0.25, small_images=small)
        for shape, small in (((None, None, 3), False), ((32, 32, 3), True))
    ]
    models[1].set_weights(models[0].get_weights())
    for size in ((47, 33), (64, 96)):
        assert models[0](np.zeros((1, *size, 3), np.uint8)).shape == (1, 4)


def test_leaky_relu_lets_a_tenth_through(tensorflow_only):
    model = build_classifier((32, 32, 3), num_classes=4, alpha=0.25, activation="leaky_relu")
    layer = model.get_layer("conv_dw_3_relu")
    found = ops.convert_to_numpy(layer(np.array([-2.0, 0.0, 9.0], np.float32)))
    np.testing.assert_allclose(found, [-0.2, 0.0, 9.0], rtol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_logits_are_float32_under_every_policy(tensorflow_only, policy):
    reference = build_classifier((32, 32, 3), num_classes=4, alpha=0.25)
    keras.mixed_precision.set_global_policy(policy)
    try:
        model = build_classifier((32, 32, 3), num_classes=4, alpha=0.25)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    model.set_weights(reference.get_weights())
    pixels = images()[:, :32, :32]
    logits = model(pixels, training=False)
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    expected = ops.convert_to_numpy(reference(pixels, training=False))
    np.testing.assert_allclose(ops.convert_to_numpy(logits), expected, atol=0.05)


def test_it_learns(tensorflow_only):
    keras.utils.set_random_seed(0)
    model = build_classifier(
        (32, 32, 3), num_classes=2, alpha=0.25, small_images=True, batch_norm_momentum=0.5
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    jit = keras.backend.backend() == "jax"
    model.compile(keras.optimizers.Adam(3e-3), loss, metrics=["accuracy"], jit_compile=jit)
    model.optimizer.build(model.trainable_variables)  # else the step is traced twice
    pixels = np.random.default_rng(0).integers(0, 100, (16, 32, 32, 3)).astype(np.uint8)
    pixels[::2, ..., 0] += 150  # red against grey
    classes = np.arange(16) % 2
    for _ in range(20):
        model.train_on_batch(pixels, classes)
    assert model.evaluate(pixels, classes, verbose=0)[1] == 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [({"num_classes": 0}, "num_classes is 0"), ({"num_classes": 2, "alpha": 0.0}, "alpha is 0.0")],
)
def test_impossible_networks_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build_classifier((32, 32, 3), **options)
