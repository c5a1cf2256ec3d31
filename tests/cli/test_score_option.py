"""From which score on detections are drawn, counted and written."""

from dataclasses import replace

import pytest

from mobilenetdet.cli.score_option import describe_scores, with_score
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.runs import open_run

PLAIN = DetectionConfig()
BEST = {"Car": 0.43, "Pedestrian": 0.33, "Cyclist": 0.22}
MEASURED = replace(PLAIN, eval=replace(PLAIN.eval, best_f1_scores=BEST))


@pytest.mark.parametrize(
    ("config", "score", "argv", "expected"),
    [
        (MEASURED, None, [], BEST),
        (PLAIN, None, [], dict.fromkeys(BEST, 0.5)),
        (MEASURED, 0.7, [], dict.fromkeys(BEST, 0.7)),
        (MEASURED, 0.0, [], dict.fromkeys(BEST, 0.0)),
        (MEASURED, None, ["--eval.overlay_score", "0.5"], dict.fromkeys(BEST, 0.5)),
        (MEASURED, None, ["--eval.overlay-score=0.5"], dict.fromkeys(BEST, 0.5)),
        (MEASURED, 0.2, ["--eval.overlay_score", "0.5"], dict.fromkeys(BEST, 0.2)),
    ],
)
def test_what_decides(config, score, argv, expected):
    assert with_score(config, score, argv).drawing_scores() == expected


@pytest.mark.parametrize("score", [-0.1, 1.5, float("nan")])
def test_a_score_out_of_range(score):
    with pytest.raises(ValueError, match="--score is .*; it must be 0 to 1"):
        with_score(MEASURED, score, [])


def test_it_is_said():
    assert describe_scores(PLAIN) == "with a score of 0.5 or more"
    assert describe_scores(MEASURED) == (
        "from the score of the best F1 on (Car 0.43, Pedestrian 0.33, Cyclist 0.22)"
    )


def test_weights_that_ship_know_their_scores():
    scores = open_run("ssd_fpn").read_config().drawing_scores()
    assert {name: round(score, 2) for name, score in scores.items()} == BEST
