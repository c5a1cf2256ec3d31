"""What is written is read by others, and comes back without loss."""

import contextlib
import io
import json
import xml.etree.ElementTree as ElementTree

import cv2
import numpy as np
import pytest
import yaml
from fixtures.label_folders import LISTS, SIZE, run_import
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mobilenetdet.cli.export_labels import main
from mobilenetdet.kitti.average_precision import evaluate_detections
from mobilenetdet.kitti.labels import KittiObjects, read_objects, write_objects
from mobilenetdet.kitti.layout import KittiLayout
from mobilenetdet.label_formats.exporting import export_labels, export_results
from mobilenetdet.label_formats.source_frame import make_objects

FORMATS = ("coco", "yolo", "voc")
TYPES = ("Car", "Van", "Pedestrian", "Person_sitting", "Cyclist", "Truck", "DontCare", "DontCare")


def random_labels(rng, count=12):
    """Objects with two decimals all over a picture of KITTI's size."""
    corners = np.round(rng.uniform(0, (1142, 275), (count, 2)), 2)
    boxes = np.hstack([corners, np.round(corners + rng.uniform(5, 100, (count, 2)), 2)])
    types = rng.choice(TYPES, count).tolist()
    attributes = [
        {}
        if name == "DontCare"
        else {
            "truncated": round(float(rng.choice([0, rng.uniform(0, 1)])), 2),
            "occluded": int(rng.integers(-1, 4)),
            "alpha": round(float(rng.uniform(-3, 3)), 2),
            "z_m": round(float(rng.uniform(-3, 60)), 2),
        }
        for name in types
    ]
    return make_objects(types, boxes, attributes)


def jittered(rng, labels):
    """Detections near most labels."""
    boxes = labels.boxes_xyxy + rng.normal(0, 3, labels.boxes_xyxy.shape)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    types = np.where(labels.types == "DontCare", "Car", labels.types)
    return KittiObjects.from_detections(types, boxes, rng.uniform(0, 1, len(labels)))


@pytest.fixture(scope="module")
def random_kitti(tmp_path_factory):
    """40 frames of KITTI's size with random labels, and detections in them."""
    rng = np.random.default_rng(5)
    layout = KittiLayout(tmp_path_factory.mktemp("random") / "kitti")
    layout.image_dir.mkdir(parents=True)
    frame_ids = [f"{index:06d}" for index in range(40)]
    for frame_id in frame_ids:
        cv2.imwrite(str(layout.image_dir / f"{frame_id}.png"), np.zeros((375, 1242, 3), np.uint8))
        write_objects(layout.label_path(frame_id), random_labels(rng))
    layout.write_image_set("train", frame_ids[:30])
    layout.write_image_set("val", frame_ids[30:])
    layout.write_image_set("trainval", frame_ids)
    labels = [read_objects(layout.label_path(frame_id)) for frame_id in frame_ids]
    return layout, labels, [jittered(rng, each) for each in labels]


@pytest.mark.parametrize("label_format", FORMATS)
def test_ap_of_labels_that_went_out_and_in_is_the_same(random_kitti, label_format, tmp_path):
    layout, labels, detections = random_kitti
    export_labels(label_format, layout, tmp_path / "there")
    run_import(label_format, tmp_path / "there", tmp_path / "back")
    back = KittiLayout(tmp_path / "back")
    returned = [read_objects(back.label_path(each)) for each in layout.frame_ids()]
    before, after = (evaluate_detections(each, detections) for each in (labels, returned))
    compared = 0
    for name in ("Car", "Pedestrian", "Cyclist"):
        for difficulty in ("easy", "moderate", "hard"):
            expected, found = (ap.classes[name][difficulty] for ap in (before, after))
            assert (found.r40, found.r11) == pytest.approx((expected.r40, expected.r11), abs=1e-6)
            assert found.num_objects == expected.num_objects
            compared += 0 < expected.r40 < 100
    assert compared >= 6
    assert back.read_image_set("val") == layout.read_image_set("val")


@pytest.mark.parametrize("label_format", FORMATS)
def test_every_column_comes_back(labelled_kitti, label_format, tmp_path):
    report = export_labels(label_format, labelled_kitti, tmp_path / "there")
    assert report.parts == {"train": 2, "val": 2}
    run_import(label_format, tmp_path / "there", tmp_path / "back")
    back = KittiLayout(tmp_path / "back")
    assert back.frame_ids() == labelled_kitti.frame_ids()
    for frame_id in back.frame_ids():
        expected = (
            labelled_kitti.label_path(frame_id).read_text().replace("1.2 0.5 0.8", "1.20 0.50 0.80")
        )
        assert back.label_path(frame_id).read_text() == expected
        original = labelled_kitti.image_path(frame_id)
        assert back.image_path(frame_id).samefile(original)
    for name, frame_ids in LISTS.items():
        assert back.read_image_set(name) == sorted(frame_ids)


def expected_boxes(layout, *, dont_care):
    """Type and box of every object by frame id."""
    return {
        frame_id: [
            (name, pytest.approx(box, abs=1e-9))
            for name, box in zip(objects.types.tolist(), objects.boxes_xyxy.tolist(), strict=True)
            if dont_care or name != "DontCare"
        ]
        for frame_id in layout.frame_ids()
        for objects in [read_objects(layout.label_path(frame_id))]
    }


def read_coco(folder):
    """By pycocotools."""
    found = {}
    for name in LISTS:
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO(str(folder / f"annotations/instances_{name}.json"))
        for image in coco.loadImgs(coco.getImgIds()):
            assert (folder / "images" / image["file_name"]).is_file()
            assert (image["width"], image["height"]) == SIZE
            rows = coco.loadAnns(coco.getAnnIds(imgIds=[image["id"]]))
            found[image["file_name"][:6]] = [
                (coco.cats[row["category_id"]]["name"], [x, y, x + w, y + h])
                for row in rows
                for x, y, w, h in [row["bbox"]]
            ]
            assert all(row["iscrowd"] == (row["category_id"] == len(coco.cats)) for row in rows)
    return found


def read_yolo(folder):
    data = yaml.safe_load((folder / "data.yaml").read_text())
    found = {}
    for name in LISTS:
        for image in (folder / data[name]).iterdir():
            text = (folder / f"labels/{name}/{image.stem}.txt").read_text()
            rows = np.array(text.split(), float).reshape(-1, 5)
            boxes = np.hstack([rows[:, 1:3] - rows[:, 3:] / 2, rows[:, 1:3] + rows[:, 3:] / 2])
            boxes *= (*SIZE, *SIZE)
            names = [data["names"][int(row[0])] for row in rows]
            found[image.stem] = list(zip(names, boxes.tolist(), strict=True))
    return found


def read_voc(folder):
    found = {}
    for path in (folder / "Annotations").iterdir():
        root = ElementTree.parse(path).getroot()
        assert (folder / "JPEGImages" / root.findtext("filename")).is_file()
        found[path.stem] = [
            (
                each.findtext("name"),
                [
                    float(each.findtext(f"bndbox/{side}")) - (side[1:] == "min")
                    for side in ("xmin", "ymin", "xmax", "ymax")
                ],
            )
            for each in root.iter("object")
        ]
    return found


@pytest.mark.parametrize(
    ("label_format", "read", "dont_care"),
    [("coco", read_coco, True), ("yolo", read_yolo, False), ("voc", read_voc, True)],
)
def test_another_reader_finds_the_same(labelled_kitti, tmp_path, label_format, read, dont_care):
    report = export_labels(label_format, labelled_kitti, tmp_path / "out")
    assert read(tmp_path / "out") == expected_boxes(labelled_kitti, dont_care=dont_care)
    assert len(report.notes.names) == (not dont_care)


@pytest.mark.parametrize(
    "beside",
    [
        None,
        {"lines": [{}, {}], "dont_care": []},
        {"lines": [1], "dont_care": []},
        {"lines": [{}], "dont_care": [[0, 0, 1]]},
        {"lines": [{}], "dont_care": [[0, 0, 1, "1"]]},
        [],
    ],
)
def test_labels_that_were_edited_lose_what_was_beside_them(labelled_kitti, tmp_path, beside):
    export_labels("yolo", labelled_kitti, tmp_path / "there")
    path = tmp_path / "there/labels/train/000000.txt"
    path.write_text(path.read_text().splitlines()[0])
    if beside is not None:
        changed = {"labels/train/000000": beside}
        (tmp_path / "there/kitti_attributes.json").write_text(json.dumps(changed))
    report = run_import("yolo", tmp_path / "there", tmp_path / "back")
    text = KittiLayout(tmp_path / "back").label_path("000000").read_text()
    assert text == "Car -1 -1 -10 10.17 20.33 60.41 70.29 -1 -1 -1 -1000 -1000 -1000 -10\n"
    assert report.notes.lines()[0].startswith("labels have changed since kitti_attributes.json")


@pytest.mark.parametrize("label_format", FORMATS)
def test_a_folder_without_lists_is_one_part(labelled_kitti, label_format, tmp_path):
    for path in (labelled_kitti.root / "ImageSets").iterdir():
        path.unlink()
    export_labels(label_format, labelled_kitti, tmp_path / "there")
    report = run_import(label_format, tmp_path / "there", tmp_path / "back")
    assert report.num_frames == 4
    assert report.splits == ({"train": 4} if label_format == "yolo" else {})


@pytest.mark.parametrize("lists", [("trainval",), ("train", "drive 7"), ("day", "night")])
@pytest.mark.parametrize("label_format", FORMATS)
def test_frames_of_lists_of_any_name_come_back(labelled_kitti, label_format, lists, tmp_path):
    for path in (labelled_kitti.root / "ImageSets").iterdir():
        path.unlink()
    frame_ids = labelled_kitti.frame_ids()
    for place, name in enumerate(lists):
        labelled_kitti.write_image_set(name, frame_ids[place :: len(lists)])
    export_labels(label_format, labelled_kitti, tmp_path / "there")
    run_import(label_format, tmp_path / "there", tmp_path / "back")
    back = KittiLayout(tmp_path / "back")
    assert back.frame_ids() == frame_ids
    if label_format == "yolo":
        for place, name in enumerate(lists):
            found = back.read_image_set(name.replace(" ", "_"))
            assert found == frame_ids[place :: len(lists)]


@pytest.mark.parametrize(("meant", "size"), [("obey", (100, 200)), ("ignore", (200, 100))])
def test_turned_pictures_go_out_upright(labelled_kitti, tmp_path, capsys, meant, size):
    path = labelled_kitti.image_path("000003")
    picture = Image.open(path)
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(path, exif=exif)
    words = ["--format", "coco", str(labelled_kitti.root), str(tmp_path / "there")]
    with pytest.raises(ValueError, match="000003.jpg is turned by its EXIF.*--exif_orientation"):
        main(words)
    assert not (tmp_path / "there").exists()
    main([*words, "--exif_orientation", meant])
    assert "written upright, as PNG: 1 (000003.jpg)" in capsys.readouterr().out
    assert Image.open(tmp_path / "there/images/000003.png").size == size
    images = json.loads((tmp_path / "there/annotations/instances_val.json").read_text())["images"]
    assert (images[1]["width"], images[1]["height"]) == size


def test_frames_of_no_list_are_told(labelled_kitti, tmp_path):
    report = export_labels("coco", labelled_kitti, tmp_path / "there", splits=["train"])
    assert report.notes.names == {"frames that no list has were left out": ["000001", "000003"]}
    with pytest.raises(FileExistsError, match="is not empty"):
        export_labels("coco", labelled_kitti, tmp_path / "there")


def write_results(folder, layout, seed=0):
    rng = np.random.default_rng(seed)
    folder.mkdir()
    for frame_id in layout.frame_ids():
        labels = read_objects(layout.label_path(frame_id))
        write_objects(folder / f"{frame_id}.txt", jittered(rng, labels))
    return folder


def test_results_are_read_by_pycocotools(random_kitti, tmp_path):
    layout, labels, _ = random_kitti
    export_labels("coco", layout, tmp_path / "coco")
    results = write_results(tmp_path / "results", layout)
    coco_file = tmp_path / "coco/annotations/instances_val.json"
    report = export_results("coco", results, tmp_path / "out", coco_file=coco_file)
    assert (
        len(report.notes.names["result files of no image of " + f"{coco_file} were left out"]) == 30
    )
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(coco_file))
        run = COCOeval(truth, truth.loadRes(str(tmp_path / "out/results.json")), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    assert 0.1 < run.stats[0] < 0.9
    rows = json.loads((tmp_path / "out/results.json").read_text())
    first = read_objects(results / "000030.txt")
    assert rows[0]["score"] == first.scores[0] and len(rows) == sum(map(len, labels[30:]))


def test_results_as_yolo_and_voc(labelled_kitti, tmp_path):
    results = write_results(tmp_path / "results", labelled_kitti)
    export_results("yolo", results, tmp_path / "yolo", kitti_root=labelled_kitti.root)
    export_results("voc", results, tmp_path / "voc")
    names = (tmp_path / "yolo/classes.txt").read_text().split()
    assert names == ["Car", "Pedestrian", "Cyclist", "Van", "Person_sitting"]
    found = read_objects(results / "000002.txt")
    row = np.loadtxt(tmp_path / "yolo/labels/000002.txt")
    box = np.array([*(row[1:3] - row[3:5] / 2), *(row[1:3] + row[3:5] / 2)]) * (*SIZE, *SIZE)
    np.testing.assert_allclose(box, found.boxes_xyxy[0], atol=1e-9)
    assert row[0] == 1 and row[5] == found.scores[0]
    words = (tmp_path / "voc/comp4_det_results_Pedestrian.txt").read_text().split()
    assert words[0] == "000002" and float(words[1]) == found.scores[0]
    np.testing.assert_allclose(
        np.array(words[2:], float), found.boxes_xyxy[0] + (1, 1, 0, 0), atol=1e-9
    )


@pytest.mark.parametrize(
    ("label_format", "message"), [("coco", "--coco_file"), ("yolo", "--kitti_root")]
)
def test_what_results_need_is_said(labelled_kitti, tmp_path, label_format, message):
    results = write_results(tmp_path / "results", labelled_kitti)
    with pytest.raises(ValueError, match=message):
        export_results(label_format, results, tmp_path / "out")
    with pytest.raises(ValueError, match="expected 16"):
        export_results(label_format, labelled_kitti.label_dir, tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="holds no result files"):
        export_results(label_format, tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
