"""From which score on detections are drawn, counted and written."""

from dataclasses import replace

import pytest

from mobilenetdet.cli.score_option import describe_scores, with_score
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.storage import from_json, to_json, with_changes
from mobilenetdet.runs import open_run

PLAIN = DetectionConfig()
BEST = {"Car": 0.45, "Pedestrian": 0.41, "Cyclist": 0.24}
MEASURED = replace(PLAIN, eval=replace(PLAIN.eval, best_f1_scores=BEST))
SAID = with_changes(MEASURED, {"eval.drawing_score": 0.5})


@pytest.mark.parametrize(
    ("config", "score", "expected"),
    [
        (MEASURED, None, BEST),
        (PLAIN, None, dict.fromkeys(BEST, 0.5)),
        (MEASURED, 0.7, dict.fromkeys(BEST, 0.7)),
        (MEASURED, 0.0, dict.fromkeys(BEST, 0.0)),
        (SAID, None, dict.fromkeys(BEST, 0.5)),
        (SAID, 0.2, dict.fromkeys(BEST, 0.2)),
    ],
)
def test_what_decides(config, score, expected):
    assert with_score(config, score).drawing_scores() == expected


def test_names_of_classes_may_be_in_any_case():
    config = with_changes(PLAIN, {"eval.best_f1_scores": {"car": 0.9}})
    assert config.drawing_scores()["Car"] == 0.9
    with pytest.raises(ValueError, match=r"eval.best_f1_scores: 'Carr' is none .*Car"):
        with_changes(PLAIN, {"eval.best_f1_scores": {"Carr": 0.9}})


def test_the_score_of_earlier_versions():
    assert with_changes(PLAIN, {"eval.overlay_score": 0.5}).eval.drawing_score == 0.5
    for score, expected in ((0.5, None), (0.3, 0.3)):  # 0.5 was what nobody had to ask for
        text = to_json(PLAIN).replace('"drawing_score": null', f'"overlay_score": {score}')
        assert from_json(text, "old").eval.drawing_score == expected


@pytest.mark.parametrize("score", [-0.1, 1.5, float("nan")])
def test_a_score_out_of_range(score):
    with pytest.raises(ValueError, match="--score is .*; it must be 0 to 1"):
        with_score(MEASURED, score)


def test_it_is_said():
    assert describe_scores(PLAIN) == "with a score of 0.5 or more"
    assert describe_scores(with_score(MEASURED, 0.7)) == "with a score of 0.7 or more"
    assert describe_scores(MEASURED) == (
        "from the score of the best F1 on (Car 0.45, Pedestrian 0.41, Cyclist 0.24)"
    )


def test_weights_that_ship_know_their_scores():
    scores = open_run("ssd_fpn").read_config().drawing_scores()
    assert {name: round(score, 2) for name, score in scores.items()} == BEST
