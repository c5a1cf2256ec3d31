import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenetdet.kitti.layout import KittiLayout
from mobilenetdet.kitti.splits import (
    LeakCounts,
    Split,
    count_leaks,
    describe_leaks,
    drive_split,
    list_overlaps,
    published_split,
    random_split,
    read_drive_mapping,
)

FRAMES = [f"{i:06d}" for i in range(20)]
# Five drives: 8, 6, 3, 2 and 1 frames.
MAPPING = {
    frame: (f"drive_{sum(i >= start for start in (8, 14, 17, 19))}", 100 + i)
    for i, frame in enumerate(FRAMES)
}

ids = st.sets(st.integers(0, 9999).map("{:06d}".format), min_size=2, max_size=50)
fractions = st.floats(0.01, 0.99)


def test_frames_in_a_list_to_train_on_and_in_one_to_measure_on(tmp_path):
    layout = KittiLayout(tmp_path)
    assert list_overlaps(layout, []) == []
    layout.write_image_set("train", FRAMES[:12])
    layout.write_image_set("val", FRAMES[12:])
    layout.write_image_set("trainval", FRAMES)
    layout.write_image_set("train_few", FRAMES[:3])
    assert list_overlaps(layout, ["train", "val", "trainval", "train_few"]) == []
    layout.write_image_set("val", FRAMES[8:])
    line = "4 of 12 frames of val.txt are in train.txt, too: 000008, 000009, 000010"
    for splits in (["train", "val"], ["val"], ["train"]):
        assert list_overlaps(layout, splits) == [f"{line}; AP on them flatters"]
    layout.write_image_set("test", FRAMES[2:4])
    found = [line.partition(", too")[0] for line in list_overlaps(layout, ["test", "train_few"])]
    assert found == [
        "1 of 2 frames of test.txt are in train_few.txt",
        "2 of 2 frames of test.txt are in train.txt",
        "4 of 12 frames of val.txt are in train.txt",
    ]


@given(ids, fractions, st.integers())
def test_random_split_divides_every_frame_once(frame_ids, fraction, seed):
    split = random_split(sorted(frame_ids), val_fraction=fraction, seed=seed)
    assert split.trainval == sorted(frame_ids)
    assert split.train == sorted(split.train)
    assert split.train and split.val
    assert abs(len(split.val) - fraction * len(frame_ids)) <= 1
    again = random_split(sorted(frame_ids, reverse=True), val_fraction=fraction, seed=seed)
    assert again == split


def test_random_split_is_fixed_for_ever():
    split = random_split(FRAMES, val_fraction=0.25, seed=0)
    assert split.val == ["000002", "000011", "000013", "000015", "000019"]
    assert split != random_split(FRAMES, val_fraction=0.25, seed=1)


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 1.5, float("nan")])
def test_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(ValueError, match="val_fraction"):
        random_split(FRAMES, val_fraction=fraction, seed=0)
    with pytest.raises(ValueError, match="val_fraction"):
        drive_split(FRAMES, MAPPING, val_fraction=fraction, seed=0)


def test_one_frame_cannot_be_split():
    with pytest.raises(ValueError, match="1 frame cannot"):
        random_split(["000000"], val_fraction=0.5, seed=0)


def test_published_split_has_the_published_sizes():
    split = published_split()
    assert (len(split.train), len(split.val)) == (3712, 3769)
    assert split.trainval == [f"{i:06d}" for i in range(7481)]
    assert split.train == sorted(split.train)


def test_published_split_is_the_one_in_use(shared_dir):
    for name in ("train", "val"):
        text = (shared_dir / f"kitti_labels/chen_split/{name}.txt").read_text()
        assert getattr(published_split(), name) == text.split()


def test_restrict_keeps_what_is_present():
    split = Split(["000000", "000003"], ["000001", "000002"])
    assert split.restrict(["000003", "000001", "000009"]) == Split(["000003"], ["000001"])


@given(fractions, st.integers())
def test_drive_split_keeps_drives_together(fraction, seed):
    split = drive_split(FRAMES, MAPPING, val_fraction=fraction, seed=seed)
    assert split.trainval == FRAMES
    assert split.train and split.val
    assert count_leaks(split, MAPPING).shared_drives == 0
    assert split == drive_split(FRAMES[::-1], MAPPING, val_fraction=fraction, seed=seed)


def test_drive_split_comes_near_the_wished_share():
    for seed in range(20):
        split = drive_split(FRAMES, MAPPING, val_fraction=0.5, seed=seed)
        assert 7 <= len(split.val) <= 13


def test_drive_split_refuses_unknown_frames_and_one_drive():
    with pytest.raises(ValueError, match="1 frames, 000099"):
        drive_split([*FRAMES, "000099"], MAPPING, val_fraction=0.5, seed=0)
    with pytest.raises(ValueError, match="one drive"):
        drive_split(FRAMES[:8], MAPPING, val_fraction=0.5, seed=0)


def write_devkit(folder, mapping: str, rand: str):
    (folder / "mapping").mkdir(parents=True)
    (folder / "mapping/train_mapping.txt").write_text(mapping)
    (folder / "mapping/train_rand.txt").write_text(rand)
    return folder


LINES = (
    "2011_09_26 2011_09_26_drive_0001_sync 0000000000\n"
    "2011_09_26 2011_09_26_drive_0001_sync 0000000010\n"
    "2011_09_28 2011_09_28_drive_0002_sync 0000000007\n"
)


@pytest.mark.parametrize("inside", ["", "mapping"])
def test_drive_mapping_follows_the_permutation(tmp_path, inside):
    folder = write_devkit(tmp_path, LINES, "3,1,2\n")
    assert read_drive_mapping(folder / inside) == {
        "000000": ("2011_09_28_drive_0002_sync", 7),
        "000001": ("2011_09_26_drive_0001_sync", 0),
        "000002": ("2011_09_26_drive_0001_sync", 10),
    }


@pytest.mark.parametrize(
    ("mapping", "rand", "message"),
    [
        (LINES, "3,1,4", r"train_rand\.txt: entry 3 is '4'.*1 to 3"),
        (LINES, "3,0", "entry 2 is '0'"),
        (LINES, "3,-1", "entry 2 is '-1'"),
        (LINES, "a", "entry 1 is 'a'"),
        (LINES + "2011_09_26 drive\n", "1", r"train_mapping\.txt:4"),
        ("2011_09_26 drive x\n", "1", r"train_mapping\.txt:1"),
    ],
)
def test_damaged_mapping_is_named(tmp_path, mapping, rand, message):
    with pytest.raises(ValueError, match=message):
        read_drive_mapping(write_devkit(tmp_path, mapping, rand))


def test_missing_mapping_says_where_it_comes_from(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"train_mapping\.txt.*devkit_object\.zip.*cvlibs"):
        read_drive_mapping(tmp_path)


def test_leaks_are_counted_within_a_second_of_one_drive():
    mapping = {
        "a": ("d1", 100),
        "b": ("d1", 110),  # 1 s after a
        "c": ("d1", 111),  # too late
        "d": ("d2", 101),  # another drive
        "e": ("d1", 90),  # 1 s before a
    }
    split = Split(train=["a", "x"], val=["b", "c", "d", "e"])
    assert count_leaks(split, mapping) == LeakCounts(
        shared_drives=1, val_frames_of_shared_drives=3, near_val_frames=2, unknown_frames=1
    )
    text = "\n".join(describe_leaks(split, "random", mapping))
    assert "1 drives on both sides, with 3 of the 4" in text
    assert "2 validation frames have a training frame within 1 s" in text
    assert "1 frames are in no known drive" in text


@pytest.mark.parametrize("method", ["random", "published", "drive"])
def test_leaks_are_told_in_words_without_a_mapping(method):
    lines = describe_leaks(Split(["000000"], ["000001"]), method)
    assert "drive" in lines[0]
    assert "--devkit_dir" in lines[1]


def test_pictures_of_others_have_no_drives():
    (line,) = describe_leaks(Split(["IMG_1"], ["IMG_2"]), "random")
    assert "taken one after the other" in line and "drive" not in line
    assert "drive" in describe_leaks(Split(["000001"], ["000002"]), "random")[0]
