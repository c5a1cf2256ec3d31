"""The browser of frames in a real browser, against what Python makes of the same frames."""

import re
from urllib.parse import urlencode

import numpy as np
import pytest
from fixtures.crowded_frames import crowded

from mobilenetdet.analysis.analyse import analyse
from mobilenetdet.analysis.error_types import CORRECT, ERROR_KINDS, MISSED, find_errors
from mobilenetdet.analysis.frame_browser import BrowsedRun, browser_parts
from mobilenetdet.analysis.report import write_report
from mobilenetdet.kitti.average_precision import HIT, MISS, match_frame
from mobilenetdet.kitti.labels import KittiObjects, read_objects

CLASSES = ("Car", "Pedestrian", "Cyclist")
COUNTS = (
    "Object.fromEntries([...document.querySelectorAll('#kinds b')]"
    ".map((b) => [b.id.slice(6), Number(b.textContent.replace(',', ''))]))"
)
STATUS = "document.getElementById('frame-status').textContent"


def write_page(path, labels, *founds, protocol="current", names="AB", whole=False):
    """Writes a report, or the browser alone, which takes no time for plots."""
    ids = [f"{index:06d}" for index in range(len(labels))]
    thresholds = [analyse(labels, found, protocol=protocol).thresholds for found in founds]
    runs = [BrowsedRun(*row) for row in zip(names, founds, thresholds, strict=False)]
    image = np.full((200, 620, 3), 90, np.uint8)
    parts = browser_parts(ids, labels, runs, pictures=((i, image) for i in ids), protocol=protocol)
    if whole:
        write_report(path, analyse(labels, founds[0]), title="Run", facts={}, browser=parts)
    else:
        path.write_text("<!doctype html>" + "".join(parts), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Addresses of a page of one run, one of two runs, and one by the rules before 2017."""
    folder = tmp_path_factory.mktemp("pages")
    labels, first = crowded(0)
    _, second = crowded(1)
    return {
        "one": write_page(folder / "one.html", labels, first),
        "two": write_page(
            folder / "two.html", labels, first, second, names=("<i>A</i>", "B"), whole=True
        ),
        "old": write_page(folder / "old.html", labels, first, protocol="pre2017"),
    }


def expected_counts(
    labels, found, *, difficulty, scores, class_=None, heights=(0, np.inf), **rules
):
    """Counts of errors by kind, the slow way, in the height of whole pixels."""
    errors = find_errors(labels, found, difficulty=difficulty, score_thresholds=scores, **rules)

    def is_asked(frames):
        boxes = np.concatenate([frame.boxes_xyxy for frame in frames])
        whole = np.floor(np.abs(boxes[:, 3] - boxes[:, 1]))
        return (whole >= heights[0]) & (whole < heights[1])

    counts = dict.fromkeys((CORRECT, *ERROR_KINDS), 0)
    for name in CLASSES if class_ is None else [class_]:
        of_class = errors[name]
        for kind in (CORRECT, *ERROR_KINDS):
            is_kind = of_class.missed if kind == MISSED else of_class.detection_kinds == kind
            counts[kind] += int((is_kind & is_asked(labels if kind == MISSED else found)).sum())
    return counts


@pytest.mark.parametrize("page", ["one", "old"])
@pytest.mark.parametrize(
    "query, asked",
    [
        ({}, {}),
        ({"difficulty": "hard"}, {}),
        ({"difficulty": "easy", "score": "0.3"}, {}),
        ({"score": "0"}, {}),
        ({"score": "0.55", "class": "0"}, {"class_": "Car"}),
        ({"class": "1", "difficulty": "hard"}, {"class_": "Pedestrian"}),
        ({"from": "30", "to": "60", "score": "0.15"}, {"heights": (30, 60)}),
    ],
)
def test_filters_count_what_python_counts(chromium, pages, page, query, asked):
    protocol = "pre2017" if page == "old" else "current"
    labels, found = crowded(0)
    scores = analyse(labels, found, protocol=protocol).thresholds
    if "score" in query:
        scores = dict.fromkeys(CLASSES, float(query["score"]))
    difficulty = query.get("difficulty", "moderate")
    wanted = expected_counts(
        labels, found, difficulty=difficulty, scores=scores, protocol=protocol, **asked
    )
    chromium.load(f"{pages[page]}#{urlencode(query)}")
    counts = chromium.evaluate(COUNTS)
    counts.pop("ignored")
    assert counts == wanted and sum(wanted.values()) > 20
    total = sum(wanted[kind] for kind in ERROR_KINDS)
    assert chromium.evaluate(STATUS).endswith(f" of 40 frames, {total} boxes")


def test_what_one_run_finds_and_the_other_misses(chromium, pages):
    labels, first = crowded(0)
    _, second = crowded(1)
    outcomes = []
    for found in (first, second):
        scores = analyse(labels, found).thresholds
        outcomes.append(
            [
                match_frame(
                    *frame, class_name=name, difficulty="moderate", score_threshold=scores[name]
                ).label_outcomes
                for frame in zip(labels, found, strict=True)
                for name in CLASSES
            ]
        )
    a, b = (np.concatenate(each) for each in outcomes)
    for query, wanted in (("10", (HIT, MISS)), ("01", (MISS, HIT)), ("00", (MISS, MISS))):
        number = int(((a == wanted[0]) & (b == wanted[1])).sum())
        assert number > 1
        chromium.load(f"{pages['two']}#of={query}")
        assert f", {number} objects" in chromium.evaluate(STATUS)
    views = "document.querySelector('.frame-card').querySelectorAll('.frame-view rect').length"
    assert chromium.evaluate("document.querySelector('.frame-card .run-name').textContent") == (
        "A: <i>A</i>"  # a name is a text
    )
    chromium.evaluate("document.getElementById('browser').scrollIntoView()")
    chromium.wait_for(f"{views} > 2")
    assert not chromium.messages


def test_frames_are_opened_and_left_by_keys(chromium, pages):
    chromium.load(pages["one"])
    chromium.press("j")
    first = chromium.evaluate("document.activeElement.querySelector('b').textContent")
    chromium.press("Enter")
    title = "document.getElementById('frame-title').textContent"
    assert chromium.evaluate(title).startswith(f"{first} (1 of ")
    chromium.press("ArrowRight")
    assert "(2 of " in chromium.evaluate(title)
    second = chromium.evaluate("location.hash")
    assert chromium.evaluate("document.querySelectorAll('#frame-large text').length") > 0
    chromium.press("n")
    assert chromium.evaluate("document.querySelectorAll('#frame-large text').length") == 0
    chromium.press("Escape")
    assert chromium.evaluate("document.getElementById('frame-dialog').open") is False
    chromium.load(pages["one"] + second)  # an address leads to the frame again
    assert "(2 of " in chromium.evaluate(title) and not chromium.messages


def test_controls_filter_and_the_address_keeps_it(chromium, pages):
    chromium.load(pages["one"])
    chromium.evaluate("document.querySelector('#kinds input[value=missed]').click()")
    before = chromium.evaluate(STATUS)
    chromium.evaluate(
        "(() => { const s = document.getElementById('score'); s.value = 900;"
        " s.dispatchEvent(new Event('input')); })()"
    )
    chromium.wait_for("location.hash.includes('score=0.9')")
    assert chromium.evaluate(STATUS) != before
    chromium.evaluate("document.getElementById('best').click()")
    assert chromium.evaluate(STATUS) == before
    assert "missed" not in chromium.evaluate("decodeURIComponent(location.hash)")


@pytest.mark.parametrize("width, dark", [(1300, False), (390, True)])
def test_page_fits_and_loads_few_pictures_and_nothing_else(chromium, pages, tmp_path, width, dark):
    chromium.set_dark(dark)
    chromium.load(pages["two"] + "#kinds=correct+missed+background+ignored&score=0", width=width)
    assert chromium.evaluate("document.documentElement.scrollWidth") <= width
    count = "document.querySelectorAll('.frame-card img').length"
    assert chromium.evaluate("document.getElementById('frame-grid').childElementCount") >= 24
    chromium.evaluate("document.getElementById('browser').scrollIntoView()")
    chromium.wait_for(f"{count} >= 2")
    assert chromium.evaluate(count) < 80 / 2  # of twice 40 frames
    chromium.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 5000
    outside = [url for url in chromium.requests if not url.startswith(("data:", "file:", "about:"))]
    assert not outside and not chromium.messages


def test_real_detections_at_any_score(chromium, shared_dir, tmp_path):
    import zipfile

    golden = shared_dir / "golden/kitti_eval/rgb_detector_val/detections.zip"
    with zipfile.ZipFile(golden) as archive:
        names = [name for name in archive.namelist() if name.endswith(".txt")][:200]
        archive.extractall(tmp_path, names)
    with zipfile.ZipFile(shared_dir / "kitti_labels/label_2_all_7481.zip") as archive:
        inside = {name.rpartition("/")[2]: name for name in archive.namelist()}
        for name in names:
            text = archive.read(inside[name.rpartition("/")[2]])
            (tmp_path / ("label_" + name.rpartition("/")[2])).write_bytes(text)
    found: list[KittiObjects] = [read_objects(tmp_path / name, with_scores=True) for name in names]
    labels = [read_objects(tmp_path / ("label_" + n.rpartition("/")[2])) for n in names]
    url = write_page(tmp_path / "real.html", labels, found)
    for difficulty, score in (("moderate", 0.5), ("hard", 0.05), ("easy", 0.9)):
        scores = dict.fromkeys(CLASSES, score)
        chromium.load(f"{url}#difficulty={difficulty}&score={score}")
        counts = chromium.evaluate(COUNTS)
        assert re.match(r"\d+ of 200 frames", chromium.evaluate(STATUS))
        counts.pop("ignored")
        assert counts == expected_counts(labels, found, difficulty=difficulty, scores=scores)
