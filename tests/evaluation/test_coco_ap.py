import contextlib
import importlib.util
import io
import json
import zipfile

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mobilenetdet.config.classes import EvalTask
from mobilenetdet.evaluation import coco_ap as coco
from mobilenetdet.evaluation.coco_ap import COCO_METRICS, coco_metrics, format_coco
from mobilenetdet.kitti.labels import KittiObjects, parse_objects

LABEL = "{} 0 0 -10 {} {} {} {} -1 -1 -1 -1000 -1000 -1000 -10"
TYPES = ("Car", "Pedestrian", "Cyclist", "Van", "Person_sitting", "Truck", "DontCare")


@pytest.fixture(params=["pycocotools", "faster_coco_eval"])
def library(request, monkeypatch):
    """Each library in turn; the faster one only where it is installed."""
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    if request.param == "pycocotools":
        monkeypatch.setattr(coco.importlib.util, "find_spec", lambda name: None)
    return request.param.replace("_", "-")


def make_frames(seed=0, num_frames=25):
    """Objects of every type, detections near most of them and on nothing."""
    rng = np.random.default_rng(seed)
    labels, detections = [], []
    for _ in range(num_frames):
        count = int(rng.integers(0, 9))
        types = rng.choice(TYPES, count)
        corners = rng.uniform((0, 100), (1000, 200), (count, 2))
        boxes = np.hstack([corners, corners + rng.uniform(8, 200, (count, 2))]).round(2)
        lines = [LABEL.format(name, *box) for name, box in zip(types, boxes, strict=True)]
        labels.append(parse_objects("\n".join(lines), "labels"))
        near = boxes + rng.normal(0, 6, boxes.shape)
        far = np.array([[50, 50, 90, 90], [400, 60, 450, 100.0]])
        names = rng.choice(["Car", "Pedestrian", "cyclist", "Tram"], count + 2)
        names[:count] = np.where(rng.random(count) < 0.7, types, names[:count])
        detections.append(
            KittiObjects.from_detections(names, np.vstack([near, far]), rng.random(count + 2))
        )
    return labels, detections


def by_hand(labels, detections, folder):
    """pycocotools as its own examples use it, from files of COCO's two formats."""
    categories = {"car": 1, "pedestrian": 2, "cyclist": 3}
    crowds = {"van": [1], "person_sitting": [2], "dontcare": [1, 2, 3]}
    annotations, results = [], []
    for image_id, (objects, found) in enumerate(zip(labels, detections, strict=True), 1):
        for name, (x1, y1, x2, y2) in zip(objects.types, objects.boxes_xyxy, strict=True):
            one = [(categories[name.lower()], 0)] if name.lower() in categories else []
            for category, crowd in one + [(c, 1) for c in crowds.get(name.lower(), [])]:
                box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
                ids = {"id": len(annotations) + 1, "image_id": image_id, "category_id": category}
                annotations.append({**box, **ids, "iscrowd": crowd})
        for name, (x1, y1, x2, y2), score in zip(
            found.types, found.boxes_xyxy, found.scores, strict=True
        ):
            if name.lower() in categories:
                box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
                ids = {"image_id": image_id, "category_id": categories[name.lower()]}
                results.append({**box, **ids})
    truth = {
        "info": {},
        "images": [{"id": i + 1} for i in range(len(labels))],
        "annotations": annotations,
        "categories": [{"id": i, "name": name} for name, i in categories.items()],
    }
    (folder / "truth.json").write_text(json.dumps(truth))
    (folder / "results.json").write_text(json.dumps(results))
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO(str(folder / "truth.json"))
        run = COCOeval(gt, gt.loadRes(str(folder / "results.json")), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
        by_class = []
        for category in categories.values():
            run.params.catIds = [category]
            run.evaluate()
            run.accumulate()
            run.summarize()
            by_class.append(run.stats[:3].copy())
        run.params.catIds = list(categories.values())
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run.stats, by_class


def assert_equal_figures(found, stats):
    """COCO's -1, for what has no object, is None here."""
    values = [-0.01 if found[name] is None else found[name] / 100 for name in COCO_METRICS]
    np.testing.assert_allclose(np.where(stats < 0, -0.01, stats), values, rtol=1e-12)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_figures_are_those_of_pycocotools_by_hand(library, tmp_path, seed):
    frames = make_frames(seed)
    found = coco_metrics(*frames)
    stats, by_class = by_hand(*frames, tmp_path)
    assert found["library"] == library
    assert_equal_figures(found, stats)
    for of_class, expected in zip(found["classes"].values(), by_class, strict=True):
        np.testing.assert_allclose(list(of_class.values()), expected * 100, rtol=1e-12)
    assert 5 < found["AP"] < 95


def test_real_detections_are_scored_alike(shared_dir, tmp_path, library):
    case = shared_dir / "golden/kitti_eval/rgb_detector_val"
    frames = (case / "frames.txt").read_text().split()[:150]
    with zipfile.ZipFile(shared_dir / "kitti_labels/label_2_all_7481.zip") as archive:
        labels = [parse_objects(archive.read(f"label_2/{f}.txt").decode(), f) for f in frames]
    with zipfile.ZipFile(case / "detections.zip") as archive:
        detections = [
            parse_objects(archive.read(f"data/{f}.txt").decode(), f, with_scores=True)
            for f in frames
        ]
    found = coco_metrics(labels, detections)
    assert_equal_figures(found, by_hand(labels, detections, tmp_path)[0])


def test_dontcare_and_neighbours_are_no_false_alarms(library):
    lines = [
        LABEL.format("Car", 0, 100, 100, 150),
        LABEL.format("Van", 200, 100, 300, 150),
        LABEL.format("DontCare", 400, 100, 500, 150),
    ]
    labels = [parse_objects("\n".join(lines), "labels")]
    boxes = [[0, 100, 100, 150], [200, 100, 300, 150], [410, 100, 450, 150.0]]
    good = KittiObjects.from_detections(["Car"] * 3, boxes, [0.5, 0.9, 0.8])
    assert coco_metrics(labels, [good])["classes"]["Car"]["AP"] == pytest.approx(100)
    other = KittiObjects.from_detections(["Car"], [[0, 100, 100, 150]], [0.5])
    bad = KittiObjects.from_detections(["Car"] * 2, [boxes[0], [600, 100, 700, 150]], [0.5, 0.9])
    assert coco_metrics(labels, [other])["AP"] == pytest.approx(100)
    assert coco_metrics(labels, [bad])["AP"] == pytest.approx(50)


def test_nothing_detected_and_nothing_labelled(library):
    labels, detections = make_frames()
    nothing = [KittiObjects.empty(with_scores=True)] * len(labels)
    assert coco_metrics(labels, nothing)["AP"] == 0
    unlabelled = coco_metrics([KittiObjects.empty()] * len(labels), detections)
    assert unlabelled["AP"] is None and unlabelled["classes"]["Car"]["AP"] is None
    assert "-" in format_coco(unlabelled)


def test_table_says_who_counted_and_nothing_else_is_printed(library, capsys):
    found = coco_metrics(*make_frames())
    assert capsys.readouterr().out == ""
    text = format_coco(found)
    assert f"by {library};" in text
    assert f"{found['classes']['Cyclist']['AP75']:.2f}" in text


def test_own_classes_with_mapped_types_and_neighbours(library):
    """A task of other names over renamed frames is KITTI's task over these."""
    labels, detections = make_frames()
    names = {"car": "Lorry", "van": "Bus", "pedestrian": "walker", "person_sitting": "Sitting"}

    def renamed(frame):
        types = [names.get(name.lower(), name) for name in frame.types.tolist()]
        return KittiObjects(**(vars(frame) | {"types": np.array(types, str)}))

    task = EvalTask.of(
        ("Truck_", "Walker", "Cyclist"),
        class_map={"lorry": "Truck_"},
        neighbours={"Truck_": ["Bus"], "Walker": ["sitting"]},
    )
    own = coco_metrics(list(map(renamed, labels)), list(map(renamed, detections)), task)
    kitti = coco_metrics(labels, detections)
    assert list(own["classes"]) == ["Truck_", "Walker", "Cyclist"]
    assert list(own["classes"].values()) == list(kitti["classes"].values())
    assert own["AP"] == kitti["AP"]
