"""Predictions on their way to people who label, as the tools' own readers see them."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mobilenetdet.annotation.label_studio import labelling_interface
from mobilenetdet.annotation.predicted_frames import read_predicted
from mobilenetdet.cli.export_annotations import main

BOX = {"class": "Car", "score": 0.9, "box_xyxy": [10.0, 20.0, 60.0, 45.0]}
ENTRIES = [
    {
        "name": "a", "source": "photos/a & b.jpg", "width": 200, "height": 100,
        "detections": [
            BOX,
            {"class": 'Cy<"clist', "score": 0.4, "box_xyxy": [-5.0, 0.0, 20.0, 120.0]},
            {"class": "Car", "score": 0.1, "box_xyxy": [0.0, 0.0, 9.0, 9.0]},
        ],
    },
    {"name": "b", "source": "photos/more/b.png", "width": 50, "height": 40, "detections": []},
]  # fmt: skip


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    folder = tmp_path / "predictions"
    folder.mkdir()
    (folder / "detections.json").write_text(json.dumps(ENTRIES))
    return folder


def test_all_classes_that_were_found_are_offered(predictions, tmp_path, capsys):
    """Those of which no box was sure enough are what is to be drawn by hand."""
    out = tmp_path / "tasks.json"
    options = ["--format", "label_studio", "--score", "0.8"]
    assert main([str(predictions), str(out), *options]) == 0
    assert "1 box" in (printed := capsys.readouterr().out)
    assert [line for line in printed.splitlines() if "<Label value" in line] == [
        '    <Label value="Car"/>',
        """    <Label value='Cy&lt;"clist'/>""",
    ]


def test_label_studio_gets_boxes_in_percent(predictions, tmp_path, capsys):
    out = tmp_path / "tasks.json"
    assert main([str(predictions), str(out), "--format", "label_studio"]) == 0
    tasks = json.loads(out.read_text())
    assert [task["data"]["image"] for task in tasks] == [
        "/data/local-files/?d=a%20%26%20b.jpg",
        "/data/local-files/?d=more/b.png",
    ]
    first, second = tasks[0]["predictions"][0]["result"]
    assert first["value"] == {
        "x": 5, "y": 20, "width": 25, "height": 25, "rotation": 0, "rectanglelabels": ["Car"],
    }  # fmt: skip
    assert second["value"]["x"] == 0 and second["value"]["height"] == 100  # cut to the picture
    assert tasks[1]["predictions"][0]["result"] == []
    printed = capsys.readouterr().out
    assert "2 pictures, 2 boxes" in printed and "<RectangleLabels" in printed


def test_label_studios_own_library_takes_tasks_and_interface(predictions, tmp_path):
    sdk = pytest.importorskip(
        "label_studio_sdk.label_interface", reason="label-studio-sdk is not installed"
    )
    out = tmp_path / "tasks.json"
    main([str(predictions), str(out), "--format", "label_studio"])
    interface = sdk.LabelInterface(labelling_interface(read_predicted(predictions)))
    interface.validate()
    tasks = json.loads(out.read_text())
    for task in tasks:
        assert interface.validate_task({"data": task["data"]})
        for prediction in task["predictions"]:
            assert interface.validate_prediction(prediction)
    tasks[0]["predictions"][0]["result"][0]["value"]["rectanglelabels"] = ["Tram"]
    assert not interface.validate_prediction(tasks[0]["predictions"][0])  # it does look


def test_cvat_gets_boxes_in_pixels(predictions, tmp_path):
    out = tmp_path / "cvat.xml"
    assert main([str(predictions), str(out), "--format", "cvat", "--score", "0.05"]) == 0
    root = ElementTree.parse(out).getroot()
    assert (root.tag, root.findtext("version")) == ("annotations", "1.1")
    images = root.findall("image")
    assert [dict(image.attrib) for image in images] == [
        {"id": "0", "name": "a & b.jpg", "width": "200", "height": "100"},
        {"id": "1", "name": "more/b.png", "width": "50", "height": "40"},
    ]
    boxes = [dict(box.attrib) for box in images[0]]
    assert [box["label"] for box in boxes] == ["Car", 'Cy<"clist', "Car"]
    sides = [float(boxes[0][side]) for side in ("xtl", "ytl", "xbr", "ybr")]
    assert sides == BOX["box_xyxy"]
    assert (boxes[1]["xtl"], boxes[1]["ybr"]) == ("0.00", "100.00")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[]", "holds no picture; write it with mobilenetdet predict --format json"),
        ('{"a": 1}', "does not hold predictions"),
        ('[{"source": "a.jpg", "width": 5}]', "KeyError"),
        (json.dumps([{**ENTRIES[1], "width": 0}]), "a picture of 0x40 pixels"),
        (json.dumps([ENTRIES[1]] * 2), "1 of 1 files hold several pictures"),
    ],
)
def test_what_cannot_be_labelled_is_refused(tmp_path, content, told):
    (tmp_path / "detections.json").write_text(content)
    with pytest.raises(ValueError, match=told):
        read_predicted(tmp_path)


def test_nothing_of_the_users_is_replaced(predictions, tmp_path):
    out = tmp_path / "mine.xml"
    out.write_text("mine")
    with pytest.raises(FileExistsError, match="--overwrite"):
        main([str(predictions), str(out), "--format", "cvat"])
    assert out.read_text() == "mine"
    with pytest.raises(FileNotFoundError, match="nope does not exist; write it with"):
        main([str(tmp_path / "nope"), str(out), "--format", "cvat", "--overwrite"])


def test_a_prefix_stands_before_the_names_and_has_no_effect_in_cvat(predictions, tmp_path):
    out, words = tmp_path / "tasks.json", ["--image_prefix", "https://host/"]
    main([str(predictions), str(out), "--format", "label_studio", *words])
    assert json.loads(out.read_text())[1]["data"]["image"] == "https://host/more/b.png"
    with pytest.raises(ValueError, match="--image_prefix has no effect on --format cvat"):
        main([str(predictions), str(tmp_path / "cvat.xml"), "--format", "cvat", *words])
