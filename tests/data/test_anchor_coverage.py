"""Anchors and inputs that do not fit are said, with the command that mends them."""

import shlex
from dataclasses import replace

import numpy as np

from mobilenetdet.boxes.anchors import AnchorGrid
from mobilenetdet.boxes.geometry import pairwise_iou
from mobilenetdet.boxes.letterbox import Letterbox
from mobilenetdet.cli import fit_anchors
from mobilenetdet.cli.config_options import parse_level
from mobilenetdet.config.detection import LevelConfig
from mobilenetdet.data.anchor_coverage import describe_fit, fit_command
from mobilenetdet.records.detection_record import read_frames
from mobilenetdet.records.shards import shard_paths


def with_levels(config, *levels):
    return replace(config, model=replace(config.model, levels=levels))


def test_anchors_that_fit_are_not_spoken_of(small_config, own_classes_config):
    assert describe_fit(small_config) == []
    assert describe_fit(own_classes_config) == []


def count_uncovered(config, names):
    """Objects whose best anchor of the whole grid is below 0.5, by the full matrix."""
    anchors = AnchorGrid(config.image_size, config.model.anchor_levels).boxes_xyxy()
    flags = []
    for frame in read_frames(shard_paths(config.data.records_dir, "train")):
        own = frame.objects[np.isin(frame.objects.types, names)]
        letterbox = Letterbox.fit((frame.height, frame.width), config.image_size)
        boxes = letterbox.apply(own.boxes_xyxy).astype(np.float32)
        flags += list(np.asarray(pairwise_iou(boxes, anchors)).max(axis=1) < 0.5)
    return int(np.sum(flags)), len(flags)


def test_objects_without_anchor_are_counted_and_the_printed_command_mends_it(
    own_classes_config, tmp_path, capsys
):
    data = replace(own_classes_config.data, classes=("Truck", "Tram"))
    config = replace(own_classes_config, data=data)
    config = with_levels(config, LevelConfig(8, ((8.0, 60.0), (70.0, 42.0))))
    assert describe_fit(config) == []
    poor = with_levels(config, LevelConfig(8, ((8.0, 60.0), (30.0, 20.0))))
    (line,) = describe_fit(poor)
    uncovered, total = count_uncovered(poor, ["Truck", "Tram"])
    assert uncovered == total > 10
    assert line.startswith(
        f"{total} of {total} objects have no anchor of IoU 0.5 or more (Truck 100 %, Tram 100 %), "
    )
    command = line.splitlines()[1].strip()
    assert command == fit_command(poor)
    program, name, *words = shlex.split(command)
    assert (program, name) == ("mobilenetdet", "fit_anchors")
    fit_anchors.main(words)
    printed = capsys.readouterr().out
    option = next(line for line in printed.splitlines() if "--model.levels" in line)
    assert describe_fit(with_levels(poor, parse_level(option.split()[1]))) == []


def test_a_class_in_the_shadow_of_another_is_named(own_classes_config):
    data = replace(own_classes_config.data, classes=("Car", "Van", "Tram"))
    config = replace(own_classes_config, data=data)
    (line,) = describe_fit(with_levels(config, LevelConfig(8, ((44.0, 30.0),))))
    uncovered, total = count_uncovered(
        with_levels(config, LevelConfig(8, ((44.0, 30.0),))), ["Car", "Van", "Tram"]
    )
    assert line.startswith(f"{uncovered} of {total} objects") and "(Tram 100 %)" in line


def test_one_anchor_an_object_is_no_reason(small_config):
    matching = replace(small_config.matching, positive_iou=1.0, ignore_iou=1.0)
    assert describe_fit(replace(small_config, matching=matching)) == []


def test_objects_that_are_not_learnt_do_not_count(own_classes_config):
    poor = with_levels(own_classes_config, LevelConfig(8, ((8.0, 60.0),)))
    data = replace(poor.data, classes=("Car",), min_object_height=500.0)
    assert describe_fit(replace(poor, data=data)) == []


def test_an_input_that_stays_half_empty_is_said(small_config):
    data = replace(small_config.data, image_height=192, image_width=192)
    lines = describe_fit(replace(small_config, data=data))
    assert lines[-1] == (
        "8 of 8 pictures are 64x192 (height x width) and fill 33 % of the network input, 192x192; "
        "--data.image_height 64 --data.image_width 192 fits them better"
    )
