"""Converting class folders: records for any reader of the tutorial's keys, and what is refused."""

import shutil

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from mobilenetdet.classification.convert import ClassConversionOptions, convert_classes
from mobilenetdet.records.shard_writer import ShardProgress
from mobilenetdet.records.shards import shard_paths

NAMES = ("n01", "n02", "n10", "n20")


@pytest.fixture()
def root(class_folders, tmp_path):
    return shutil.copytree(class_folders, tmp_path / "images")


@pytest.fixture()
def out(tmp_path):
    return tmp_path / "tfrecord"


def convert(root, out, split="train", *, notes=None, progress=None, **options):
    options = ClassConversionOptions(**({"num_shards": 3, "num_workers": 2} | options))
    on_note = (lambda note: None) if notes is None else notes.append
    return convert_classes(root, split, out, options, progress=progress, on_note=on_note)


def read(out, split="train"):
    """The records as TensorFlow reads them, by file name."""
    examples = {}
    for record in tf.data.TFRecordDataset([str(path) for path in shard_paths(out, split)]):
        features = tf.train.Example.FromString(record.numpy()).features.feature
        values = {
            key: (value.bytes_list.value or value.int64_list.value)[0]
            for key, value in features.items()
        }
        examples[values["image/filename"].decode()] = values
    return examples


def test_records_have_the_tutorials_keys_and_the_bytes_of_the_files(root, out):
    manifest, num_kept = convert(root, out)
    assert (manifest.num_frames, manifest.num_objects, num_kept) == (32, 32, 0)
    examples = read(out)
    assert len(examples) == 32
    for label, name in enumerate(NAMES):
        for path in (root / "train" / name).iterdir():
            height, width = cv2.imread(str(path)).shape[:2]
            assert examples[path.name] == {
                "image/encoded": path.read_bytes(),
                "image/format": b"JPEG",
                "image/colorspace": b"RGB",
                "image/channels": 3,
                "image/height": height,
                "image/width": width,
                "image/filename": path.name.encode(),
                "image/class/label": label + 1,
                "image/class/synset": name.encode(),
                "image/class/text": name.encode(),
            }
    assert (out / "labels.txt").read_text() == "".join(f"{name}\t{name}\n" for name in NAMES)


def test_the_order_is_mixed_and_always_the_same(root, out, tmp_path):
    first, _ = convert(root, out)
    other, _ = convert(root, tmp_path / "other", num_shards=2, num_workers=1)
    assert first.fingerprint == other.fingerprint
    order = list(read(out))
    assert order == list(read(tmp_path / "other")) and order != sorted(order)


def test_words_for_the_classes(root, out, tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("n02\tstingray\nn01 tench, Tinca tinca\nn20\tcat\nn10 dog\nn99 unused\n")
    convert(root, out, synset_words=words)
    assert (out / "labels.txt").read_text().splitlines()[0] == "n01\ttench, Tinca tinca"
    assert read(out)["n02_3.JPEG"]["image/class/text"] == b"stingray"
    words.write_text("n02\tstingray\n")
    with pytest.raises(ValueError, match="lacks 3 classes, the first is n01"):
        convert(root, out, synset_words=words)


@pytest.mark.parametrize("train_first", [True, False])
def test_val_takes_the_labels_of_train(root, out, train_first):
    shutil.rmtree(root / "val/n01")
    if train_first:
        convert(root, out)
        shutil.rmtree(root / "train")
    convert(root, out, "val")
    assert read(out, "val")["n02_0.JPEG"]["image/class/label"] == 2


def test_a_class_of_val_that_train_lacks_is_named(root, out):
    (root / "val/n02").rename(root / "val/n03")
    with pytest.raises(ValueError, match="val has 1 classes that train has not, such as n03"):
        convert(root, out, "val")
    assert not out.exists()


def test_other_classes_in_train_withdraw_the_records_of_val(root, out):
    convert(root, out)
    convert(root, out, "val")
    shutil.rmtree(root / "train/n02")
    shutil.rmtree(root / "val/n02")
    assert convert(root, out)[1] == 0
    with pytest.raises(FileNotFoundError, match="records of val .* are incomplete"):
        shard_paths(out, "val")
    assert convert(root, out, "val")[1] == 0
    assert read(out, "val")["n20_0.JPEG"]["image/class/label"] == 3


def test_a_second_call_writes_nothing_and_an_interrupted_one_goes_on(root, out):
    def interrupt():
        counted.append(1)
        if len(counted) == 25:
            raise KeyboardInterrupt

    counted = []
    with pytest.raises(KeyboardInterrupt):
        convert(root, out, num_workers=1, progress=ShardProgress(on_record=interrupt))
    names = sorted(path.name for path in out.iterdir())
    assert names == ["labels.txt", "train.partial.json", "train_000.tfrecord", "train_001.tfrecord"]
    started = []
    progress = ShardProgress(on_start=started.append)
    assert convert(root, out, progress=progress)[1] == 2
    assert convert(root, out, progress=progress)[1] == 3
    assert started == [11, 0]
    assert len(read(out)) == 32


def damage(path, how):
    data = path.read_bytes()
    if how == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "html":
        path.write_bytes(b"<html>404</html>")
    elif how == "header":
        path.write_bytes(data[:2] + b"\x00" * 40 + data[-200:])
    elif how == "png cut":
        encoded = cv2.imencode(".png", cv2.imread(str(path)))[1].tobytes()
        path.write_bytes(encoded[: len(encoded) // 2])


@pytest.mark.parametrize("how", ["cut", "empty", "html", "header", "png cut"])
def test_a_damaged_image_is_named_with_the_remedy(root, out, how):
    damage(root / "train/n10/n10_4.JPEG", how)
    with pytest.raises(ValueError, match=r"n10_4\.JPEG: .*or leave it out with --skip_damaged"):
        convert(root, out)
    assert not [path for path in out.iterdir() if path.suffix == ".tmp"]
    with pytest.raises(FileNotFoundError, match=r"mobilenetdet imagenet_convert"):
        shard_paths(out, "train", converter="imagenet_convert")


def test_damaged_images_left_out_are_counted_also_after_an_interruption(root, out):
    for number, how in ((1, "cut"), (6, "empty")):
        damage(root / f"train/n10/n10_{number}.JPEG", how)
    notes = []
    manifest, _ = convert(root, out, notes=notes, skip_damaged=True)
    assert (manifest.num_frames, manifest.num_skipped) == (30, 2)
    assert len(notes) == 2 and all(note.startswith("left out: ") for note in notes)
    assert "n10_1.JPEG" in "".join(notes)
    again, num_kept = convert(root, out, skip_damaged=True)
    assert (again, num_kept) == (manifest, 3)


def test_what_is_no_colour_jpeg_is_reencoded_and_named(root, out):
    pixels = cv2.imread(str(root / "train/n10/n10_0.JPEG"))[..., ::-1]
    Image.fromarray(pixels).save(root / "train/n10/n10_0.JPEG", "PNG")
    Image.fromarray(pixels).convert("CMYK").save(root / "train/n10/n10_1.JPEG", quality=95)
    Image.fromarray(pixels).save(root / "train/n10/n10_2.bmp")
    Image.fromarray(pixels).convert("L").save(root / "train/n10/n10_3.JPEG", quality=95)
    notes = []
    convert(root, out, notes=notes)
    assert sorted(note.rsplit("/", 1)[1] for note in notes) == [
        "n10_0.JPEG (PNG)",
        "n10_1.JPEG (CMYK JPEG)",
        "n10_2.bmp (another format)",
    ]
    examples = read(out)
    for name in ("n10_0.JPEG", "n10_1.JPEG", "n10_2.bmp", "n10_3.JPEG"):
        encoded = examples[name]["image/encoded"]
        decoded = tf.io.decode_and_crop_jpeg(encoded, [0, 0, *pixels.shape[:2]], 3).numpy()
        difference = np.abs(decoded.astype(int) - pixels).mean()
        assert difference < (60 if name == "n10_3.JPEG" else 12), name
        assert examples[name]["image/height"] == pixels.shape[0]


def test_files_of_others_stay(root, out):
    """No list of classes is replaced, and no JSON file renamed, that no conversion has written."""
    out.mkdir()
    (out / "notes.json").write_text("{}")
    (out / "labels.txt").write_text("cat\ndog\n")
    with pytest.raises(FileExistsError, match=r"labels\.txt lists other classes.*--overwrite"):
        convert(root, out)
    assert (out / "labels.txt").read_text() == "cat\ndog\n"
    convert(root, out, overwrite=True)
    assert (out / "labels.txt").read_text().startswith("n01\tn01\n")
    shutil.rmtree(root / "train/n02")
    convert(root, out)
    assert (out / "notes.json").read_text() == "{}"


def test_a_shard_that_was_changed_stays(root, out):
    convert(root, out)
    (out / "train_001.tfrecord").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match=r"train_001\.tfrecord has 4 bytes .*--overwrite"):
        convert(root, out, num_shards=1)
    assert len(list(out.glob("train_*"))) == 3
    assert convert(root, out, overwrite=True)[0].num_frames == 32


def test_a_split_that_is_a_path(root, out):
    with pytest.raises(ValueError, match=r"images: '\.\./images/train' is no name of a split"):
        convert(root, out, "../images/train")
    assert not out.exists()


def test_a_damaged_list_of_classes(root, out):
    out.mkdir()
    (out / "labels.txt").write_text("n01\n\n")
    with pytest.raises(ValueError, match=r"labels\.txt:2: .*convert again with --overwrite"):
        convert(root, out)
    assert convert(root, out, overwrite=True)[0].num_frames == 32
