"""The benchmark of the input pipeline runs, counts and says what it found."""

import cv2
import numpy as np
import pytest

from mobilenetdet.cli.pipeline_benchmark import describe_limit, main, rate_bound
from mobilenetdet.kitti.layout import KittiLayout
from mobilenetdet.records.kitti_convert import convert_split

STAGES = {"read": 1.0, "record": 0.0, "decode": 5.0, "letterbox": 2.0, "augment": 2.0}


@pytest.fixture(scope="module")
def records_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    for name in ("training/image_2", "training/label_2", "ImageSets"):
        (folder / name).mkdir(parents=True)
    for index in range(5):
        image = np.full((40, 130, 3), 10 * index, np.uint8)
        cv2.imwrite(str(folder / f"training/image_2/{index:06d}.png"), image)
        line = "Car 0 0 -10 20 10 60 35 1 1 1 1 1 1 1\n"
        (folder / f"training/label_2/{index:06d}.txt").write_text(line)
    (folder / "ImageSets/train.txt").write_text("".join(f"{i:06d}\n" for i in range(5)))
    convert_split(KittiLayout(folder), "train", folder / "tfrecord")
    return folder / "tfrecord"


def test_it_prints_rates_stages_and_the_limit(records_dir, capsys):
    size = ["--image_height", "64", "--image_width", "192"]
    assert main(["--records_dir", str(records_dir), "--num_frames", "20", *size]) == 0
    printed = capsys.readouterr().out
    for word in ("64x192", *STAGES, "plain", "augmented", "What limits it"):
        assert word in printed
    rates = [float(row.split()[1]) for row in printed.splitlines() if row.endswith("%")]
    assert len(rates) == 2
    assert min(rates) > 0


def test_records_that_are_not_there_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="mobilenetdet tf_convert_data"):
        main(["--records_dir", str(tmp_path)])


@pytest.mark.parametrize(("augment", "expected"), [(False, 250.0), (True, 200.0)])
def test_the_bound_is_what_the_workers_could_do(augment, expected):
    assert rate_bound(STAGES, 2, augment=augment) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("share", "png_percent", "said", "not_said"),
    [
        (0.9, 0, ["decode, 5.0 of 10.0 ms"], ["Only", "PNG"]),
        (0.9, 100, ["100 % of the images are PNG", "--jpeg_quality 95"], ["Only"]),
        (0.9, 2, [], ["PNG"]),  # too few to matter
        (0.3, 0, ["Only 30%"], ["PNG"]),
    ],
)
def test_the_limit_is_named(share, png_percent, said, not_said):
    text = describe_limit(STAGES, share, png_percent)
    assert all(words in text for words in said)
    assert not any(words in text for words in not_said)
