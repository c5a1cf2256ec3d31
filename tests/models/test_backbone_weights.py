import numpy as np
import pytest
from keras import ops

from mobilenetdet.models.backbone_weights import (
    _typical_size,
    load_backbone_weights,
    narrow_mobilenet,
)
from mobilenetdet.models.mobilenet_v1 import build_mobilenet_v1
from mobilenetdet.models.weights import stored_alpha


def randomised(alpha: float, rng: np.random.Generator):
    """A backbone whose normalisations are not those of a fresh one."""
    backbone = build_mobilenet_v1((64, 64, 3), alpha=alpha)
    for layer in backbone.layers:
        if layer.name.endswith("_bn"):
            count = layer.weights[0].shape[0]
            gamma, beta, mean = rng.uniform(0.5, 1.5, count), *rng.normal(0, 0.3, (2, count))
            layer.set_weights([gamma, beta, mean, rng.uniform(0.5, 1.5, count)])
    return backbone


def silence(backbone, rng: np.random.Generator) -> None:
    """Silences half of the channels that each convolution gives, but for those of the last."""
    for layer in backbone.layers:
        if layer.name.endswith("_bn") and layer.name.startswith(("conv1", "conv_pw")):
            if layer.name == "conv_pw_13_bn":
                continue
            gamma, beta, mean, variance = layer.get_weights()
            silent = rng.permutation(len(gamma))[: len(gamma) // 2]
            gamma[silent], beta[silent] = 0, -1.0
            layer.set_weights([gamma, beta, mean, variance])
            block = int(layer.name.split("_")[2]) if "pw" in layer.name else 0
            following = backbone.get_layer(f"conv_dw_{block + 1}_bn")
            gamma, beta, mean, variance = following.get_weights()
            gamma[silent], beta[silent], mean[silent] = 0, -1.0, 0
            following.set_weights([gamma, beta, mean, variance])


def stored_layers(backbone) -> dict[str, list[np.ndarray]]:
    return {layer.name: layer.get_weights() for layer in backbone.layers if layer.weights}


def test_without_its_silent_channels_a_backbone_gives_the_same():
    rng = np.random.default_rng(0)
    wide, narrow = randomised(1.0, rng), build_mobilenet_v1((64, 64, 3), alpha=0.5)
    silence(wide, rng)
    stored = stored_layers(wide)
    narrowed = narrow_mobilenet(stored, 0.5)
    assert stored_alpha(narrowed) == 0.5
    for layer in narrow.layers:
        if layer.weights:
            layer.set_weights(narrowed[layer.name])
    images = rng.uniform(-1, 1, (2, 64, 64, 3)).astype(np.float32)
    wider, narrower = wide(images), narrow(images)
    for stride, block in ((8, 5), (16, 11)):
        alive = stored[f"conv_pw_{block}_bn"][0] > 0
        expected = ops.convert_to_numpy(wider[f"stride_{stride}"])[..., alive]
        found = ops.convert_to_numpy(narrower[f"stride_{stride}"])
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    # The last convolution loses channels that are not silent.
    kept = ops.convert_to_numpy(narrower["stride_32"]).reshape(-1, 512).T
    all_of = ops.convert_to_numpy(wider["stride_32"]).reshape(-1, 1024).T
    assert all(np.isclose(all_of, row, rtol=1e-4, atol=1e-4).all(axis=1).any() for row in kept)


@pytest.mark.parametrize(("gamma", "beta"), [(1.0, 0.0), (0.5, 1.0), (2.0, -3.0), (1e-9, 0.7)])
def test_the_typical_size_is_that_of_samples(gamma, beta):
    samples = np.maximum(np.random.default_rng(0).normal(beta, gamma, 2_000_000), 0)
    expected = np.sqrt((samples**2).mean())
    assert _typical_size([np.array([-gamma]), np.array([beta])])[0] == pytest.approx(
        expected, rel=0.01
    )


def test_a_backbone_of_the_same_width_stays_as_it_is():
    stored = stored_layers(randomised(0.25, np.random.default_rng(1)))
    narrowed = narrow_mobilenet(stored | {"predictions": [np.zeros(3)]}, 0.25)
    assert narrowed.keys() == stored.keys()
    for name, arrays in stored.items():
        assert all(map(np.array_equal, arrays, narrowed[name]))


def test_a_wider_file_is_narrowed_where_that_is_asked_for(tmp_path):
    wide = randomised(0.5, np.random.default_rng(2))
    path = tmp_path / "wide.weights.h5"
    wide.save_weights(path)
    narrow = build_mobilenet_v1((64, 64, 3), alpha=0.25)
    with pytest.raises(ValueError, match="has alpha 0.5.*--model.narrow_weights True"):
        load_backbone_weights(narrow, str(path), alpha=0.25)
    report = load_backbone_weights(narrow, str(path), alpha=0.25, narrow=True)
    assert "narrowed from alpha 0.5" in str(report) and not report.missing
    with pytest.raises(ValueError, match="has alpha 0.5"):  # it cannot be widened
        load_backbone_weights(build_mobilenet_v1(), str(path), alpha=1.0, narrow=True)
