from pathlib import Path

import cv2
import pytest

from mobilenetdet.cli import plot_metrics


def test_history_is_drawn_with_epochs_that_have_no_ap(tmp_path: Path):
    (tmp_path / "metrics.csv").write_text(
        "epoch,loss,box_loss,learning_rate,val/Car/moderate/R40,val/mean/moderate/R40\n"
        "1,9.0,3.0,0.001,,\n"
        "2,4.0,1.0,0.0005,55.0,30.0\n"
    )
    assert plot_metrics.main(["--run_dir", str(tmp_path)]) == 0
    picture = cv2.imread(str(tmp_path / "metrics.png"))
    assert picture.shape[1] > 2 * picture.shape[0]
    assert picture.std() > 5  # lines on white
    assert not [p for p in tmp_path.iterdir() if "tmp" in p.name]


def test_run_before_its_first_epoch_is_named(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="metrics.csv"):
        plot_metrics.main(["--run_dir", str(tmp_path)])
