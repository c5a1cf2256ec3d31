"""What exported files carry is read back as it was written, or refused."""

import json
from dataclasses import replace

import pytest

from mobilenetdet.exported_info import ExportedInfo

INFO = ExportedInfo(
    parts="network",
    precision="int8",
    image_size=(64, 192),
    classes=("Car", "Scooter"),
    letterbox_grey=127,
    scores_from="sigmoid",
    anchor_levels=((8, ((1.5, 2.0), (3.0, 4.0))), (16, ((5.0, 6.0),))),
    drawing_scores={"Car": 0.4, "Scooter": 0.5},
    config={"postprocess": {"max_detections": 3, "suppression": {"kind": "soft", "sigma": 0.5}}},
    frames_seen={"complete": True, "hashes": ["a" * 12]},
    source="mine",
    version="1.2",
)


@pytest.mark.parametrize("info", [INFO, replace(INFO, frames_seen=None, ap={"mean": 1.0})])
@pytest.mark.parametrize("indent", [None, 1])
def test_it_is_read_back_equal(info: ExportedInfo, indent: int | None):
    assert ExportedInfo.from_json(info.to_json(indent=indent), "a.tflite") == info


def test_files_of_earlier_versions_do_not_say_of_which_weights_they_are():
    values = json.loads(replace(INFO, weights="0123456789abcdef").to_json())
    del values["weights"]
    assert ExportedInfo.from_json(json.dumps(values), "a.tflite") == INFO


def test_settings_of_decoding_go_by_their_names():
    settings = INFO.postprocess
    assert settings.max_detections == 3 and settings.suppression.kind == "soft"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "a.onnx has no metadata of mobilenetdet.*export it with mobilenetdet export"),
        ("{", "a.onnx: its metadata are damaged"),
        ("[]", "a.onnx: its metadata are damaged"),
        ('{"layout": 1}', "a.onnx: its metadata are damaged.*parts"),
        (json.dumps({"layout": 99, "version": "9.9"}), "exported by mobilenetdet 9.9.*update it"),
    ],
)
def test_what_is_no_such_metadata_is_refused(text: str | None, words: str):
    with pytest.raises(ValueError, match=words):
        ExportedInfo.from_json(text, "a.onnx")
