import inspect
import re

import pytest

from mobilenetdet.cli.config_options import expected_result
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.presets import PRESETS, make_preset


@pytest.mark.parametrize("name", PRESETS)
def test_presets_build_and_say_what_they_are(name):
    config = make_preset(name)
    assert isinstance(config, DetectionConfig)
    assert config == PRESETS[name]()
    first, *rest = inspect.getdoc(PRESETS[name]).split("\n\n")
    assert first.endswith(".")
    assert rest, f"{name}: state data, hardware, time and result, or that it was not run"


def test_anchors_fit_into_the_input():
    for name in PRESETS:
        config = make_preset(name)
        height, width = config.image_size
        for level in config.model.levels:
            for anchor in level.anchors:
                assert 0 < anchor[0] <= width and 0 < anchor[1] <= height, name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sqeezedet", "unknown preset 'sqeezedet'; did you mean squeezedet?"),
        ("quick_start", "did you mean quickstart?"),
        ("", "unknown preset ''"),
    ],
)
def test_unknown_presets_name_the_nearest(name, message):
    with pytest.raises(ValueError) as error:
        make_preset(name)
    assert message in str(error.value)
    assert all(known in str(error.value) for known in PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_say_in_a_line_what_to_expect(name):
    expected = expected_result(PRESETS[name])
    assert expected.endswith(".") and len(expected) <= 80
    if "not run" not in expected:
        # The same figures as in the text above it.
        figures = re.findall(r"\d+\.\d", expected)
        assert len(figures) == 3
        assert all(
            figure in inspect.getdoc(PRESETS[name]).split("Expected")[0] for figure in figures
        )
