import numpy as np
import pytest

from mobilenetdet.config.classes import EvalTask
from mobilenetdet.evaluation.score_calibration import (
    Calibration,
    calibrate,
    fit_calibration,
    fit_platt,
    log_odds,
)
from mobilenetdet.kitti.average_precision import evaluate_detections
from mobilenetdet.kitti.labels import KittiObjects, parse_objects


def drawn(true: Calibration, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and hits as likely as a known calibration says."""
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.005, 0.99, count)
    return scores, rng.random(count) < calibrate(scores, true)


@pytest.mark.parametrize("true", [Calibration(), Calibration(2.0, 1.0), Calibration(0.5, -2.0)])
def test_a_known_calibration_is_found_again(true):
    found = fit_platt(*drawn(true, 40_000))
    assert found == pytest.approx(true, abs=0.08)


def test_half_means_as_many_hits_as_false_alarms():
    scores, is_hit = drawn(Calibration(1.5, -2.0), 40_000)
    assert is_hit[np.abs(scores - 0.5) < 0.05].mean() < 0.25
    mapped = calibrate(scores, fit_platt(scores, is_hit))
    for low in np.arange(0, 1, 0.1):
        inside = (mapped >= low) & (mapped < low + 0.1)
        assert is_hit[inside].mean() == pytest.approx(mapped[inside].mean(), abs=0.04)


@pytest.mark.parametrize("is_hit", [np.ones(30, bool), np.zeros(30, bool), np.zeros(0, bool)])
def test_only_hits_only_false_alarms_and_nothing_give_finite_lines(is_hit):
    scores = np.linspace(0, 1, len(is_hit))
    found = fit_platt(scores, is_hit)
    assert np.isfinite(found).all() and found.slope > 0
    assert len(is_hit) or found == Calibration()


def test_the_order_stays_even_where_high_scores_are_wrong():
    scores = np.linspace(0.01, 0.99, 200)
    for share in (0.5, 0.3, 0.1):
        is_hit = scores < share
        found = fit_platt(scores, is_hit)
        assert found.slope > 0
        assert (np.diff(calibrate(scores, found)) > 0).all()
        assert calibrate(scores, found).mean() == pytest.approx(is_hit.mean(), abs=0.03)


def test_log_odds_of_the_ends_are_finite():
    assert np.isfinite(log_odds(np.array([0.0, 1.0]))).all()
    assert calibrate(np.array([0.5]), Calibration(1.0, 1.0)) == pytest.approx(0.731, abs=1e-3)


CAR = "Car 0.00 0 -1.50 {x}.00 150.00 {y}.00 200.00 1.50 1.60 3.90 1.00 1.50 20.00 -1.50"


def frames() -> tuple[list[KittiObjects], list[KittiObjects]]:
    """Eight cars with sure detections, beside each a false alarm that is less sure."""
    labels, found = [], []
    for index in range(8):
        left = 100 + index
        car = CAR.format(x=left, y=left + 90)
        wrong = CAR.format(x=500, y=600)
        labels.append(parse_objects(car, "labels"))
        text = f"{car} {0.30 + index / 100}\n{wrong} {0.05 + index / 100}\n"
        found.append(parse_objects(text, "found", with_scores=True))
    return labels, found


def test_of_detections_the_hits_rise_above_half_and_ap_stays():
    labels, found = frames()
    car, tram = fit_calibration(labels, found, EvalTask.of(("Car", "Tram")))
    assert tram == Calibration()
    mapped = [
        KittiObjects(**(vars(frame) | {"scores": calibrate(frame.scores, car)})) for frame in found
    ]
    assert all(frame.scores[0] > 0.5 > frame.scores[1] for frame in mapped)
    before, after = (evaluate_detections(labels, frames_) for frames_ in (found, mapped))
    assert before["Car"].moderate == after["Car"].moderate


def test_of_two_on_one_object_the_surest_is_right():
    """The protocol gives the hit to the one that overlaps most, which is nearly never sure."""
    labels, found = frames()
    for index in range(len(found)):
        left = 100 + index
        sure = CAR.format(x=left, y=left + 80)  # IoU 8 / 9
        exact = CAR.format(x=left, y=left + 90)
        text = f"{sure} {0.80 + index / 100}\n{exact} {0.02 + index / 1000}\n"
        found[index] = parse_objects(text, "found", with_scores=True)
    (line,) = fit_calibration(labels, found, EvalTask.of(("Car",)))
    scores = np.concatenate([frame.scores for frame in found]).reshape(-1, 2)
    assert (calibrate(scores[:, 0], line) > 0.5).all()
    assert (calibrate(scores[:, 1], line) < 0.5).all()


def test_no_frame_leaves_the_scores_alone():
    assert fit_calibration([], [], EvalTask.of(("Car",))) == (Calibration(),)
