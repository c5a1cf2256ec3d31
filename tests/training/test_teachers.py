"""Learning from other detectors: what it asks for, and a run that does it."""

import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest
from fixtures.training import arrays_of, rows_of
from keras import ops

from mobilenetdet.config.storage import read_config, with_changes
from mobilenetdet.models.detector import build_detector
from mobilenetdet.models.losses import score_divergence
from mobilenetdet.training.claim import claim_run_dir
from mobilenetdet.training.teachers import (
    SoftTargets,
    Teachers,
    distillation_loss,
    load_teachers,
)
from mobilenetdet.training.train import train


def random_targets(seed, *, batch=2, classes=3, anchors=40):
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0.01, 0.99, (batch, classes, anchors)).astype(np.float32)
    return SoftTargets(scores, rng.normal(size=(batch, anchors, 4)).astype(np.float32))


def loss_of(scores, deltas, targets):
    return float(distillation_loss(score_divergence(scores, targets.scores), deltas, targets))


# === The loss ===


def test_it_is_nothing_for_who_knows_what_the_teachers_know_and_more_for_others():
    targets = random_targets(0)
    assert loss_of(targets.scores, targets.deltas, targets) == pytest.approx(0, abs=1e-6)
    other = random_targets(1)
    assert loss_of(other.scores, targets.deltas, targets) > 0.1
    assert loss_of(targets.scores, other.deltas, targets) > 0.1


def test_the_scores_part_is_keras_divergence_of_two_coins_a_class():
    targets, found = random_targets(2), random_targets(3)
    coins = [np.stack([t.scores, 1 - t.scores], axis=-1) for t in (targets, found)]
    divergence = keras.losses.KLDivergence(reduction="sum")(*coins)
    expected = float(divergence) / targets.scores.max(axis=1).sum()
    loss = loss_of(found.scores, targets.deltas, targets)
    assert loss == pytest.approx(expected, rel=1e-4)


def test_boxes_count_where_the_teachers_see_an_object():
    targets = random_targets(4)
    sees = np.arange(40) < 5
    scores = np.where(sees, 0.8, 0.05).astype(np.float32) * np.ones((2, 3, 1), np.float32)
    targets = SoftTargets(scores, targets.deltas)
    moved = [
        np.where(where[:, None], targets.deltas + 1, targets.deltas) for where in (sees, ~sees)
    ]
    losses = [loss_of(scores, deltas, targets) for deltas in moved]
    # Smooth L1 of a difference of 1 is 1 - 1/18 for each of four deltas, and boxes weigh 2.
    assert losses == pytest.approx([2 * 4 * (1 - 1 / 18), 0], abs=1e-5)


def test_an_image_in_which_the_teachers_see_nothing_teaches_background():
    targets = SoftTargets(np.zeros((1, 3, 8), np.float32), np.zeros((1, 8, 4), np.float32))
    scores = np.full((1, 3, 8), 0.5, np.float32)
    loss = loss_of(scores, targets.deltas + 9, targets)
    assert loss == pytest.approx(3 * 8 * np.log(2), rel=1e-3)


# === The teachers ===


@pytest.fixture(scope="module")
def two_detectors(small_config):
    return [build_detector(small_config, seed=seed)[0] for seed in (0, 1)]


def test_teachers_give_the_mean_of_one_s_predictions_and_the_other_s_in_the_mirror(
    small_config, two_detectors
):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, *small_config.image_size, 3)).astype(np.uint8)
    found = Teachers(two_detectors, [3, 1]).predict(images)
    first, second = two_detectors
    seen, mirrored = first(images), second(images[:, :, ::-1])
    order = ops.convert_to_numpy(first.anchor_grid.mirror_order())
    scores = [
        ops.convert_to_numpy(first.head.scores(seen)),
        ops.convert_to_numpy(second.head.scores(mirrored))[:, :, order],
    ]
    np.testing.assert_allclose(found.scores, 0.75 * scores[0] + 0.25 * scores[1], atol=1e-6)
    deltas = ops.convert_to_numpy(mirrored["deltas"])[:, order] * [-1, 1, 1, 1]
    expected = 0.75 * ops.convert_to_numpy(seen["deltas"]) + 0.25 * deltas
    np.testing.assert_allclose(found.deltas, expected, atol=1e-5)


def test_teachers_without_shares_are_all_alike(small_config, two_detectors):
    images = np.full((1, *small_config.image_size, 3), 90, np.uint8)
    found = [Teachers(two_detectors, shares).predict(images) for shares in ((), (2.0, 2.0))]
    np.testing.assert_array_equal(found[0].scores, found[1].scores)
    huge = Teachers(two_detectors, [1e308, 1e308]).predict(images)  # their sum is infinite
    np.testing.assert_array_equal(huge.scores, found[0].scores)
    alone = Teachers(two_detectors[:1]).predict(images)
    expected = two_detectors[0].head.scores(two_detectors[0](images))
    np.testing.assert_allclose(alone.scores, expected, atol=1e-6)


# === The run ===


@pytest.fixture(scope="module")
def teacher(small_config, tmp_path_factory):
    """A run of three epochs."""
    folder = tmp_path_factory.mktemp("teacher") / "teacher"
    train(with_changes(small_config, {"train.epochs": 3}), folder, verbose=0)
    return folder


@pytest.fixture(scope="module")
def learner_config(small_config, teacher):
    """A run from other initial weights that learns from the teacher alone."""
    changes = {
        "train.teachers": [str(teacher)],
        "train.teacher_weight": 1.0,
        "train.seed": 1,
        "train.epochs": 2,
    }
    return with_changes(small_config, changes)


@pytest.fixture(scope="module")
def learnt(straight_and_resumed, learner_config):
    return straight_and_resumed(train, learner_config)


def test_a_run_comes_nearer_to_its_teacher(learnt, learner_config):
    losses = [float(row["teacher_loss"]) for row in rows_of(learnt["straight"])]
    assert 0 < losses[1] < losses[0]
    # The labels are looked at, and weigh nothing.
    rows = rows_of(learnt["straight"])
    assert {float(row[name]) for row in rows for name in row if name == "box_loss"} == {0}
    assert [float(row["loss"]) for row in rows] == pytest.approx(losses, rel=1e-5)


def test_an_interrupted_run_ends_like_a_straight_one(learnt):
    runs = [learnt["straight"], learnt["resumed"]]
    assert rows_of(runs[0]) == rows_of(runs[1])
    one, other = (arrays_of(run / "last.weights.h5") for run in runs)
    assert one.keys() == other.keys() and one
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_weight_files_and_checkpoints_hold_no_teacher(learnt, teacher):
    for name in ("best.weights.h5", "last.weights.h5"):
        assert arrays_of(learnt["straight"] / name).keys() == arrays_of(teacher / name).keys()
    states = [np.load(run / "checkpoint.npz") for run in (learnt["straight"], teacher)]
    assert set(states[0].files) == set(states[1].files)


def test_labels_and_teacher_share_the_loss(small_config, teacher, pack_targets):
    changes = {"train.teachers": [str(teacher)], "train.teacher_weight": 0.25}
    images = np.full((1, *small_config.image_size, 3), 90, np.uint8)
    y = pack_targets([[(0, 1, 2, (4, 4, 30, 24))]], 8)
    detectors = [
        build_detector(config, seed=5)[0]
        for config in (small_config, with_changes(small_config, changes))
    ]

    class Constant:
        def loss(self, images, head, predictions):
            assert images.shape[0] == head.scores(predictions).shape[0] == 1
            return ops.convert_to_tensor(8.0)

    detectors[1].teacher = Constant()
    labels, both = (float(d.compute_loss(x=images, y=y, y_pred=d(images))) for d in detectors)
    assert both == pytest.approx(0.75 * labels + 0.25 * 8.0, rel=1e-5)
    assert float(detectors[1].get_metrics_result()["teacher_loss"]) == pytest.approx(2.0)


def test_a_teacher_may_be_of_another_width_head_and_input_size(learner_config):
    changes = {"model.alpha": 0.5, "head": {"kind": "ssd"}, "data.image_height": 32}
    config = with_changes(learner_config, changes)
    student, _ = build_detector(config)
    student.teacher = load_teachers(config)
    images = np.full((1, *config.image_size, 3), 90, np.uint8)
    predictions = student(images)
    found = student.teacher.predict(images)
    assert found.scores.shape == student.head.scores(predictions).shape
    assert found.deltas.shape == predictions["deltas"].shape
    assert float(student.compute_loss(x=images, y={}, y_pred=predictions)) > 0


# === What is refused ===


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.classes": ["Car", "Pedestrian"]}, "has another data.classes than the detector"),
        (
            {"model.levels": [{"stride": 8, "anchors": [[30.0, 30.0]]}]},
            "has another model.levels than the detector",
        ),
        ({"train.teachers": ["no/such/run"]}, "train.teachers: no/such/run"),
    ],
)
def test_a_teacher_that_does_not_fit_stops_before_the_run_begins(
    learner_config, tmp_path, changes, message
):
    config = with_changes(learner_config, changes)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        train(config, tmp_path / "run", verbose=0)
    assert not (tmp_path / "run").exists()


def test_shares_go_with_teachers(learner_config):
    rule = "train.teacher_shares is .*; it must be empty, or one for each of the 1 train.teachers"
    with pytest.raises(ValueError, match=rule):
        with_changes(learner_config, {"train.teacher_shares": [1.0, 2.0]})


def test_a_weight_goes_with_teachers_and_these_have_names(small_config):
    with pytest.raises(ValueError, match="train.teacher_weight is 0.5; it must be 1 without train"):
        with_changes(small_config, {"train.teacher_weight": 0.5})
    with pytest.raises(ValueError, match="train.teachers.0 is ''; it must be not empty"):
        with_changes(small_config, {"train.teachers": [""]})


def test_a_resumed_run_refuses_a_teacher_with_other_weights(
    learnt, learner_config, teacher, tmp_path
):
    run, other = tmp_path / "run", tmp_path / "teacher"
    shutil.copytree(learnt["straight"], run)
    shutil.copytree(teacher, other)
    moved = with_changes(learner_config, {"train.teachers": [str(other)], "train.epochs": 3})
    (other / "best.weights.h5").write_bytes((learnt["straight"] / "best.weights.h5").read_bytes())
    with pytest.raises(ValueError, match=r"belongs to other train.teachers \(number 1: "):
        train(moved, run, verbose=0)
    without = with_changes(moved, {"train.teachers": []})
    with pytest.raises(
        ValueError, match=r"depends on:\n  train.teachers: \('.*',\) there, \(\) now"
    ):
        train(without, run, verbose=0)
    (other / "best.weights.h5").write_bytes((teacher / "best.weights.h5").read_bytes())
    train(moved, run, verbose=0)
    assert len(rows_of(run)) == 3
    # A run that is at its end needs its teachers no more.
    shutil.rmtree(other)
    train(moved, run, verbose=0)
    misspelt = with_changes(moved, {"train.teachers": [str(tmp_path / "techer")]})
    for config in (misspelt, with_changes(moved, {"train.epochs": 4})):
        with pytest.raises(FileNotFoundError, match="train.teachers: .*te?a?cher"):
            train(config, run, verbose=0)
    assert read_config(run / "config.json") == moved


def test_a_run_from_labels_takes_no_teacher_when_it_goes_on(small_config, teacher, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(teacher, run)
    changes = {"train.epochs": 4, "train.teachers": [str(teacher)]}
    with pytest.raises(
        ValueError, match=r"depends on:\n  train.teachers: \(\) there, \('.*',\) now"
    ):
        train(with_changes(small_config, changes), run, verbose=0)


def test_a_run_is_not_its_own_teacher(small_config, teacher):
    changes = {"train.epochs": 4, "train.teachers": [str(teacher)]}
    with pytest.raises(ValueError, match=r"depends on:\n  train.teachers"):
        train(with_changes(small_config, changes), teacher, verbose=0)


def test_a_second_teacher_needs_anchors_with_a_mirror_image(small_config, tmp_path):
    """The map of stride 128 has none at widths that are multiples of 32 alone."""
    levels = [{"stride": stride, "anchors": [[30.0, 30.0]]} for stride in (64, 128)]
    changes = {"model.levels": levels, "head": {"kind": "ssd"}, "data.image_width": 320}
    config = with_changes(small_config, {**changes, "train.epochs": 1})
    teacher = tmp_path / "teacher"
    claim_run_dir(config, teacher)
    build_detector(config, seed=0)[0].save_weights(teacher / "best.weights.h5")
    alone = with_changes(config, {"train.teachers": [str(teacher)]})
    assert load_teachers(alone) is not None
    rule = r"looks at mirror images.*multiple of 128, or name one teacher$"
    with pytest.raises(ValueError, match=rule):
        load_teachers(with_changes(config, {"train.teachers": [str(teacher)] * 2}))


def test_what_is_not_used_beside_teachers_is_said(learner_config):
    assert "the teachers alone are learnt" in " ".join(learner_config.train.notes())
    both = with_changes(learner_config, {"train.teacher_weight": 0.5})
    assert both.train.notes() == []


def test_a_detector_that_has_learnt_has_a_loss_without_its_teachers(learner_config, pack_targets):
    detector, _ = build_detector(learner_config)
    images = np.full((1, *learner_config.image_size, 3), 90, np.uint8)
    y = pack_targets([[(0, 1, 2, (4, 4, 30, 24))]], 8)
    assert float(detector.compute_loss(x=images, y=y, y_pred=detector(images))) > 0
    assert float(detector.get_metrics_result()["teacher_loss"]) == 0


def test_a_config_to_give_away_names_the_teacher_alone(learner_config, teacher, tmp_path):
    assert read_config(teacher / "config.json").train.teachers == ()
    shared = learner_config.for_sharing()
    assert shared.train.teachers == ("teacher",) and str(teacher) not in str(shared)
    assert replace(shared.train, teachers=learner_config.train.teachers) == learner_config.train
