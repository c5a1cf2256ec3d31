"""Finding images: folders, archives, archives of archives, and what is wrong with them."""

import shutil
import tarfile

import pytest

from mobilenetdet.classification.image_folders import find_images, locate_split


@pytest.fixture()
def root(tmp_path):
    """train with two classes of two images, val flat with three images."""
    for name in ("b/b_1.JPEG", "b/b_0.JPEG", "a/x.png", "a/y.jpeg"):
        path = tmp_path / "train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 3)
    (tmp_path / "val").mkdir()
    for number in range(3):
        (tmp_path / f"val/val_{number}.JPEG").write_bytes(b"v" * number)
    return tmp_path


EXPECTED = [("a", "x.png"), ("a", "y.jpeg"), ("b", "b_0.JPEG"), ("b", "b_1.JPEG")]


def archive(folder, target, arcname="."):
    with tarfile.open(target, "w") as tar:
        tar.add(folder, arcname)
    return target


def to_class_archives(root):
    """train/a and train/b become train/a.tar and train/b.tar."""
    for name in ("a", "b"):
        archive(root / "train" / name, root / f"train/{name}.tar")
        shutil.rmtree(root / "train" / name)


def as_folders(root):
    pass


def as_archive(root):
    archive(root / "train", root / "train.tar", "train")
    shutil.rmtree(root / "train")


def as_ilsvrc(root):
    to_class_archives(root)
    archive(root / "train", root / "ILSVRC2012_img_train.tar")
    shutil.rmtree(root / "train")


@pytest.mark.parametrize("arrange", [as_folders, as_archive, to_class_archives, as_ilsvrc])
def test_every_arrangement_gives_the_same_images(root, arrange):
    (root / "train/a/.hidden").write_text("")
    (root / "train/Thumbs.db").write_text("")
    arrange(root)
    images = find_images(root, "train")
    assert [(image.class_name, image.name) for image in images] == EXPECTED
    for image in images:
        assert image.read() == f"{image.class_name}/{image.name}".encode() * 3
        assert image.name in str(image)


@pytest.mark.parametrize("packed", [False, True])
def test_images_without_folders_take_their_classes_from_a_list(root, packed):
    if packed:
        archive(root / "val", root / "ILSVRC2012_img_val.tar")
        shutil.rmtree(root / "val")
    with pytest.raises(ValueError, match="without class folders; give --val_labels FILE"):
        find_images(root, "val")
    (root / "list.txt").write_text("b\na\nb\n")
    images = find_images(root, "val", class_list=root / "list.txt")
    found = [(image.class_name, image.name, len(image.read())) for image in images]
    assert found == [("a", "val_1.JPEG", 1), ("b", "val_0.JPEG", 0), ("b", "val_2.JPEG", 2)]
    (root / "list.txt").write_text("b\na\n")
    with pytest.raises(ValueError, match=r"list\.txt has 2 lines, .*val.* 3 images"):
        find_images(root, "val", class_list=root / "list.txt")


@pytest.mark.parametrize("arrange", [as_folders, as_archive, to_class_archives, as_ilsvrc])
def test_classes_without_images_are_named(root, arrange):
    for name in ("empty", "hollow"):
        (root / "train" / name).mkdir()
    if arrange in (to_class_archives, as_ilsvrc):
        for name in ("empty", "hollow"):
            archive(root / "train" / name, root / f"train/{name}.tar")
            (root / "train" / name).rmdir()
    arrange(root)
    with pytest.raises(
        FileNotFoundError, match="2 classes without an image: .*empty.*hollow.*fill"
    ):
        find_images(root, "train")


def test_a_split_that_is_not_there_names_the_places(root):
    assert locate_split(root, "test") is None
    with pytest.raises(FileNotFoundError, match=r"test\.tar, .*ILSVRC2012_img_test\.tar exists"):
        find_images(root, "test")


def test_a_split_without_anything(root):
    (root / "test").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no class folder"):
        find_images(root, "test")


def test_an_image_beside_the_folders(root):
    (root / "train/lost.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"and .*lost\.jpg beside them"):
        find_images(root, "train")


def test_files_that_are_no_images_are_counted_by_kind(root):
    for name in ("notes.txt", "more.txt", "README"):
        (root / "train/a" / name).write_text("x")
    with pytest.raises(ValueError, match=r"2 with \.txt, 1 with no suffix\): .*README.*move them"):
        find_images(root, "train")


@pytest.mark.parametrize(
    "damage", [lambda data: data[:700], lambda data: b"\x1f\x8b" + data, lambda data: b"junk" * 99]
)
def test_a_damaged_archive_is_named(root, damage):
    as_archive(root)
    path = root / "train.tar"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"train\.tar is damaged, cut off or compressed"):
        find_images(root, "train")
