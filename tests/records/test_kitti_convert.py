"""KITTI folders to records: what is written, and what is refused."""

import shutil
import struct

import cv2
import numpy as np
import pytest
from fixtures.small_layout import LABELS, LINE, SHARDS, convert, names

from mobilenetdet.kitti.labels import parse_objects, read_objects
from mobilenetdet.kitti.layout import KittiLayout
from mobilenetdet.records.detection_record import read_frames
from mobilenetdet.records.kitti_convert import ConversionOptions, convert_split
from mobilenetdet.records.shards import shard_paths


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


def test_missing_files_are_listed_frame_by_frame(layout, out):
    layout.label_path("000004").unlink()
    layout.image_path("000002").unlink()
    with pytest.raises(FileNotFoundError) as caught:
        convert(layout, out)
    message = str(caught.value)
    assert "2 of the 6 frames of train" in message
    assert "\n  000002: no image\n  000004: no label\n" in message
    assert "--skip_missing_images" in message and "--unlabelled skip" in message
    assert not out.exists()
    manifest, _ = convert(layout, out, skip_missing_images=True, unlabelled="skip")
    assert (manifest.num_frames, manifest.num_skipped) == (4, 2)


@pytest.mark.parametrize(
    ("options", "left", "remedy"),
    [
        ({"unlabelled": "skip"}, "000002: no image", "--skip_missing_images"),
        ({"skip_missing_images": True}, "000004: no label", "--unlabelled skip"),
    ],
)
def test_leaving_out_the_one_does_not_leave_out_the_other(layout, out, options, left, remedy):
    layout.label_path("000004").unlink()
    layout.image_path("000002").unlink()
    with pytest.raises(FileNotFoundError) as caught:
        convert(layout, out, **options)
    message = str(caught.value)
    assert message.startswith("1 of the 6 frames") and f"\n  {left}\nunpack" in message
    assert remedy in message and not out.exists()


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


def turn(path, orientation):
    """Writes an EXIF orientation into a JPEG file, as cameras do."""
    data = path.read_bytes()
    tiff = struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    exif = b"Exif\0\0" + tiff
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:])


@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize("jpeg_quality", [None, 90])
def test_turned_images_are_named_and_what_their_labels_mean_is_asked(
    layout, out, jpeg_quality, orientation
):
    """Decoders obey an orientation or not, so labels might not fit the pixels."""
    path = layout.image_path("000002")
    stored = cv2.imread(str(path))
    turn(path, orientation)
    message = rf"1 of 6 images are turned .*: 000002\.jpg \({orientation}\); say what"
    with pytest.raises(ValueError, match=message):
        convert(layout, out, jpeg_quality=jpeg_quality)
    assert not out.exists()
    turned = np.rot90(stored, {3: 2, 6: 3}[orientation])
    for meant, expected in (("obey", turned), ("ignore", stored)):
        convert(layout, out, jpeg_quality=jpeg_quality, exif_orientation=meant)
        frames = {frame.frame_id: frame for frame in read_frames(shard_paths(out, "train"))}
        frame = frames["000002"]
        pixels = cv2.imdecode(np.frombuffer(frame.encoded, np.uint8), cv2.IMREAD_COLOR)
        assert pixels.shape == expected.shape == (frame.height, frame.width, 3)
        assert cv2.PSNR(pixels, np.ascontiguousarray(expected)) > 25
        assert frame.format == ("png" if jpeg_quality is None else "jpeg")
        upright = layout.image_path("000003").read_bytes()
        assert jpeg_quality or frames["000003"].encoded == upright  # others stay as they are


def test_frames_without_label_may_be_empty(layout, out):
    layout.label_path("000004").unlink()
    with pytest.raises(FileNotFoundError, match="nothing is in these.*--unlabelled negative"):
        convert(layout, out)
    manifest, _ = convert(layout, out, unlabelled="negative")
    assert (manifest.num_frames, manifest.num_objects, manifest.num_skipped) == (6, 8, 0)
    layout.image_path("000002").unlink()
    with pytest.raises(FileNotFoundError, match="1 of the 6 frames.*are incomplete"):
        convert(layout, out, unlabelled="negative")


def test_frames_without_a_folder_of_labels_are_empty_where_that_is_said(layout, out):
    for path in layout.label_dir.iterdir():
        path.unlink()
    layout.label_dir.rmdir()
    manifest, _ = convert(layout, out, unlabelled="negative")
    assert (manifest.num_frames, manifest.num_objects) == (6, 0)


@pytest.mark.parametrize("suffix", [".jpeg", ".JPG", ".JPEG"])
def test_images_with_other_suffixes_are_converted(layout, out, suffix):
    path = layout.image_path("000002")
    path.rename(path.with_suffix(suffix))
    assert convert(layout, out)[0].num_frames == 6


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


def test_ids_without_their_zeros_are_understood(layout, out):
    layout.write_image_set("train", ["2", "3"])
    with pytest.raises(FileNotFoundError, match=r"2: no image[\s\S]*write 000002 instead of 2"):
        convert(layout, out)


def test_records_of_another_data_set_are_not_replaced(layout, out, tmp_path):
    convert(layout, out)
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    other = KittiLayout(tmp_path / "other")
    shutil.copytree(layout.root, other.root)
    for path in other.label_dir.iterdir():
        path.write_text(LINE * 5)
    with pytest.raises(FileExistsError, match=r"holds 6 records of train, made of .*--overwrite"):
        convert(other, out)
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == before
    manifest, _ = convert(other, out, overwrite=True)
    assert manifest.num_objects == 30 and manifest.dataset == str(other.root.resolve())


def test_a_data_set_that_was_moved_is_known_again(layout, out, tmp_path):
    manifest, _ = convert(layout, out)
    moved = layout.root.rename(tmp_path / "moved")
    again, num_kept = convert(KittiLayout(moved), out)
    assert num_kept == len(SHARDS) and again.fingerprint == manifest.fingerprint
