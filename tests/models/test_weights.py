from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from fixtures.weight_files import write_h5

from mobilenetdet.config.detection import (
    DataConfig,
    DetectionConfig,
    ModelConfig,
    SqueezeDetHeadConfig,
    SsdHeadConfig,
    TrainConfig,
)
from mobilenetdet.config.presets import make_preset
from mobilenetdet.config.storage import to_json, with_changes
from mobilenetdet.models import weights as weights_module
from mobilenetdet.models.backbone_weights import (
    download_imagenet_weights,
    load_backbone_weights,
)
from mobilenetdet.models.detector import build_detector
from mobilenetdet.models.weights import (
    LoadReport,
    compare_h5_layers,
    load_detector_weights,
    load_h5_layers,
)


@pytest.fixture
def model() -> keras.Model:
    """Two layers with variables, conv [1, 1, 3, 2] and dense [2, 4] + [4]."""
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(2, 1, use_bias=False, name="conv")(inputs)
    return keras.Model(inputs, keras.layers.Dense(4, name="dense")(keras.layers.ReLU()(x)))


@pytest.mark.parametrize(
    "options", [{}, {"as_bytes": True}, {"group": "model_weights"}], ids=["text", "bytes", "model"]
)
def test_layers_are_filled_by_name(tmp_path, model, layers, options):
    report = load_h5_layers(model, write_h5(tmp_path / "all.h5", layers, **options))
    assert report.loaded == ["conv", "dense"]
    assert str(report) == f"{tmp_path / 'all.h5'}: 2 layers loaded"
    for name, arrays in layers.items():
        for found, expected in zip(model.get_layer(name).get_weights(), arrays, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_missing_and_unused_layers_are_reported(tmp_path, model, layers):
    before = model.get_layer("dense").get_weights()
    layers["other"] = layers.pop("dense")
    report = load_h5_layers(model, write_h5(tmp_path / "part.h5", layers))
    assert (report.loaded, report.missing, report.unused) == (["conv"], ["dense"], ["other"])
    assert str(report).splitlines()[1:] == ["  missing: dense", "  unused: other"]
    for old, new in zip(before, model.get_layer("dense").get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_other_shapes_name_both_and_the_likely_reason(tmp_path, model, layers):
    layers["conv"] = [np.zeros((1, 1, 3, 8), np.float32)]
    path = write_h5(tmp_path / "wide.h5", layers)
    with pytest.raises(ValueError, match=r"wide\.h5") as error:
        load_h5_layers(model, path)
    assert "conv (file [(1, 1, 3, 8)], model [(1, 1, 3, 2)])" in str(error.value)
    assert "is alpha the same?" in str(error.value)


def test_of_the_same_alpha_it_is_not_asked(tmp_path):
    """The first layer tells: what differs is another setting."""
    first = keras.layers.Conv2D(8, 3, name="conv1", use_bias=False)
    model = keras.Sequential([keras.Input((8, 8, 3)), first, keras.layers.Dense(4, name="dense")])
    layers = {"conv1": first.get_weights(), "dense": [np.zeros((8, 2)), np.zeros(2)]}
    path = write_h5(tmp_path / "narrow.h5", layers)
    with pytest.raises(ValueError, match="alpha is the same, 0.25: are the classes, the levels"):
        load_h5_layers(model, path)


def test_a_file_of_another_model_is_refused(tmp_path, model, layers):
    path = write_h5(tmp_path / "other.h5", {"stem": layers["conv"]})
    with pytest.raises(ValueError, match="0 layers loaded"):
        load_h5_layers(model, path)


def test_a_file_that_is_not_there(tmp_path, model):
    with pytest.raises(FileNotFoundError, match=r"none\.h5 does not exist"):
        load_backbone_weights(model, str(tmp_path / "none.h5"), alpha=1.0)


def test_files_of_another_format(tmp_path, model):
    text = tmp_path / "notes.h5"
    text.write_text("not HDF5")
    with pytest.raises(ValueError, match=r"notes\.h5 is not a Keras \.h5 weight file"):
        load_h5_layers(model, text)


def test_a_layer_that_may_differ_stays_fresh_and_is_listed(tmp_path, model, layers):
    before = model.get_layer("dense").get_weights()
    layers["dense"] = [np.zeros((2, 9), np.float32), np.zeros(9, np.float32)]
    path = write_h5(tmp_path / "nine.h5", layers)
    report = load_h5_layers(model, path, may_differ=("dense",))
    assert report.loaded == ["conv"]
    assert report.mismatched == ["dense (file [(2, 9), (9,)], model [(2, 4), (4,)])"]
    for old, new in zip(before, model.get_layer("dense").get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_what_is_refused_changes_nothing(tmp_path, model, layers):
    before = model.get_weights()
    layers["dense"][1] = np.zeros(9, np.float32)
    path = write_h5(tmp_path / "bad.h5", layers)
    with pytest.raises(ValueError, match="1 layer loaded"):
        load_h5_layers(model, path, may_differ=("conv",))
    compare_h5_layers(model, path)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_detector_begins_with_a_whole_detector(tmp_path):
    giver, path = detector(), tmp_path / "run.weights.h5"
    giver.save_weights(path)
    fresh, report = build_detector(with_weights(path, seed=1))
    assert not report.missing and not report.mismatched and not report.unused
    for given, found in zip(giver.get_weights(), fresh.get_weights(), strict=True):
        np.testing.assert_array_equal(given, found)


def test_predictions_of_other_classes_stay_fresh(tmp_path):
    path = tmp_path / "run.weights.h5"
    detector().save_weights(path)
    config = with_weights(path, seed=1, classes=("Tram",))
    fresh, report = build_detector(config)
    assert [text.split(" ")[0] for text in report.mismatched] == ["prediction"]
    assert "head_0_pw" in report.loaded
    alone, _ = build_detector(replace(config, model=replace(config.model, detector_weights="")))
    np.testing.assert_array_equal(
        fresh.head.prediction.get_weights()[0], alone.head.prediction.get_weights()[0]
    )


def test_as_many_classes_or_anchors_of_another_kind_stay_fresh(tmp_path):
    """Shapes alone do not tell a Van's logits from a Car's."""
    giver, path = detector(), tmp_path / "run.weights.h5"
    giver.save_weights(path)
    (tmp_path / "config.json").write_text(to_json(giver.config))
    same = with_weights(path, seed=1)
    others = tuple(f"Other{i}" for i in range(len(giver.config.data.classes)))
    (level,) = giver.config.model.levels
    moved = replace(level, anchors=tuple((w + 1, h) for w, h in level.anchors))
    for config in (
        with_weights(path, seed=1, classes=others),
        replace(same, model=replace(same.model, levels=(moved,))),
    ):
        fresh, report = build_detector(config)
        assert report.missing == ["prediction"] and "head_0_pw" in report.loaded
        kernels = [each.head.prediction.get_weights()[0] for each in (giver, fresh)]
        assert kernels[0].shape == kernels[1].shape and not np.array_equal(*kernels)


def test_of_ssd_only_the_classes_stay_fresh_if_only_they_are_others(tmp_path):
    config = replace(detector_config(0), head=SsdHeadConfig(blocks=0))
    giver, _ = build_detector(config, load_weights=False)
    giver.save_weights(tmp_path / "a.weights.h5")
    (tmp_path / "config.json").write_text(to_json(config))
    others = tuple(f"Other{i}" for i in range(len(config.data.classes)))
    other, _ = build_detector(
        replace(config, data=replace(config.data, classes=others)), load_weights=False
    )
    report = load_detector_weights(other, tmp_path / "a.weights.h5")
    assert report.missing == ["class_0_prediction"] and "box_0_prediction" in report.loaded


def test_a_backbone_may_lack_its_last_blocks_alone(tmp_path):
    backbone = detector().backbone
    layers = {layer.name: layer.get_weights() for layer in backbone.layers if layer.weights}
    last = max(int(name.split("_")[2]) for name in layers if name.startswith("conv_pw_"))
    without_end = {n: v for n, v in layers.items() if f"_{last}" not in n}
    path = write_h5(tmp_path / "a.h5", without_end)
    report = load_backbone_weights(backbone, str(path), alpha=1.0)
    assert report.missing and all(f"_{last}" in name for name in report.missing)
    without_stem = {n: v for n, v in layers.items() if n != "conv1"}
    path = write_h5(tmp_path / "b.h5", without_stem)
    with pytest.raises(ValueError, match="missing: conv1\n(.|\n)*holds the missing layers, too"):
        load_backbone_weights(backbone, str(path), alpha=1.0)


def test_a_backbone_is_no_whole_detector(tmp_path):
    path = tmp_path / "backbone.weights.h5"
    detector().backbone.save_weights(path)
    with pytest.raises(ValueError, match=r"missing: .*head_0_dw[\s\S]*give one that holds"):
        build_detector(with_weights(path))


def with_weights(
    path: Path, *, seed: int = 0, classes: tuple[str, ...] = ("Car", "Pedestrian", "Cyclist")
) -> DetectionConfig:
    config = detector_config(seed)
    return replace(
        config,
        data=replace(config.data, classes=classes),
        model=replace(config.model, detector_weights=str(path)),
    )


def detector(*, seed: int = 0) -> keras.Model:
    return build_detector(detector_config(seed))[0]


def detector_config(seed: int) -> DetectionConfig:
    return DetectionConfig(
        data=DataConfig(image_height=32, image_width=64),
        model=ModelConfig(weights="none", alpha=0.25),
        head=SqueezeDetHeadConfig(blocks=1, channels=8),
        train=TrainConfig(seed=seed),
    )


def test_none_loads_nothing(model):
    assert load_backbone_weights(model, "none", alpha=0.3) is None


def test_imagenet_weights_exist_for_four_widths(model):
    with pytest.raises(ValueError, match=r"alpha 0\.3; choose from 0\.25, 0\.5, 0\.75, 1\.0"):
        load_backbone_weights(model, "imagenet", alpha=0.3)


def test_imagenet_weights_are_kerass_own_files(tmp_path, model, downloads):
    report = load_backbone_weights(model, "imagenet", alpha=0.75)
    name = "mobilenet_7_5_224_tf_no_top.h5"
    assert report == LoadReport(str(tmp_path / name), ["conv", "dense"])
    origin = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet/"
    assert downloads == [{"name": name, "origin": origin + name, "cache_subdir": "models"}]


def test_imagenet_weights_exist_for_four_sizes():
    with pytest.raises(ValueError, match=r"input size 96; choose from 128, 160, 192, 224"):
        download_imagenet_weights(1.0, size=96)


def test_no_network_names_the_ways_out(monkeypatch):
    def get_file(*args: object, **options: object) -> str:
        raise Exception("URL fetch failure")  # what Keras raises

    monkeypatch.setattr(weights_module.keras.utils, "get_file", get_file)
    with pytest.raises(FileNotFoundError, match=r"URL fetch failure.*--model\.weights none"):
        download_imagenet_weights(1.0)


def test_the_detector_refuses_another_width(tmp_path):
    path = tmp_path / "wide.weights.h5"
    config = detector_config(0)
    wide, _ = build_detector(replace(config, model=replace(config.model, alpha=0.5)))
    wide.save_weights(path)
    with pytest.raises(ValueError, match="has alpha 0.5, and --model.alpha is 0.25"):
        load_backbone_weights(detector().backbone, str(path), alpha=0.25)


def test_another_width_is_named(tmp_path, model, layers):
    layers["conv1"] = [np.zeros((3, 3, 3, 16), np.float32)]
    layers["conv"] = [np.zeros((1, 1, 3, 8), np.float32)]
    with pytest.raises(ValueError, match=r"the file has alpha 0\.5 \(--model\.alpha\)"):
        load_h5_layers(model, write_h5(tmp_path / "half.h5", layers))


def test_a_report_names_a_few_layers_and_counts_the_rest(tmp_path, model, layers):
    report = LoadReport("a.h5", missing=["a", "b", "c"], unused=[f"u_{i}" for i in range(1234)])
    lines = ["  missing: a, b, c", "  unused: u_0, u_1, u_2 and 1,231 more"]
    assert str(report).splitlines()[1:] == lines
    assert report.describe(max_named=None).endswith(", u_1232, u_1233")
    path = tmp_path / "wide.weights.h5"
    config = detector_config(0)
    build_detector(replace(config, model=replace(config.model, alpha=0.5)))[0].save_weights(path)
    with pytest.raises(ValueError) as error:
        build_detector(with_weights(path))
    assert len(str(error.value)) < 1000
    assert "the file has alpha 0.5" in str(error.value).splitlines()[-1]


@pytest.mark.parametrize(
    ("changes", "advised"), [({}, True), ({"alpha": 0.25}, False), ({"pyramid_channels": 0}, False)]
)
def test_no_network_names_what_ships_where_that_fits(monkeypatch, changes, advised):
    def get_file(*args: object, **options: object) -> str:
        raise Exception("URL fetch failure")

    monkeypatch.setattr(weights_module.keras.utils, "get_file", get_file)
    config = make_preset("ssd_fpn")
    config = replace(
        config,
        data=replace(config.data, image_height=32, image_width=64),
        model=replace(config.model, **changes),
    )
    with pytest.raises(FileNotFoundError, match="URL fetch failure") as error:
        build_detector(config)
    assert ("--model.detector_weights ssd_fpn" in str(error.value)) == advised


def test_weights_that_ship_name_their_preset():
    config = with_changes(make_preset("ssd_fpn"), {"model.detector_weights": "ssd_fpn_025"})
    with pytest.raises(ValueError, match=r"ssd_fpn_025 goes with --preset ssd_fpn_025$"):
        build_detector(config)
