"""predict on folders that hold everything."""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from fixtures.red_finder import red_image
from fixtures.servers import Camera, Server, numbers_of

from mobilenetdet.cli import predict
from mobilenetdet.cli.predict_call import PredictCall, describe_faults
from mobilenetdet.inference.loaded_detector import LoadedDetector
from mobilenetdet.kitti.labels import read_objects
from mobilenetdet.media.video import read_frames


@pytest.fixture
def red_predict(red_finder, monkeypatch):
    """Gives the command with a detector that finds what is red, so that no network is needed."""
    monkeypatch.setattr(predict, "load_for_engine", lambda *_, **__: red_finder())
    return predict.main


def write_picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((32, 64, 3), 120, np.uint8))


def test_every_picture_has_an_output_of_its_own(tmp_path: Path, red_predict):
    names = ["a/pic.jpg", "b/pic.jpg", "r.jpg", "r.png", "r_jpg.png", "a_000000.jpg", "a_pic.png"]
    for name in names:
        write_picture(tmp_path / "in" / name)
    video = cv2.VideoWriter(
        str(tmp_path / "in/a.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 32)
    )
    for _ in range(2):
        video.write(np.full((32, 64, 3), 120, np.uint8))
    video.release()
    out = tmp_path / "out"
    inputs = [str(tmp_path / "in/*.*"), str(tmp_path / "in/*/*.jpg")]
    options = ["--output_dir", str(out), "--format", "overlay", "kitti", "json"]
    assert red_predict([*inputs, *options]) == 0
    entries = json.loads((out / "detections.json").read_text())
    assert len(entries) == len({entry["name"] for entry in entries}) == len(names) + 2
    for folder, suffix in (("overlays", ".jpg"), ("kitti", ".txt")):
        found = {path.name for path in (out / folder).iterdir()}
        assert found == {entry["name"] + suffix for entry in entries}
    assert {"b_pic", "r_jpg", "r_png", "a_000000", "a_000001"} <= {e["name"] for e in entries}


def test_bad_pictures_are_named_at_the_end(tmp_path: Path, red_predict, capsys):
    for name in ("a.png", "c.png"):
        write_picture(tmp_path / "in" / name)
    (tmp_path / "in/b.jpg").write_bytes(b"no jpeg")
    (tmp_path / "in/d.jpg").write_bytes(b"")
    out = tmp_path / "out"
    arguments = [str(tmp_path / "in"), "--output_dir", str(out), "--format", "overlay", "json"]
    assert red_predict(arguments) == 1
    written = capsys.readouterr()
    assert "in 2 pictures" in written.out
    assert written.err.startswith("2 of 4 pictures could not be read: ")
    for name in ("b.jpg (", "d.jpg ("):
        assert name in written.err
    assert [e["name"] for e in json.loads((out / "detections.json").read_text())] == ["a", "c"]
    assert sorted(path.name for path in (out / "overlays").iterdir()) == ["a.jpg", "c.jpg"]


@pytest.mark.parametrize(
    ("asked", "counted", "in_files"),
    [
        ([], "1 object in 1 picture, from the score of the best F1 on (Car 0.45,", 1),
        (["--score", "0.95"], "0 objects in 1 picture, with a score of 0.95 or more", 0),
        (["--score", "0.1"], "1 object in 1 picture, with a score of 0.1 or more", 1),
    ],
)
def test_one_score_for_pictures_and_files(
    tmp_path: Path, red_predict, capsys, asked, counted, in_files
):
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), red_image((64, 192), np.array([40, 20, 80, 50]))[..., ::-1])
    arguments = [str(path), "--output_dir", str(tmp_path), "--format", "kitti", *asked]
    assert red_predict(arguments) == 0
    told = capsys.readouterr().out
    assert counted in told
    # Whoever reads the file is told why it holds more than the picture shows.
    assert ("weaker ones are in kitti, too; --score 0.5" in told) == (not asked)
    assert len(read_objects(tmp_path / "kitti/photo.txt", with_scores=True)) == in_files


def test_pictures_of_unread_kinds_in_a_folder_are_told(tmp_path: Path, red_predict, capsys):
    write_picture(tmp_path / "in/a.png")
    (tmp_path / "in/IMG_1.HEIC").write_bytes(b"")
    assert red_predict([str(tmp_path / "in"), "--output_dir", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "in: left out are 1 .heic (not read; convert them to JPEG or MP4)\n" in told
    assert "weaker" not in told  # overlays alone


def test_what_runs_it_is_said(tmp_path: Path, red_predict, capsys):
    write_picture(tmp_path / "a.png")
    arguments = [str(tmp_path / "a.png"), "--output_dir", str(tmp_path / "out")]
    assert red_predict([*arguments, "--engine", "keras"]) == 0
    assert capsys.readouterr().out.endswith("by red at 64x192, red finder\n")
    assert red_predict(arguments) == 0
    assert "by red at 64x192, red finder (faster: " in capsys.readouterr().out


def test_jobs_of_an_array_do_together_what_one_call_does(tmp_path: Path, red_predict, capsys):
    places = [tmp_path / name for name in ("a/x.png", "b/x.png", "c.png", "d.png", "e.png")]
    for place in places:
        write_picture(place)
    call = [*map(str, places), "--format", "kitti", "json", "overlay", "--output_dir"]
    assert red_predict([*call, str(tmp_path / "whole")]) == 0
    for shard in range(3):
        share = ["--num_shards", "3", "--shard", str(shard)]
        assert red_predict([*call, str(tmp_path / "parts"), *share]) == 0
    parts = [tmp_path / f"parts/{shard}-of-3" for shard in range(3)]
    entries = [json.loads((part / "detections.json").read_text()) for part in parts]
    whole = tmp_path / "whole"
    assert sum(entries, []) == json.loads((whole / "detections.json").read_text())
    for kind in ("kitti", "overlays"):
        files = [path for part in parts for path in (part / kind).iterdir()]
        assert {f.name: f.read_bytes() for f in files} == {
            f.name: f.read_bytes() for f in (whole / kind).iterdir()
        }
        assert len(files) == 5
    assert red_predict([*call, str(tmp_path / "many"), "--num_shards", "9", "--shard", "0"]) == 0
    assert "no files are left for job 0 of 9" in capsys.readouterr().out
    with pytest.raises(ValueError, match="shard is 3; of 3 they go from 0 to 2"):
        red_predict([*call, str(tmp_path / "parts"), "--num_shards", "3", "--shard", "3"])


def test_names_that_are_no_utf8_are_spelled(tmp_path: Path, red_predict, capsys):
    odd, out = tmp_path / os.fsdecode(b"in/a\xff.png"), tmp_path / "out"
    write_picture(tmp_path / "in/b.png")
    odd.write_bytes((tmp_path / "in/b.png").read_bytes())
    video = odd.with_suffix(".avi")
    video.write_bytes(b"never opened")
    options = ["--output_dir", str(out), "--format", "overlay", "kitti", "json"]
    assert red_predict([str(tmp_path / "in"), *options]) == 1
    told = capsys.readouterr().err
    assert told.startswith("1 of 3 files could not be read") and "must be UTF-8 text" in told
    entries = json.loads((out / "detections.json").read_bytes().decode("utf-8"))
    assert {entry["name"] for entry in entries} == {"a_xff", "b"}
    assert {Path(entry["source"]).name for entry in entries} == {r"a\xff.png", "b.png"}
    assert (out / "kitti/a_xff.txt").is_file() and (out / "overlays/a_xff.jpg").is_file()


@pytest.mark.parametrize("limit", ["nan", "-1", "0"])
def test_a_limit_that_is_none_is_refused_at_once(tmp_path: Path, monkeypatch, limit):
    monkeypatch.setattr(predict, "load_for_engine", lambda *_, **__: pytest.fail("loads"))
    write_picture(tmp_path / "a.png")
    with pytest.raises(ValueError, match=f"max_megapixels is {limit}; it must be above 0"):
        predict.main([str(tmp_path / "a.png"), "--max_megapixels", limit])


def test_many_faults_are_counted():
    faults = {Path(f"{index}.jpg"): "why" for index in range(60)}
    line = describe_faults(faults, [*faults, Path("good.jpg")])
    assert line.startswith("60 of 61 pictures could not be read: 0.jpg (why), 1.jpg (why), ")
    assert line.endswith(" and 10 more")
    video = {Path("a.mp4"): "10 of 24 frames could be decoded"}
    assert describe_faults(video, list(video)) == (
        "1 of 1 files could not be read to the end: a.mp4 (10 of 24 frames could be decoded)"
    )


def write_clip(path: Path, count: int = 3) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 32))
    for _ in range(count):
        writer.write(np.full((32, 64, 3), 120, np.uint8))
    writer.release()


def test_by_default_pictures_are_drawn_as_pictures_and_videos_as_videos(
    tmp_path: Path, red_predict, capsys
):
    write_picture(tmp_path / "in/a.png")
    (tmp_path / "in/deep").mkdir()
    write_clip(tmp_path / "in/deep/clip.avi")
    out = tmp_path / "out"
    assert red_predict([str(tmp_path / "in"), "--recursive", "--output_dir", str(out)]) == 0
    assert "in 4 pictures" in (told := capsys.readouterr().out)
    assert "1 video written as " in told
    assert [path.name for path in (out / "overlays").iterdir()] == ["a.jpg"]
    frames = list(read_frames(out / "videos/clip.mp4"))
    assert len(frames) == 3 and frames[0].image.shape == (32, 64, 3)
    assert frames[0].rate == pytest.approx(10)


@pytest.mark.parametrize(
    ("names", "expected"), [(["a.png"], 0), (["a.png", "b.png"], 1), (["clip.avi"], 1)]
)
def test_only_several_pictures_run_at_once(
    tmp_path: Path, red_predict, monkeypatch, names: list[str], expected: int
):
    """One alone has all threads."""
    asked = []
    monkeypatch.setattr(LoadedDetector, "run_several_at_once", lambda *_: asked.append(1))
    for name in names:
        (write_clip if name.endswith(".avi") else write_picture)(tmp_path / name)
    inputs = [str(tmp_path / name) for name in names]
    assert red_predict([*inputs, "--output_dir", str(tmp_path / "out")]) == 0
    assert len(asked) == expected


def test_all_formats_at_once(tmp_path: Path, red_predict):
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), red_image((64, 192), np.array([40, 20, 80, 50]))[..., ::-1])
    formats = ["overlay", "kitti", "json", "csv", "coco", "yolo", "crops"]
    out = tmp_path / "out"
    assert red_predict([str(path), "--output_dir", str(out), "--format", *formats]) == 0
    written = {each.relative_to(out).as_posix() for each in out.rglob("*") if each.is_file()}
    assert {each for each in written if not each.startswith(".")} == {
        *("overlays/photo.jpg", "kitti/photo.txt", "yolo/photo.txt", "yolo_classes.txt"),
        *("detections.json", "detections.csv", "coco.json", "crops/Car/photo_0.jpg"),
    }


def test_a_picture_of_a_server(tmp_path: Path, red_predict, server: Server):
    write_picture(tmp_path / "a.png")
    url = server.add("/x/road.png", (tmp_path / "a.png").read_bytes())
    arguments = [url, f"{server.url}/gone.png", "--output_dir", str(tmp_path / "out")]
    assert red_predict([*arguments, "--format", "json"]) == 1
    (entry,) = json.loads((tmp_path / "out/detections.json").read_text())
    assert (entry["name"], entry["source"]) == ("road", url)


def test_a_stream_ends_with_an_interruption_and_everything_is_whole(
    tmp_path: Path, red_finder, server: Server, monkeypatch, capsys
):
    def load(*_, config, **__):
        return red_finder(batch_size=config.eval.batch_size)  # 1: frames wait for no others

    monkeypatch.setattr(predict, "load_for_engine", load)
    camera, out = Camera(rate=20), tmp_path / "out"
    server.answers["/stream"] = camera.serve
    run, interrupted_at = PredictCall.run, []

    def interrupted(call, model):
        detect, seen = type(model).detect_batch, []

        def counted(self, *args, **more):
            seen.append(1)
            if len(seen) == 12:
                camera.break_off()
            if len(seen) > 20 and call.live[0].counts.breaks:
                interrupted_at.append(len(seen))
                raise KeyboardInterrupt
            return detect(self, *args, **more)

        monkeypatch.setattr(type(model), "detect_batch", counted)
        run(call, model)

    monkeypatch.setattr(PredictCall, "run", interrupted)
    with pytest.raises(KeyboardInterrupt, match="what was detected is written"):
        predict.main(
            [f"{server.url}/stream", "--format", "video", "json", "--output_dir", str(out)]
        )
    (video,) = (out / "videos").iterdir()
    entries = json.loads((out / "detections.json").read_text())
    # The first call has compiled the network, and the last was interrupted.
    assert len(numbers_of(video)) == len(entries) == interrupted_at[0] - 2
    told = capsys.readouterr().out
    assert f"in {len(entries)} pictures" in told and "1 reconnection" in told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.png", "--format", "video"], "no input is a video"),
        (["a.png", "--image_size", "large"], "--image_size is 'large'"),
        (["a.png", "--reconnect_s", "0"], "--reconnect_s is 0; it must be above 0"),
        (["ftp://server/a.png"], "scheme ftp are not read"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_loaded(
    tmp_path: Path, monkeypatch, arguments, words
):
    monkeypatch.setattr(predict, "load_for_engine", lambda *_, **__: pytest.fail("loads"))
    monkeypatch.chdir(tmp_path)
    write_picture(tmp_path / "a.png")
    with pytest.raises(ValueError, match=words):
        predict.main(arguments)


def test_the_size_of_an_exported_file_is_fixed():
    options = predict.Options(inputs=("a.png",), image_size="auto", model=Path("m.tflite"))
    with pytest.raises(ValueError, match="auto needs a run: the size of m.tflite is built into it"):
        predict._check(options)


def test_an_input_size_for_each_picture(tmp_path: Path, monkeypatch, red_finder, capsys):
    sizes = []

    def load(*_, config, **__):
        sizes.append(config.image_size)
        model = red_finder(batch_size=1)
        model.runtime.image_size = config.image_size
        return model

    monkeypatch.setattr(predict, "load_for_engine", load)
    for name, shape in (("a", (375, 1242)), ("b", (400, 300)), ("c", (375, 1242))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), red_image(shape, np.array([40, 20, 80, 50])))
    arguments = [str(tmp_path), "--output_dir", str(tmp_path / "out"), "--image_size"]
    assert predict.main([*arguments, "auto"]) == 0
    assert sizes == [(480, 1568), (992, 736)]
    assert "by red at 480x1568 (2), 992x736 (1), red finder" in capsys.readouterr().out
    assert predict.main([*arguments, "64x96"]) == 0
    assert sizes[2:] == [(64, 96)]
