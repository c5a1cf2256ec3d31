"""Conversion: what is written, what is refused, and what an interruption leaves."""

import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

import mobilenetdet
from mobilenetdet.kitti.labels import parse_objects, read_objects
from mobilenetdet.kitti.layout import KittiLayout
from mobilenetdet.records.detection_record import read_frames
from mobilenetdet.records.kitti_convert import ConversionOptions, convert_split
from mobilenetdet.records.shard_writer import Progress
from mobilenetdet.records.shards import read_manifest, shard_paths

LINE = "{} 0.00 0 -1.57 10.00 12.50 30.25 40.00 1.5 1.6 3.9 0.1 1.6 10.0 -1.50\n"
LABELS = {
    "000000": LINE.format("Car") + "DontCare -1 -1 -10 0.00 0.00 9.00 9.00 -1 -1 -1"
    " -1000 -1000 -1000 -10\n" + LINE.format("Van"),
    "000001": "",
    "000002": LINE.format("car"),
    "000003": LINE.format("Pedestrian") * 3,
    "000004": LINE.format("Cyclist"),
    "000005": LINE.format("Misc"),
}


@pytest.fixture()
def layout(tmp_path):
    """Six frames, the third a JPEG, listed as `train` in an order of their own."""
    layout = KittiLayout(tmp_path / "KITTI")
    for folder in (layout.image_dir, layout.label_dir):
        folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index, (frame_id, text) in enumerate(LABELS.items()):
        image = rng.integers(0, 40, (48 + index, 64, 3)).astype(np.uint8)
        image += np.array([0, 100, 200], np.uint8)  # each channel is known by its level
        suffix = ".jpg" if index == 2 else ".png"
        cv2.imwrite(str(layout.image_dir / f"{frame_id}{suffix}"), image)
        layout.label_path(frame_id).write_text(text)
    layout.write_image_set("train", sorted(LABELS, reverse=True))
    return layout


@pytest.fixture()
def out(tmp_path):
    return tmp_path / "tfrecord"


def options(**changes):
    return ConversionOptions(**({"num_shards": 3, "num_workers": 1} | changes))


def convert(layout, out, **changes):
    return convert_split(layout, "train", out, options(**changes))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


SHARDS = [f"train_00{index}.tfrecord" for index in range(3)]


@pytest.mark.parametrize("num_workers", [1, 3])
def test_every_frame_and_byte_is_kept(layout, out, num_workers):
    manifest, num_kept = convert(layout, out, num_workers=num_workers)
    assert names(out) == ["train.json", *SHARDS]
    assert (manifest.num_frames, manifest.num_objects, num_kept) == (6, 9, 0)
    frames = list(read_frames(shard_paths(out, "train")))
    assert [frame.frame_id for frame in frames] == sorted(LABELS, reverse=True)
    for frame in frames:
        path = layout.image_path(frame.frame_id)
        assert frame.encoded == path.read_bytes()
        assert frame.format == {".png": "png", ".jpg": "jpeg"}[path.suffix]
        assert (frame.height, frame.width) == cv2.imread(str(path)).shape[:2]
        expected = read_objects(layout.label_path(frame.frame_id))
        for name, value in vars(expected).items():
            np.testing.assert_array_equal(getattr(frame.objects, name), value)


def test_jpeg_quality_makes_every_image_a_jpeg(layout, out):
    convert(layout, out, jpeg_quality=90)
    for frame in read_frames(shard_paths(out, "train")):
        assert frame.format == "jpeg" and frame.encoded.startswith(b"\xff\xd8")
        pixels = cv2.imdecode(np.frombuffer(frame.encoded, np.uint8), cv2.IMREAD_COLOR)
        original = cv2.imread(str(layout.image_path(frame.frame_id)))
        assert pixels.shape == original.shape == (frame.height, frame.width, 3)
        assert cv2.PSNR(pixels, original) > 25


@pytest.mark.parametrize(("asked", "expected"), [(None, 6), (1, 1), (100, 6)])
def test_number_of_shards(layout, out, asked, expected):
    manifest, _ = convert(layout, out, num_shards=asked)
    assert len(shard_paths(out, "train")) == manifest.num_shards == expected


def test_a_second_call_writes_nothing(layout, out):
    first, _ = convert(layout, out)
    before = {name: os.stat(out / name).st_mtime_ns for name in names(out)}
    started = []
    second, num_kept = convert_split(
        layout, "train", out, options(), progress=Progress(on_start=started.append)
    )
    assert (second, num_kept, started) == (first, 3, [0])
    assert {name: os.stat(out / name).st_mtime_ns for name in names(out)} == before


@pytest.mark.parametrize(
    ("changes", "num_kept"),
    [({"overwrite": True}, 0), ({"jpeg_quality": 80}, 0), ({"sha256": True}, 0), ({}, 3)],
)
def test_other_options_convert_again(layout, out, changes, num_kept):
    convert(layout, out)
    assert convert(layout, out, **changes)[1] == num_kept


def test_a_changed_label_converts_its_shard_again(layout, out):
    first, _ = convert(layout, out)
    path = layout.label_path("000005")
    path.write_text(LABELS["000005"].replace("10.00", "11.00"))  # as long as before
    os.utime(path, ns=(0, 1))
    second, num_kept = convert(layout, out)
    assert num_kept == 2
    assert second.fingerprint != first.fingerprint
    assert next(read_frames(shard_paths(out, "train"))).objects.boxes_xyxy[0, 0] == 11


def test_the_fingerprint_is_of_the_content(layout, out, tmp_path):
    first, _ = convert(layout, out)
    for path in layout.label_dir.iterdir():
        os.utime(path, ns=(0, 1))
    other, num_kept = convert(layout, tmp_path / "other", num_shards=2)
    assert (other.fingerprint, num_kept) == (first.fingerprint, 0)


def test_a_damaged_shard_is_written_again(layout, out):
    convert(layout, out)
    (out / SHARDS[1]).write_bytes(b"half")
    assert convert(layout, out)[1] == 2
    assert len(list(read_frames(shard_paths(out, "train")))) == 6


@pytest.mark.parametrize("name", ["train_001.tfrecord", "train.json", "train.partial.json"])
def test_files_of_others_are_replaced_only_with_overwrite(layout, out, name):
    out.mkdir()
    (out / name).write_bytes(b"mine")
    with pytest.raises((FileExistsError, ValueError), match=rf"{name} .*--overwrite"):
        convert(layout, out)
    assert names(out) == [name] and (out / name).read_bytes() == b"mine"
    assert convert(layout, out, overwrite=True)[0].num_frames == 6
    assert names(out) == ["train.json", *SHARDS]


def test_files_of_others_stay(layout, out):
    out.mkdir()
    foreign = {"train_050.tfrecord", "train_003.tfrecord", "val.json", "train_small_000.tfrecord"}
    for name in foreign:
        (out / name).write_bytes(b"mine")
    convert(layout, out)
    convert(layout, out, num_shards=2)
    convert(layout, out, overwrite=True)
    assert all((out / name).read_bytes() == b"mine" for name in foreign)
    assert set(names(out)) == foreign | {"train.json", *SHARDS}


def test_shards_of_a_larger_set_go_even_after_an_interruption(layout, out):
    convert(layout, out, num_shards=6)
    path = layout.label_path("000005")  # in the first shard
    good = path.read_text()
    path.write_text("Car nonsense\n")
    with pytest.raises(ValueError, match=r"000005\.txt:1"):
        convert(layout, out, num_shards=2)
    path.write_text(good)
    convert(layout, out, num_shards=2)
    assert names(out) == ["train.json", *SHARDS[:2]]


def test_fewer_shards_leave_none_of_the_old(layout, out):
    (out).mkdir()
    (out / "train_small_000.tfrecord").write_bytes(b"of another split")
    convert(layout, out)
    convert(layout, out, num_shards=2)
    assert names(out) == ["train.json", *SHARDS[:2], "train_small_000.tfrecord"]


def test_an_error_leaves_whole_shards_and_the_next_call_goes_on(layout, out):
    path = layout.label_path("000001")  # in the last shard
    good = path.read_text()
    path.write_text("Car nonsense\n")
    with pytest.raises(ValueError, match=r"000001\.txt:1"):
        convert(layout, out)
    assert names(out) == ["train.partial.json", *SHARDS[:2]]
    assert len(read_manifest(out / "train.partial.json").shards) == 2
    with pytest.raises(FileNotFoundError, match="incomplete"):
        shard_paths(out, "train")
    path.write_text(good)
    manifest, num_kept = convert(layout, out)
    assert (manifest.num_frames, num_kept) == (6, 2)
    assert names(out) == ["train.json", *SHARDS]


def test_a_conversion_under_way_hides_the_old_records(layout, out):
    convert(layout, out)
    seen = []
    convert_split(
        layout,
        "train",
        out,
        options(overwrite=True),
        progress=Progress(on_record=lambda: seen.append(names(out))),
    )
    assert all("train.json" not in listing for listing in seen)
    assert len(seen) == 6


SCRIPT = """
import os, sys, time
from mobilenetdet.records.kitti_convert import ConversionOptions, convert_split
from mobilenetdet.kitti.layout import KittiLayout
from mobilenetdet.records.shard_writer import Progress
done = 0
def on_frame():
    global done
    done += 1
    if done == 3:  # the first of the second shard
        while {first!r} not in open(sys.argv[2] + "/train.partial.json").read():
            time.sleep(0.01)  # another thread notes that the first shard is whole
        {at_third}
convert_split(KittiLayout(sys.argv[1]), "train", sys.argv[2],
              ConversionOptions(num_shards=3, num_workers=1), progress=Progress(on_record=on_frame))
"""


def run_script(layout, out, at_third):
    command = [
        sys.executable,
        "-c",
        SCRIPT.format(first=SHARDS[0], at_third=at_third),
        layout.root,
        out,
    ]
    environment = os.environ | {"PYTHONPATH": str(Path(mobilenetdet.__file__).parents[1])}
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A test run in the background ignores Ctrl-C, and its children would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def test_a_killed_conversion_goes_on_and_is_cleaned_up(layout, out):
    process = run_script(layout, out, "os.kill(os.getpid(), 9)")
    process.wait(timeout=60)
    left = names(out)
    assert [name for name in left if not name.startswith(".")] == ["train.partial.json", SHARDS[0]]
    assert any(name.endswith(".tmp") for name in left)  # nobody could remove it
    assert convert(layout, out)[1] == 1
    assert names(out) == ["train.json", *SHARDS]


def test_ctrl_c_leaves_no_half_file(layout, out):
    process = run_script(layout, out, "print('here', flush=True); time.sleep(1)")
    assert process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0 and "KeyboardInterrupt" in errors
    assert time.monotonic() - start < 30
    assert names(out) == ["train.partial.json", SHARDS[0]]
    assert convert(layout, out)[1] == 1


def test_missing_files_are_listed_frame_by_frame(layout, out):
    layout.label_path("000004").unlink()
    layout.image_path("000002").unlink()
    with pytest.raises(FileNotFoundError) as caught:
        convert(layout, out)
    message = str(caught.value)
    assert "2 of the 6 frames of train" in message
    assert "\n  000002: no image\n  000004: no label\n" in message
    assert "--skip_missing" in message and not out.exists()
    manifest, _ = convert(layout, out, skip_missing=True)
    assert (manifest.num_frames, manifest.num_skipped) == (4, 2)


def test_only_the_first_twenty_missing_frames_are_listed(layout, out):
    layout.write_image_set("train", [*LABELS, *(f"1{index:05d}" for index in range(30))])
    with pytest.raises(FileNotFoundError, match=r"100019: .*\nand 10 more|\n  and 10 more"):
        convert(layout, out)


def test_a_split_without_list_names_the_tool(layout, out):
    with pytest.raises(FileNotFoundError, match=r"ImageSets/val\.txt .*kitti_split\.py"):
        convert_split(layout, "val", out)


def test_a_split_without_frames_is_refused(layout, out):
    layout.write_image_set("train", [])
    with pytest.raises(ValueError, match=r"train\.txt lists no frame"):
        convert(layout, out)


@pytest.mark.parametrize("num_workers", [1, 4])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[: len(data) // 2], "PNG image is cut off"),
        (lambda data: b"", "is empty"),
        (lambda data: b"<html>" + data, "neither PNG nor JPEG"),
    ],
)
def test_a_damaged_image_names_its_file(layout, out, damage, message, num_workers):
    path = layout.image_path("000003")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=rf"000003\.png: .*{message}"):
        convert(layout, out, num_workers=num_workers)
    assert not any(name.endswith(".tmp") for name in names(out))


def test_damage_inside_an_image_is_found_when_it_is_decoded(layout, out):
    path = layout.image_path("000003")
    data = bytearray(path.read_bytes())
    data[33:-12] = bytes(len(data) - 45)  # header and end stay
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"000003\.png"):
        convert(layout, out, jpeg_quality=90)


@pytest.mark.parametrize("jpeg_quality", [None, 90])
def test_a_rotated_jpeg_is_refused(layout, out, jpeg_quality):
    """Decoders turn it by its EXIF orientation, so labels and header would not fit the pixels."""
    path = layout.image_path("000002")
    data = path.read_bytes()
    tiff = struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x0112, 3, 1, 6, 0, 0)
    exif = b"Exif\0\0" + tiff
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    path.write_bytes(data[:2] + segment + data[2:])
    with pytest.raises(ValueError, match=r"000002\.jpg: turned by its EXIF orientation"):
        convert(layout, out, jpeg_quality=jpeg_quality)


def test_a_result_file_is_no_label(layout, out):
    layout.label_path("000003").write_text(LINE.format("Car").rstrip() + " 0.9\n")
    with pytest.raises(ValueError, match=r"000003\.txt:1: 16 columns"):
        convert(layout, out)


def test_own_types_are_converted(layout, out):
    layout.label_path("000003").write_text(LINE.format("Elk"))
    convert(layout, out)
    types = {f.frame_id: f.objects.types.tolist() for f in read_frames(shard_paths(out, "train"))}
    assert types["000003"] == ["Elk"]


@pytest.mark.parametrize(
    "changes", [{"num_shards": 0}, {"num_workers": -1}, {"jpeg_quality": 0}, {"jpeg_quality": 101}]
)
def test_options_out_of_range(changes):
    (name,) = changes
    with pytest.raises(ValueError, match=f"{name} is .*; it must be 1 to"):
        ConversionOptions(**changes)


def test_real_frames(shared_dir, tmp_path):
    source = KittiLayout(shared_dir / "kitti")
    chosen = source.read_image_set("val")[:6]
    listed = KittiLayout(tmp_path / "KITTI")
    listed.root.mkdir()
    (listed.root / "training").symlink_to(source.root / "training")
    listed.write_image_set("val", chosen)
    convert_split(listed, "val", tmp_path / "out")
    for frame in read_frames(shard_paths(tmp_path / "out", "val")):
        assert frame.encoded == source.image_path(frame.frame_id).read_bytes()
        text = source.label_path(frame.frame_id).read_text()
        expected = parse_objects(text, frame.frame_id)
        np.testing.assert_array_equal(frame.objects.boxes_xyxy, expected.boxes_xyxy)
        np.testing.assert_array_equal(frame.objects.types, expected.types)
