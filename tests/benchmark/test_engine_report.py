import json
from dataclasses import replace

import cv2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilenetdet.benchmark.engine_benchmark import EngineResult, Spread
from mobilenetdet.benchmark.engine_report import (
    draw_benchmark,
    legend,
    pareto_front,
    to_json,
    to_markdown,
    to_table,
)

STAGES = ("decode", "letterbox", "network", "suppression", "total")
RESULT = EngineResult(
    name="litert float32",
    format="litert",
    precision="float32",
    parts="network",
    engine="LiteRT 2.3.0",
    source="x.tflite",
    image_size=(384, 1248),
    megabytes=14.04,
    milliseconds={
        stage: Spread(value, value + 2, value - 0.5)
        for stage, value in zip(STAGES, (5.0, 2.0, 80.0, 3.0, 90.0), strict=True)
    },
    peak_megabytes=210.4,
    sgemm_gigaflops=208.4,
    frames_per_second=11.25,
    mean_ap=63.9,
    seen="no frame was trained on",
)
WHOLE = replace(
    RESULT,
    name="onnx int8 whole",
    format="onnx",
    precision="int8",
    milliseconds={
        name: Spread(0.5, 2.0, 0.25) for name in ("decode", "letterbox", "network", "total")
    },
    frames_per_second=None,
    mean_ap=None,
    seen="",
)


def test_the_table_is_aligned_markdown():
    lines = to_table([RESULT, WHOLE]).splitlines()
    assert len({len(line) for line in lines}) == 1
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0][:6] == ["engine", "input", "AP", "ms", "p90", "min"]
    assert cells[2] == [
        *("litert float32", "384x1248", "63.9", "90.0", "92.0", "89.5"),
        *("5.0", "2.0", "80.0", "3.0", "11.2", "14.0", "210", "208"),
    ]
    assert cells[3] == [
        *("onnx int8 whole", "384x1248", "-", "0.50", "2.0", "0.25"),
        *("0.50", "0.50", "0.50", "-", "-", "14.0", "210", "208"),
    ]
    without = to_table([replace(RESULT, sgemm_gigaflops=None)]).splitlines()[-1]
    assert without.split("|")[-2].strip() == "-"
    assert cells[1][0].strip("-") == "" and all(cell.endswith("-:") for cell in cells[1][1:])


def test_the_page_says_how_it_was_measured_and_what_is_left_out():
    page = to_markdown([RESULT, WHOLE], ["openvino int8: needs nncf"], {"threads": 2})
    for words in (
        "- threads: 2", "- left out: openvino int8: needs nncf", "- LiteRT 2.3.0",
        "Where suppression has no figure", "no frame was trained on",
    ):  # fmt: skip
        assert words in page
    assert "has no figure" not in to_markdown([RESULT], [], {})


def test_json_has_every_figure():
    report = json.loads(json.dumps(to_json([RESULT], ["x"], {"runs": 50})))
    assert report["facts"] == {"runs": 50} and report["left_out"] == ["x"]
    (engine,) = report["engines"]
    assert engine["milliseconds"]["total"] == {"median": 90.0, "p90": 92.0, "min": 89.5}
    assert engine["image_size"] == [384, 1248] and engine["mean_ap"] == 63.9


@pytest.mark.parametrize("mean_ap", [63.9, None])
def test_the_picture_is_of_points_or_of_bars(tmp_path, mean_ap):
    results = [replace(RESULT, mean_ap=mean_ap), replace(WHOLE, mean_ap=mean_ap)]
    results += [replace(results[0], image_size=(288, 960), precision="mixed_bfloat16")]
    draw_benchmark(results, tmp_path / "benchmark.png")
    image = cv2.imread(str(tmp_path / "benchmark.png"))
    assert image.shape[1] == 850 and image.std() > 5


def test_networks_of_other_programs_are_lines_without_ap(tmp_path):
    foreign = replace(
        WHOLE, name="onnx theirs", foreign=True, milliseconds={"total": Spread(70.0, 71.0, 69.0)}
    )
    assert "up to their outputs, without boxes: onnx theirs." in legend([RESULT, foreign])
    assert "has no figure" not in legend([RESULT, foreign])
    pictures = []
    for results in ([RESULT], [RESULT, foreign]):
        draw_benchmark(results, tmp_path / "benchmark.png")
        pictures.append(cv2.imread(str(tmp_path / "benchmark.png")))
    assert pictures[0].shape == pictures[1].shape == (550, 850, 3)
    assert (pictures[0] != pictures[1]).any()


POINTS = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=12)


@settings(max_examples=40)
@given(POINTS)
def test_no_point_of_the_front_is_beaten_and_all_others_are(points):
    front = pareto_front(points)
    for index, (ms, ap) in enumerate(points):
        beaten = any(other != (ms, ap) and other[0] <= ms and other[1] >= ap for other in points)
        if index in front:
            assert not beaten
        else:
            assert beaten or any(points[each] == (ms, ap) for each in front)


def test_the_front_begins_with_the_fastest():
    assert pareto_front([(3, 60), (2, 40), (1, 50)]) == [2, 0]
