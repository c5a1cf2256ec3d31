import importlib
from dataclasses import dataclass

import pytest

from mobilenetdet.cli.options import parse, peek


@dataclass(frozen=True)
class Options:
    """Uses a run.

    More about that.
    """

    preset: str = ""


def test_the_help_has_text_presets_and_lines_that_fit(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        parse(Options, ["--help"], presets={"small": "AP 40, 9 min", "larger": "AP 60"})
    lines = capsys.readouterr().out.splitlines()
    assert "Uses a run." in lines and "  More about that." in lines
    assert "  small   AP 40, 9 min" in lines and "  larger  AP 60" in lines
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize(
    ("command", "option"),
    [("plot_metrics", "run_dir"), ("learning_curve", "run_dir"), ("inspect_records", "split")],
)
def test_an_option_for_several_values_wants_one(command, option):
    main = importlib.import_module(f"mobilenetdet.cli.{command}").main
    with pytest.raises(ValueError, match=f"--{option} needs one value or more"):
        main([f"--{option}"])


def test_hyphens_are_as_good_as_underscores(tmp_path):
    """tyro takes both, so what is read before it must do so, too."""
    assert peek(["--run-dir", "a"], "run_dir", "b") == peek(["--run_dir=a"], "run_dir", "b") == "a"
    assert peek([], "run_dir", "b") == "b"


@pytest.mark.parametrize(
    ("command", "option", "value"),
    [
        ("tf_convert_data", "output_dir", "gs://bucket/records"),
        ("inspect_records", "records_dir", "s3://bucket/records"),
        ("predict", "output_dir", "file:///tmp/predictions"),
    ],
)
def test_a_url_for_a_local_path_is_refused(command, option, value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main = importlib.import_module(f"mobilenetdet.cli.{command}").main
    with pytest.raises(ValueError, match=f"--{option} takes a local path, and .* was a URL"):
        main([f"--{option}", value])
    assert not list(tmp_path.iterdir())


def test_a_folder_whose_name_ends_in_a_colon_is_a_local_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old:").mkdir()
    main = importlib.import_module("mobilenetdet.cli.inspect_records").main
    with pytest.raises(FileNotFoundError, match="no records of train in old:"):
        main(["--records_dir", "old:/records"])


@pytest.mark.parametrize("argv", [["--run_dir", ""], ["--run-dir", ""], ["--run_dir="]])
def test_an_empty_path_is_not_this_folder(argv):
    """As an unset variable of the shell makes it."""
    for command in ("train", "predict"):
        main = importlib.import_module(f"mobilenetdet.cli.{command}").main
        with pytest.raises(ValueError, match="--run_dir is empty; name a folder"):
            main([*(["a.jpg"] if command == "predict" else []), *argv])
