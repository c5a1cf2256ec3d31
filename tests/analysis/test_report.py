import base64
import re
from html.parser import HTMLParser

import cv2
import numpy as np

from mobilenetdet.analysis.analyse import analyse
from mobilenetdet.analysis.frame_browser import BrowsedRun
from mobilenetdet.analysis.report import write_report
from mobilenetdet.kitti.average_precision import precision_recall, summarise_curves
from mobilenetdet.kitti.labels import KittiObjects


class Page(HTMLParser):
    """Rows of tables, sources of images, and whether every element is closed."""

    VOID = ("img", "meta", "link", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.sources, self.rows = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag == "img":
            self.sources.append(dict(attrs)["src"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1].append(data)


def write(two_frames, path, **options):
    write_report(path, analyse(*two_frames), title="Run <7>", facts={"split": "val"}, **options)
    return path.read_text(encoding="utf-8")


def test_report_is_one_whole_file(two_frames, tmp_path):
    image = np.full((40, 60, 3), (200, 30, 30), np.uint8)
    text = write(two_frames, tmp_path / "r.html", pictures=[("000007: 2 errors", image)])
    page = Page(text)
    assert page.open == []
    assert len(page.sources) == 5  # four plots and a frame
    assert all(source.startswith("data:image/") for source in page.sources)
    assert not re.search(r"(src|href)=\"(?!data:)", text)  # nothing is fetched
    assert "Run &lt;7&gt;" in text and "split: val" in text and "000007: 2 errors" in text
    encoded = page.sources[-1].partition(",")[2]
    frame = cv2.imdecode(np.frombuffer(base64.b64decode(encoded), np.uint8), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_allclose(frame.mean((0, 1)), (200, 30, 30), atol=3)
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]


def test_tables_hold_ap_and_errors(two_frames, tmp_path):
    rows = {row[0]: row[1:] for row in Page(write(two_frames, tmp_path / "r.html")).rows}
    assert rows["Car"] == ["2.50"] * 3 + ["9.09"] * 3
    assert rows["mean"][0] == "0.83"
    # Score, correct, localisation, classification, background, repeated, missed.
    assert rows["Car, easy"][1] == "2 · 100.0 %"
    assert rows["Pedestrian, moderate"][4].startswith("1 · 100.0 % (+")
    assert rows["Pedestrian, moderate"][6].startswith("1 · 100.0 % (+")
    assert len(rows) == 2 + 4 + 9  # both headings, classes and mean, errors by level


def test_report_without_pictures_says_so(two_frames, tmp_path):
    assert "no image was given" in write(two_frames, tmp_path / "r.html")


def test_the_ap_of_another_detector_stands_below(two_frames, tmp_path):
    labels, detections = two_frames
    perfect, worse = (
        analyse(labels, detections),
        [detections[0], KittiObjects.empty(with_scores=True)],
    )
    curves = precision_recall(labels, worse)
    ap = summarise_curves(curves, protocol="current", num_frames=2)
    other = BrowsedRun("runs/<b>", worse, {}, ap)
    write_report(tmp_path / "r.html", perfect, title="a", facts={}, beside=[other])
    rows = Page((tmp_path / "r.html").read_text(encoding="utf-8")).rows
    below = rows[next(i for i, row in enumerate(rows) if row[0] == "runs/<b>") :]
    # One object of the two: R40 sees none of the 40 recalls above 0, R11 the one at 0.
    assert below[0][1:4] == ["R40 easy", "R40 moderate", "R40 hard"]
    assert below[1] == ["Car", *["0.00 (-2.50)"] * 3, *["9.09 (+0.00)"] * 3]
    assert below[4][0] == "mean"
