from pathlib import Path

import cv2
import pytest

from mobilenetdet.cli import plot_metrics
from mobilenetdet.drawing import history_plots


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


def write_run(folder: Path, rows: str) -> Path:
    folder.mkdir()
    (folder / "metrics.csv").write_text(rows)
    return folder


def test_runs_are_compared(tmp_path: Path):
    heading = "epoch,accuracy,loss,learning_rate,val/top1,val/top5\n"
    runs = [
        write_run(tmp_path / name, heading + f"1,0.2,2.1,0.1,30.0,80.0\n2,0.4,{loss},0.1,50,90\n")
        for name, loss in (("sgd", 1.9), ("yellowfin", 0.4))
    ]
    arguments = ["--run_dir", *map(str, runs)]
    assert plot_metrics.main(arguments) == 0
    both = cv2.imread(str(runs[0] / "comparison.png"))
    (runs[1] / "metrics.csv").write_text((runs[0] / "metrics.csv").read_text())
    plot_metrics.main([*arguments, "--output", str(tmp_path / "same.png")])
    assert (both != cv2.imread(str(tmp_path / "same.png"))).any()


def test_detectors_and_classifiers_are_not_compared(tmp_path: Path):
    detector = write_run(tmp_path / "a", "epoch,loss,val/mean/moderate/R40\n1,2.0,30.0\n")
    classifier = write_run(tmp_path / "b", "epoch,accuracy,loss,val/top1\n1,0.2,2.0,30.0\n")
    with pytest.raises(ValueError, match="/a, .*/b are detectors and classifiers"):
        plot_metrics.main(["--run_dir", str(detector), str(classifier)])


def test_classes_are_read_off_the_columns(tmp_path: Path, monkeypatch):
    columns = [f"val/{name}/moderate/R40" for name in ("Van", "Tram", "mean")]
    (tmp_path / "metrics.csv").write_text(
        f"epoch,loss,learning_rate,{','.join(columns)}\n1,9.0,0.1,,,\n2,4.0,0.1,5.0,6.0,5.5\n"
    )
    drawn = []
    monkeypatch.setattr(history_plots, "write_figure", lambda figure, path: drawn.append(figure))
    history_plots.plot_history(tmp_path / "metrics.csv", tmp_path / "metrics.png")
    legend = drawn[0].axes[1].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["Van", "Tram", "mean"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ":2: epoch is None"),
        ("epoch,loss\n", ":2: epoch is None"),
        ("epoch,loss\n1,0.5\n2\n", ":3: loss is None"),
        ("epoch,loss\n1,0.5\nx,0.4\n", ":3: epoch is 'x'"),
        ("<html>\n404\n", ":2: epoch is None"),
    ],
)
def test_a_damaged_history_is_named_with_its_line(tmp_path: Path, text: str, words: str):
    path = tmp_path / "metrics.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"metrics.csv{words}, no number; copy the file again"):
        history_plots.plot_history(path, tmp_path / "metrics.png")


def test_legends_cover_no_curve(tmp_path: Path, monkeypatch):
    figures = []
    monkeypatch.setattr(history_plots, "write_figure", lambda figure, _: figures.append(figure))
    histories = (
        "epoch,loss,box_loss,class_loss,learning_rate,val/Car/moderate/R40,val/mean/moderate/R40\n"
        "1,9.0,3.0,6.0,0.001,95.0,95.0\n",
        "epoch,accuracy,loss,learning_rate,val/top1,val/top5\n1,0.2,2.1,0.1,5.0,8.0\n",
    )
    for number, history in enumerate(histories):
        run = write_run(tmp_path / str(number), history)
        history_plots.plot_history(run / "metrics.csv", run / "metrics.png")
    legends = 0
    for figure in figures:
        figure.draw_without_rendering()
        for axes in figure.axes:
            if (legend := axes.get_legend()) is not None:
                legends += 1
                assert legend.get_window_extent().y0 >= axes.get_window_extent().y1
    assert legends == 4
