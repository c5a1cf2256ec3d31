"""Options by the names that other programs have for them."""

import pytest

from mobilenetdet.cli import (
    export_labels,
    fit_anchors,
    import_labels,
    kitti_split,
    kitti_submission,
    predict,
    tf_convert_data,
    train,
    train_classifier,
)
from mobilenetdet.cli.commands import COMMANDS, command_module
from mobilenetdet.cli.foreign_options import refuse_foreign_options
from mobilenetdet.cli.train import Options


@pytest.mark.parametrize(
    ("command", "option", "ours"),
    [
        (predict, "--conf 0.25", "--score"),
        (predict, "--conf-thres=0.25", "--score"),
        (
            predict,
            "--iou 0.5 --postprocess.suppression.kind greedy",
            "--postprocess.suppression.max_iou",
        ),
        (predict, "--source photo.jpg", "the files, without any option"),
        (predict, "--project out", "--output_dir"),
        (predict, "--imgsz 640", "--image_size"),
        (train, "--img 640", "--data.image_height and --data.image_width"),
        (train, "--epochs 3", "--train.epochs"),
        (train, "--batch-size 3", "--train.batch_size"),
        (train, "--lr 0.1", "--train.learning_rate"),
        (train, "--weights yolo.pt", "--model.detector_weights"),
        (train, "--resume", "the same command again"),
        (train, "--data kitti.yaml", "--data.records_dir"),
        (train_classifier, "--num_epochs 3", "--train.epochs"),
        (tf_convert_data, "--data data", "--dataset_root"),
        (tf_convert_data, "--missing_labels_are_empty", "--unlabelled negative"),
        (
            tf_convert_data,
            "--skip_missing",
            "--unlabelled skip (no label) and --skip_missing_images",
        ),
        (tf_convert_data, "--workers 3", "--num_workers"),
        (tf_convert_data, "--kitti_root data", "--dataset_root"),
        (kitti_split, "--dataset_root data", "--kitti_root"),
        (kitti_submission, "--dataset_root data", "--kitti_root"),
        (import_labels, "--skip_missing", "--skip_missing_images"),
        (export_labels, "--copy", "--image_files copy"),
    ],
)
def test_ours_is_named(command, option, ours):
    name = option.partition(" ")[0].partition("=")[0].replace("-", "_").lstrip("_")
    with pytest.raises(ValueError) as error:
        command.main(option.split())
    assert str(error.value).startswith(f"there is no option --{name}; here it is {ours}")


@pytest.mark.parametrize("command", [predict, train])
def test_a_decay_is_not_taken_for_an_overlap(command):
    greedy = "--postprocess.suppression.kind greedy --postprocess.suppression.max_iou 0.5"
    for option in ("--iou", "--nms-threshold"):
        with pytest.raises(ValueError, match=f"soft here, which has no IoU limit; .*{greedy}"):
            command.main([option, "0.5"])


def test_weights_are_no_exported_file():
    with pytest.raises(ValueError, match="best.h5 is of no format that is exported.*--weights"):
        predict.main(["photo.jpg", "--model", "best.h5"])


def test_own_options_and_unknown_ones_are_left_alone():
    own = ["--train.epochs", "3", "--preset=x", "--config", "a.yaml", "--nothing", "epochs", "-h"]
    refuse_foreign_options(own, Options)
    refuse_foreign_options(["--epochs", "3"], train_classifier.Options)
    refuse_foreign_options(["--weights", "a.h5", "--score", "0.3"], predict.Options)
    refuse_foreign_options(["--conf", "0.3"], fit_anchors.Options)  # nothing of the kind is there


def test_the_examples_of_the_help_are_not_refused():
    import importlib

    for name, command in COMMANDS.items():
        options = importlib.import_module(command_module(name)).Options
        for words, _ in command.examples:
            refuse_foreign_options(words.split(), options)
