import pytest

from mobilenetdet.kitti.layout import KittiLayout, check_frame_id, parse_frame_ids


@pytest.fixture
def layout(tmp_path):
    images, labels = tmp_path / "training/image_2", tmp_path / "training/label_2"
    images.mkdir(parents=True)
    labels.mkdir()
    for name in ("000002.png", "000000.jpg", "000001.png", "._000009.png", "notes.md"):
        (images / name).touch()
    for name in ("000000.txt", "000002.txt", "000005.txt", ".000007.txt.1.tmp"):
        (labels / name).touch()
    return KittiLayout(tmp_path)


def test_paths(layout, tmp_path):
    training = tmp_path / "training"
    assert layout.image_path("000000") == training / "image_2/000000.jpg"
    assert layout.image_path("000001") == training / "image_2/000001.png"
    assert layout.label_path("000003") == training / "label_2/000003.txt"
    assert layout.calib_path("000003") == training / "calib/000003.txt"
    assert layout.image_set_path("val") == tmp_path / "ImageSets/val.txt"
    testing = KittiLayout(str(tmp_path), subset="testing")
    assert testing.label_path("000000") == tmp_path / "testing/label_2/000000.txt"


def test_lists_of_frames_may_lie_elsewhere(layout, tmp_path):
    outside = KittiLayout(layout.root, split_dir=str(tmp_path / "lists"))
    with pytest.raises(FileNotFoundError, match=r"train\.txt does not .* --output_dir .*lists`"):
        outside.read_image_set("train")
    outside.write_image_set("train", ["000002"])
    assert (tmp_path / "lists/train.txt").read_text() == "000002\n"
    assert outside.read_image_set("train") == ["000002"]
    with pytest.raises(FileNotFoundError, match=r"ImageSets/train\.txt does not") as error:
        layout.read_image_set("train")
    assert "--output_dir" not in str(error.value)


def test_missing_image_names_both_files(layout):
    with pytest.raises(FileNotFoundError, match=r"000005\.png nor \.jpg or \.jpeg"):
        layout.image_path("000005")


def test_frame_ids_are_sorted_and_only_frames(layout):
    assert layout.frame_ids() == ["000000", "000001", "000002"]


def test_a_frame_in_both_formats_is_one_frame(layout):
    (layout.image_dir / "000000.png").touch()
    assert layout.frame_ids() == ["000000", "000001", "000002"]
    assert layout.image_path("000000").suffix == ".png"


def test_folder_without_frames_names_the_download(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"does not exist.*data_object_image_2\.zip"):
        KittiLayout(tmp_path).frame_ids()
    (tmp_path / "training/image_2").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="holds no"):
        KittiLayout(tmp_path).frame_ids()


def test_check_frames_of_the_whole_folder(layout):
    report = layout.check_frames()
    assert report.complete == ["000000", "000002"]
    assert report.missing_labels == ["000001"]
    assert report.missing_images == ["000005"]
    assert report.missing_both == []
    assert report.num_incomplete == 2
    assert report.lines() == ["000001: no label", "000005: no image"]
    assert report.lines(limit=1) == ["000001: no label", "and 1 more"]


def test_check_frames_of_a_list(layout):
    report = layout.check_frames(["000002", "000001", "000042"])
    assert report.complete == ["000002"]
    assert report.lines() == ["000001: no label", "000042: no image, no label"]


def test_check_frames_without_folders(tmp_path):
    assert KittiLayout(tmp_path).check_frames().num_incomplete == 0
    assert KittiLayout(tmp_path).check_frames(["000000"]).missing_both == ["000000"]


def test_image_sets_read_back(layout):
    layout.write_image_set("train", ["000002", "000000"])
    assert layout.image_set_path("train").read_text() == "000002\n000000\n"
    assert layout.read_image_set("train") == ["000002", "000000"]
    layout.write_image_set("train", [])
    assert layout.read_image_set("train") == []
    assert [path.name for path in layout.image_set_path("x").parent.iterdir()] == ["train.txt"]


def test_missing_image_set_names_the_command(layout):
    with pytest.raises(FileNotFoundError, match=r"val\.txt does not exist.*kitti_split\.py"):
        layout.read_image_set("val")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("000000\n000001 1\n", r"val\.txt:2: '000001 1'"),
        ("000000\n\n000001\n000000\n", r"val\.txt:4: frame 000000 is already on line 1"),
    ],
)
def test_damaged_lists_are_named(text, message):
    with pytest.raises(ValueError, match=message):
        parse_frame_ids(text, "val.txt")


def test_real_frames_are_complete(shared_dir):
    report = KittiLayout(shared_dir / "kitti").check_frames()
    assert len(report.complete) == 860
    assert report.num_incomplete == 0


@pytest.mark.parametrize(
    "frame_id", ["../000000", "/etc/x", "a/b", "a\\b", "..", ".hidden", "a\0b"]
)
def test_ids_that_would_be_paths_are_refused(frame_id):
    with pytest.raises(ValueError, match=r"^train\.txt:2: .* is no frame id"):
        parse_frame_ids(f"000000\n{frame_id}\n", "train.txt")


@pytest.mark.parametrize("name", ["../ImageSets/train", "/etc/train", "a\\b", "", "train.partial"])
def test_names_of_splits_that_would_be_paths_are_refused(layout, name):
    for use in (layout.read_image_set, lambda name: layout.write_image_set(name, ["000000"])):
        with pytest.raises(ValueError, match="ImageSets: .* is no name of a split"):
            use(name)
    assert not (layout.root / "ImageSets").exists()


def test_an_empty_id_is_refused():
    with pytest.raises(ValueError, match="a record: '' is no frame id"):
        check_frame_id("", "a record")


@pytest.mark.parametrize("suffix", [".jpeg", ".JPG", ".JPEG", ".PNG"])
def test_images_with_other_suffixes_are_found(tmp_path, suffix):
    layout = KittiLayout(tmp_path)
    for folder in (layout.image_dir, layout.label_dir):
        folder.mkdir(parents=True)
    (layout.image_dir / f"000007{suffix}").touch()
    layout.label_path("000007").touch()
    assert layout.frame_ids() == ["000007"] == layout.check_frames().complete
    assert layout.image_path("000007").name == f"000007{suffix}"
