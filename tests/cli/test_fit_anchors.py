import re
import zipfile

import cv2
import numpy as np
import pytest

from mobilenetdet.cli.config_options import parse_level, parse_with_config
from mobilenetdet.cli.fit_anchors import class_weights, main
from mobilenetdet.cli.train import Options
from mobilenetdet.config.presets import PRESETS, make_preset
from mobilenetdet.config.storage import read_changes, with_changes

LABEL = "{} 0 0 -10 {} {} {} {} -1 -1 -1 -1000 -1000 -1000 -10\n"


@pytest.fixture
def label_dir(tmp_path):
    """Cars of about 60x30 and Cyclists of about 20x50, one with no height, and a Tram."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "label_2"
    folder.mkdir()
    for index in range(40):
        width, height = rng.normal((60, 30), 2)
        left, top = rng.uniform(0, (1000, 200))
        text = LABEL.format("Car", left, top, left + width, top + height)
        text += LABEL.format("Cyclist", left, top, left + height * 2 / 3, top + 50)
        text += LABEL.format("Tram", 0, 0, 900, 300)
        (folder / f"{index:06d}.txt").write_text(text)
    (folder / "000040.txt").write_text(LABEL.format("Car", 10, 10, 50, 10))
    return folder


def of_folder(label_dir):
    return ["--label_dir", str(label_dir), "--classes", "Car", "Cyclist"]


def printed_shapes(text):
    """The anchors of all levels in the options for the train command."""
    words = re.search(r"--model.levels ((?:\d+:[\d.x,]+ ?)+)", text).group(1).split()
    return [shape for word in words for shape in parse_level(word).anchors]


def test_shapes_coverage_and_options_are_printed(label_dir, tmp_path, capsys):
    picture = tmp_path / "shapes.png"
    arguments = [*of_folder(label_dir), "--num_shapes", "2", "--plot", str(picture)]
    assert main(arguments) == 0
    output = capsys.readouterr().out
    assert output.startswith(
        "80 objects at 384x1248 (height x width); without an anchor of IoU 0.5 or more:"
    )
    assert re.search(r"^  Car +0\.0 % +- +0\.0 %", output, re.MULTILINE)
    shapes = np.array(printed_shapes(output))
    # 1242x375 is enlarged by 1.0048.
    np.testing.assert_allclose(shapes, [[20, 50.2], [60.3, 30.1]], rtol=0.04)
    assert cv2.imread(str(picture)).std() > 5


def parsed_config(preset, line):
    config = make_preset(preset)
    options = parse_with_config(
        Options, line.split(), config, lambda config: Options(config=config), presets=PRESETS
    )
    return options.config


def test_the_printed_options_train(label_dir, capsys):
    main([*of_folder(label_dir), "--num_shapes", "3", "--strides", "16"])
    line = next(x for x in capsys.readouterr().out.splitlines() if "--model.levels 16:" in x)
    (level,) = parsed_config("squeezedet", line).model.levels
    assert level.stride == 16 and len(level.anchors) == 3
    main([*of_folder(label_dir), "--num_shapes", "2", "3", "--strides", "8", "16"])
    line = next(x for x in capsys.readouterr().out.splitlines() if "--model.levels 8:" in x)
    # From either head: several levels come with the option for SSD's.
    for preset in ("ssd_fpn", "squeezedet"):
        levels = parsed_config(preset, line).model.levels
        assert [(level.stride, len(level.anchors)) for level in levels] == [(8, 2), (16, 3)]


def test_small_shapes_go_to_the_fine_map(label_dir, capsys):
    arguments = [*of_folder(label_dir), "--strides", "8", "16", "--num_shapes", "1", "2"]
    main(arguments)
    output = capsys.readouterr().out
    shapes = np.array(printed_shapes(output))
    assert shapes[0].prod() <= shapes[1:].prod(1).min()
    assert "levels=(LevelConfig(8, ((" in output and " LevelConfig(16, ((" in output


def test_records_are_read_with_their_own_sizes(small_kitti, capsys):
    arguments = ["--records_dir", str(small_kitti / "tfrecord"), "--num_shapes", "2"]
    arguments += ["--classes", "Car", "Pedestrian"]
    main([*arguments, "--image_width", "192", "--image_height", "64"])
    output = capsys.readouterr().out
    shapes = np.array(printed_shapes(output))
    assert shapes.tolist() == [[14, 34], [44, 30]]


def test_the_input_is_that_of_the_pictures_in_records(small_kitti, capsys):
    arguments = ["--records_dir", str(small_kitti / "tfrecord"), "--num_shapes", "2"]
    main([*arguments, "--classes", "Car", "Pedestrian"])
    assert "objects at 64x192 (height x width)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("preset", "maps"),
    [
        ("ssd_fpn_050", ["--strides", "8", "16", "--num_shapes", "1", "1"]),
        ("squeezedet", ["--strides", "8", "16", "--num_shapes", "1", "1"]),
        ("squeezedet", ["--num_shapes", "2"]),
    ],
)
def test_what_is_fitted_trains_as_a_config_file(small_kitti, tmp_path, capsys, preset, maps):
    records, path = small_kitti / "tfrecord", tmp_path / "mine.json"
    arguments = ["--records_dir", str(records), "--class_map", "Cyclist", "Rider", *maps]
    arguments += ["--classes", "Car", "Rider", "--save_config", str(path)]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert f"{path}: for mobilenetdet train --config {path}" in printed
    base = make_preset(preset)
    config = with_changes(base, read_changes(path), str(path))
    assert config.data.classes == ("Car", "Rider") and config.image_size == (64, 192)
    assert config.data.records_dir == str(records)
    assert config.data.class_task().class_of_type["cyclist"] == "Rider"
    shapes = [shape for level in config.model.levels for shape in level.anchors]
    assert shapes == printed_shapes(printed)
    assert config.head == base.head or preset == "squeezedet"
    main(arguments)  # its own file
    path.write_text("{}")
    with pytest.raises(FileExistsError, match=r"mine\.json is there, and not as this program"):
        main(arguments)


def test_own_classes_and_mapped_types(label_dir, capsys):
    options = ["--label_dir", str(label_dir), "--num_shapes", "2", "--classes", "Rider", "Tram"]
    assert main([*options, "--class_map", "Cyclist", "Rider"]) == 0
    output = capsys.readouterr().out
    assert output.startswith("80 objects") and re.search(r"^  Rider +", output, re.MULTILINE)
    with pytest.raises(ValueError, match="of class Rider. There are: Car 41, Cyclist 40, Tram 40"):
        main(options)


def test_balance_weighs_the_classes():
    types = np.array(["Car"] * 16 + ["Cyclist"] * 4)
    assert set(class_weights(types, 0.0)) == {1.0}
    even = class_weights(types, 1.0)
    assert even[:16].sum() == pytest.approx(even[16:].sum())
    half = class_weights(types, 0.5)
    assert half[:16].sum() == pytest.approx(4) and half[16:].sum() == pytest.approx(2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--strides", "8", "16"], "2 strides and 1 numbers of shapes"),
        (["--split", "val"], "--split val is a split of records"),
        (["--image_width", "640"], "give both --image_width and --image_height"),
        (["--num_shapes", "0"], "num_shapes is"),
        (["--balance", "2"], "balance is 2.0; it must be between 0 and 1"),
        (["--min_iou", "nan"], "min_iou is nan; it must be between 0 and 1"),
    ],
)
def test_options_are_checked(arguments, message, capsys):
    with pytest.raises(SystemExit):
        main(arguments)
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())


@pytest.mark.slow
def test_kittis_labels_are_covered(shared_dir, tmp_path, capsys):
    with zipfile.ZipFile(shared_dir / "kitti_labels/label_2_all_7481.zip") as archive:
        archive.extractall(tmp_path)
    main(["--label_dir", str(tmp_path / "label_2")])
    fitted = capsys.readouterr().out.split("fitted")[1]
    for name, most in (("Car", 2), ("Pedestrian", 10), ("Cyclist", 12)):
        assert float(re.search(rf"  {name} +([\d.]+) %", fitted).group(1)) <= most
