from dataclasses import dataclass, field

import pytest

from mobilenetdet.cli.options import parse
from mobilenetdet.cli.run_options import UseOverrides
from mobilenetdet.config.classes import AllLimits
from mobilenetdet.config.detection import DetectionConfig, EvalConfig


@dataclass(frozen=True)
class Options:
    """A command."""

    class_map: dict[str, str] = field(default_factory=dict)
    neighbours: dict[str, tuple[str, ...]] = field(default_factory=dict)
    min_overlaps: dict[str, float] = field(default_factory=dict)
    difficulties: dict[str, AllLimits] = field(default_factory=dict)


LIMITS = ((40.0, 0, 0.15), (25.0, 1, 0.3), (25.0, 2, 0.5))
LIMIT_WORDS = "40 0 .15 25 1 .3 25 2 .5"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {}),
        ("--class_map Van Car Truck Car", {"class_map": {"Van": "Car", "Truck": "Car"}}),
        ("--neighbours Car Van,Truck", {"neighbours": {"Car": ("Van", "Truck")}}),
        ("--min_overlaps Bus 0.7 Dog .25", {"min_overlaps": {"Bus": 0.7, "Dog": 0.25}}),
        (f"--difficulties Bus {LIMIT_WORDS}", {"difficulties": {"Bus": LIMITS}}),
    ],
)
@pytest.mark.parametrize(
    "default",
    [Options(), Options({"A": "B"}, {"A": ("B", "C")}, {"A": 0.1}, {"A": LIMITS})],
)
def test_words_are_keys_and_values_in_turn_whatever_the_default(line, expected, default):
    found = parse(Options, line.split(), default)
    for name, value in vars(default).items():
        assert getattr(found, name) == expected.get(name, value)


def test_a_mapping_is_emptied():
    found = parse(Options, ["--class_map"], Options({"A": "B"}, {"A": ("B",)}))
    assert found.class_map == {} and found.neighbours == {"A": ("B",)}
    assert parse(Options, ["--neighbours", "Car", ""]).neighbours == {"Car": ()}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--class_map Van", "'Van' is not a sequence of TYPE CLASS"),
        ("--class_map Van Car Van Bus", "names one key twice"),
        ("--min_overlaps Bus high", "could not convert string to float"),
        ("--difficulties Bus 40 0", "is not a sequence of CLASS"),
    ],
)
def test_faults_end_with_the_option_named(line, message, capsys):
    with pytest.raises(SystemExit):
        parse(Options, line.split())
    error = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert message in error and line.split()[0] in error


def test_a_mapping_of_a_run_can_be_overridden():
    config = DetectionConfig(eval=EvalConfig(min_overlaps={"Car": 0.6}))
    of_run = UseOverrides.of(config)
    assert parse(UseOverrides, [], of_run).eval.min_overlaps == {"Car": 0.6}
    changed = parse(UseOverrides, ["--eval.min_overlaps", "Cyclist", "0.4"], of_run)
    task = changed.apply(config).eval_task()
    assert (task["Cyclist"].min_overlap, task["Car"].min_overlap) == (0.4, 0.7)
