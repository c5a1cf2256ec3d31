from pathlib import Path

import cv2
import numpy as np
import pytest

from mobilenetdet.media.find import find_files
from mobilenetdet.media.sources import read_pictures


@pytest.fixture()
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a.jpg", "a.png"):
        cv2.imwrite(str(tmp_path / name), np.full((20, 30, 3), (0, 0, 250), np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_folder_is_sorted_and_skips_other_files(folder: Path):
    assert [p.name for p in find_files([str(folder)])] == ["a.jpg", "a.png", "b.png"]


def test_glob_file_and_folder_name_each_picture_once(folder: Path):
    files = find_files([str(folder / "*.png"), str(folder / "b.png"), str(folder)])
    assert [p.name for p in files] == ["a.png", "b.png", "a.jpg"]


def test_pictures_are_rgb_and_names_are_unique(folder: Path):
    pictures = list(read_pictures(find_files([str(folder)])))
    assert [p.name for p in pictures] == ["a_jpg", "a_png", "b"]
    assert pictures[2].image.shape == (20, 30, 3)
    assert tuple(pictures[2].image[0, 0]) == (250, 0, 0)


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("nothing.jpg", FileNotFoundError, "nothing.jpg is no file"),
        ("*.webp", FileNotFoundError, "no glob that matches"),
        ("notes.txt", ValueError, "notes.txt is neither an image nor a video"),
        ("empty", FileNotFoundError, "no image or video in the folder"),
    ],
)
def test_bad_inputs_are_named(folder: Path, name: str, error: type[Exception], words: str):
    (folder / "empty").mkdir()
    with pytest.raises(error, match=words):
        find_files([str(folder / name)])


def test_damaged_picture_is_named(folder: Path):
    (folder / "a.jpg").write_bytes(b"no jpeg")
    with pytest.raises(ValueError, match="a.jpg"):
        list(read_pictures([folder / "a.jpg"]))


def test_video_frame_by_frame(tmp_path: Path):
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 32))
    for value in (0, 120, 250):
        writer.write(np.full((32, 64, 3), value, np.uint8))
    writer.release()
    pictures = list(read_pictures([path]))
    assert [p.name for p in pictures] == ["clip_000000", "clip_000001", "clip_000002"]
    assert [round(float(p.image.mean()), -1) for p in pictures] == [0, 120, 250]


def test_a_bad_file_does_not_end_a_folder(folder: Path):
    (folder / "a.jpg").write_bytes(b"no jpeg")
    (folder / "c.mp4").write_bytes(b"no video")
    faults = []
    files = [*find_files([str(folder)]), folder / "gone.png"]
    pictures = list(read_pictures(files, lambda *fault: faults.append(fault)))
    assert [p.name for p in pictures] == ["a_png", "b"]
    assert [path.name for path, _ in faults] == ["a.jpg", "c.mp4", "gone.png"]


def test_files_of_the_system_are_no_pictures(folder: Path):
    (folder / "._a.jpg").write_bytes(b"of macOS")
    assert [p.name for p in find_files([str(folder)])] == ["a.jpg", "a.png", "b.png"]


def test_a_video_that_is_cut_off_gives_the_frames_that_it_has(tmp_path: Path):
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 32))
    for seed in range(24):
        noise = np.random.default_rng(seed).integers(0, 255, (32, 64, 3))
        writer.write(noise.astype(np.uint8))
    writer.release()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    faults, pictures = [], []
    for picture in read_pictures([path], lambda _, error: faults.append(str(error))):
        pictures.append(picture.name)
    assert 5 <= len(pictures) < 24
    (fault,) = faults
    assert f"{len(pictures)} of 24 frames could be decoded" in fault
