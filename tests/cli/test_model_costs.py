import pytest

from mobilenetdet.cli.model_costs import main


def test_tables(capsys):
    arguments = ["--alphas", "0.25", "--sizes", "224", "128", "--presets", "quickstart"]
    assert main(arguments) == 0
    assert capsys.readouterr().out.splitlines() == [
        "| width | image | parameters | MACs |",
        "|---|---|---|---|",
        "| 0.25 | 224x224 | 0.47 M | 41 M |",
        "| 0.25 | 128x128 | 0.47 M | 14 M |",
        "",
        "| preset | image | parameters | MACs |",
        "|---|---|---|---|",
        "| `quickstart` | 192x640 | 0.99 M | 564 M |",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sizes", "0"], "size is 0"),
        (["--alphas", "-1"], "alpha is -1"),
        (["--tables", "detectors", "--presets", "quickstrat"], "did you mean quickstart"),
    ],
)
def test_mistakes(arguments, message):
    with pytest.raises(ValueError, match=message):
        main(arguments)
