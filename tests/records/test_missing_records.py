"""What is said where records are missing."""

from pathlib import Path

import pytest

from mobilenetdet.records.missing_records import why_no_records


@pytest.mark.parametrize(
    "name", ["train.record-00000-of-00010", "train/Cars.tfrecord", "train-00000-of-00010"]
)
def test_records_of_another_program_lead_to_the_import(tmp_path: Path, name: str):
    folder = tmp_path / "my data"
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    message = why_no_records(folder, "train", "run `X`")
    assert f"`mobilenetdet import '{folder}' FOLDER --format tf_records --to records`" in message
    assert path.name in message and "run `X`" not in message


@pytest.mark.parametrize(
    "name", ["model.ckpt-0.data-00000-of-00001", "generate_tfrecord.py", "record_map.pbtxt"]
)
def test_what_lies_beside_records_is_none(tmp_path: Path, name: str):
    (tmp_path / name).touch()
    assert why_no_records(tmp_path, "train", "run `X`").endswith(
        "run `X`, or name the folder that holds them (records_dir)"
    )


def test_our_own_records_of_another_split_lead_to_the_conversion(tmp_path: Path):
    (tmp_path / "train_000.tfrecord").touch()
    (tmp_path / "train.json").touch()
    message = why_no_records(tmp_path, "val", "run `X`")
    assert message == (
        f"no records of val in {tmp_path}; run `X`, or name the folder that holds them "
        "(records_dir)"
    )


def test_an_exported_file_does_not_know():
    message = why_no_records("", "val", "run `X`")
    assert message.startswith("an exported file does not say where the records of val are")
