"""The benchmark of the input pipeline runs, counts and says what it found."""

import cv2
import numpy as np
import pytest

from mobilenetdet.cli.pipeline_benchmark import main
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
