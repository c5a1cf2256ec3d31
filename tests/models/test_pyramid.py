import keras
import numpy as np
import pytest
from keras import ops

from mobilenetdet.models.pyramid import build_pyramid

SHAPES = {8: (8, 16, 3), 16: (4, 8, 5), 32: (2, 4, 6)}
CHANNELS = 4


@pytest.fixture
def pyramid() -> keras.Model:
    keras.utils.set_random_seed(0)
    return build_pyramid(SHAPES, strides=[8], channels=CHANNELS)


@pytest.fixture
def maps() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        f"stride_{stride}": rng.normal(size=(2, *shape)).astype(np.float32)
        for stride, shape in SHAPES.items()
    }


def kernel(pyramid: keras.Model, name: str) -> np.ndarray:
    return ops.convert_to_numpy(pyramid.get_layer(name).kernel)


def test_pyramid_is_the_formula(pyramid, maps):
    """Fresh normalisations keep their input, but for epsilon."""
    summed = None
    for stride in (32, 16, 8):
        lateral = maps[f"stride_{stride}"] @ kernel(pyramid, f"lateral_{stride}")[0, 0]
        enlarged = 0 if summed is None else summed.repeat(2, axis=1).repeat(2, axis=2)
        summed = lateral / np.sqrt(1 + 1e-3) + enlarged
    rows, columns = SHAPES[8][:2]
    padded = np.pad(summed, ((0, 0), (1, 1), (1, 1), (0, 0)))
    depthwise = kernel(pyramid, "smooth_8_dw")[..., 0]  # [3, 3, C]
    smooth = sum(
        padded[:, i : i + rows, j : j + columns] * depthwise[i, j]
        for i in range(3)
        for j in range(3)
    )
    smooth = np.clip(smooth / np.sqrt(1 + 1e-3), 0, 6) @ kernel(pyramid, "smooth_8_pw")[0, 0]
    expected = np.clip(smooth / np.sqrt(1 + 1e-3), 0, 6)
    found = ops.convert_to_numpy(pyramid(maps)["stride_8"])
    assert found.shape == (2, 8, 16, CHANNELS) and found.any()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_coarsest_map_reaches_every_cell_below_it(pyramid, maps):
    sums = keras.Model(pyramid.input, pyramid.get_layer("sum_8").output)
    before = ops.convert_to_numpy(sums(maps))
    maps["stride_32"][0, 1, 2] += 1.0
    moved = (ops.convert_to_numpy(sums(maps)) != before).any(axis=-1)
    expected = np.zeros((2, 8, 16), bool)
    expected[0, 4:8, 8:12] = True
    np.testing.assert_array_equal(moved, expected)


def test_finer_maps_than_the_stride_are_left_out():
    pyramid = build_pyramid(SHAPES, strides=[16], channels=CHANNELS)
    assert set(pyramid.input) == {"stride_16", "stride_32"}
    assert {name: x.shape for name, x in pyramid.output.items()} == {
        "stride_16": (None, 4, 8, CHANNELS)
    }


def test_several_maps_are_smoothed_each():
    pyramid = build_pyramid(SHAPES, strides=[8, 32], channels=CHANNELS)
    assert {name: x.shape for name, x in pyramid.output.items()} == {
        "stride_8": (None, 8, 16, CHANNELS),
        "stride_32": (None, 2, 4, CHANNELS),
    }


def test_the_momentum_reaches_every_normalisation():
    pyramid = build_pyramid(SHAPES, strides=[8], channels=CHANNELS, batch_norm_momentum=0.9)
    momenta = [layer.momentum for layer in pyramid.layers if layer.name.endswith("_bn")]
    assert momenta == [0.9] * 5


@pytest.mark.parametrize(
    ("strides", "stride", "message"),
    [
        ((8, 16), 32, r"no map of strides \[32\]; there are \[8, 16\]"),
        ((8, 32), 8, r"strides \[8, 32\]: each must be twice the one before"),
    ],
)
def test_impossible_pyramids_are_refused(strides, stride, message):
    with pytest.raises(ValueError, match=message):
        build_pyramid({s: SHAPES[s] for s in strides}, strides=[stride], channels=CHANNELS)
