import cv2
import pytest
from fixtures.label_folders import draw_picture, frame_table, lines_of, run_import

from mobilenetdet.kitti.layout import KittiLayout

OBJECT = """<object><name>{name}</name><pose>Left</pose>{flags}
<bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax></bndbox>{more}</object>"""


def an_object(*sides, name="dog", flags="", more=""):
    return OBJECT.format(*sides, name=name, flags=flags, more=more)


def write_voc(root, objects, stem="2007_1", filename="2007_1.jpg"):
    draw_picture(root / f"JPEGImages/{stem}.jpg")
    (root / "Annotations").mkdir(exist_ok=True)
    (root / f"Annotations/{stem}.xml").write_text(
        f"<annotation><filename>{filename}</filename><size><width>200</width><height>100</height>"
        f"<depth>3</depth></size>{objects}</annotation>"
    )
    return root


def columns(out, frame_id="2007_1"):
    """Truncation and occlusion of each object."""
    text = KittiLayout(out).label_path(frame_id).read_text()
    return [" ".join(line.split()[1:3]) for line in text.splitlines()]


def test_pixels_count_from_one_and_ends_belong_to_the_box(tmp_path):
    objects = an_object(1, 1, 200, 100) + an_object(48.5, 24, 19.5, 37.25)
    objects += an_object(10, 10, 10, 10)  # one pixel
    report = run_import("voc", write_voc(tmp_path / "in", objects), tmp_path / "out")
    assert lines_of(tmp_path / "out", "2007_1") == [
        "dog 0.00 0.00 200.00 100.00",
        "dog 9.00 9.00 10.00 10.00",
    ]
    (line,) = report.notes.lines()
    assert (
        line == "boxes without area were left out: 1 (JPEGImages/2007_1.jpg dog 47.5 23 19.5 37.25)"
    )


@pytest.mark.parametrize(
    ("flags", "more", "expected"),
    [
        ("", "", "-1 -1"),
        ("<truncated>1</truncated><occluded>0</occluded>", "", "0.30 0"),
        ("<truncated>0</truncated><occluded>1</occluded>", "", "0.00 1"),
        ("<truncated>0.45</truncated>", "", "0.45 -1"),
        ("<truncated>1</truncated><difficult>1</difficult>", "", "0.30 3"),
        (
            "<truncated>1</truncated>",
            "<attributes><attribute><name>truncated</name><value>0.7</value></attribute>"
            "<attribute><name>gender</name><value>?</value></attribute></attributes>",
            "0.70 -1",
        ),
    ],
)
def test_flags_are_truncation_and_occlusion(tmp_path, flags, more, expected):
    root = write_voc(tmp_path / "in", an_object(1, 1, 9, 9, flags=flags, more=more))
    report = run_import("voc", root, tmp_path / "out")
    assert columns(tmp_path / "out") == [expected]
    assert ("difficult objects do not count (occlusion 3)" in report.notes.names) == (
        "difficult" in flags
    )


def test_lists_and_pictures_without_labels(tmp_path):
    root = write_voc(tmp_path / "in", an_object(1, 1, 9, 9))
    write_voc(root, "", stem="2", filename="no suffix")
    draw_picture(root / "JPEGImages/3.jpg")
    (root / "ImageSets/Main").mkdir(parents=True)
    for name, text in (("train", "2007_1\n"), ("val", "2\n9\n"), ("trainval", "2007_1\n2\n")):
        (root / f"ImageSets/Main/{name}.txt").write_text(text)
    (root / "ImageSets/Main/dog_train.txt").write_text("2007_1  1\n")
    report = run_import("voc", root, tmp_path / "out")
    assert report.splits == {"train": 1, "trainval": 2, "val": 1} and report.num_empty == 1
    assert report.notes.names == {
        "lists of single classes in ImageSets/Main were not read": ["dog_train.txt"],
        "names in ImageSets/Main have no XML file, and were left out": ["9"],
        "pictures without labels were left out": ["3.jpg"],
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<annotation><object/></annotation>", "an <object> without <name>"),
        ("<annotation><object><name>a</name></object></annotation>", "without <bndbox>"),
        (f"<annotation>{an_object('a', 1, 2, 3)}</annotation>", "xmin is 'a'; it must be"),
        ("<annotation><filename>../x.jpg</filename></annotation>", "outside of"),
        ("<annotations/>", "holds <annotations>, not <annotation>"),
        ("<annotation>", "is no XML"),
        (
            '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><annotation>&c;</annotation>',
            "declares a document type",
        ),
        ("<annotation><filename>&xxe;</filename></annotation>", "is no XML"),
    ],
)
def test_damaged_files_are_told(tmp_path, content, message):
    root = write_voc(tmp_path / "in", "")
    (root / "Annotations/2007_1.xml").write_text(content)
    with pytest.raises(ValueError, match=message):
        run_import("voc", root, tmp_path / "out")


def test_a_folder_without_labels_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no Annotations"):
        run_import("voc", tmp_path, tmp_path / "out")


def test_pictures_of_another_size_than_said_are_noted(tmp_path):
    root = write_voc(tmp_path / "in", an_object(1, 1, 9, 9))
    draw_picture(root / "JPEGImages/2007_1.jpg", (100, 200))
    report = run_import("voc", root, tmp_path / "out")
    assert "2007_1.jpg (100x200, not 200x100)" in report.notes.lines()[0]


def test_lists_and_pictures_in_folders_belong_to_their_xml_files(tmp_path):
    root, names = tmp_path / "in", ["cam_a/1", "cam_b/1", "cam_b/2"]
    for index, name in enumerate(names):
        draw_picture(root / f"JPEGImages/{name}.jpg", (200 + index, 100))
        path = root / f"Annotations/{name}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"<annotation><filename>{name[-1]}.jpg</filename></annotation>")
    lists = root / "ImageSets/Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("cam_a/1\n1\n")
    (lists / "val.txt").write_text("cam_b/1\n2\n")
    report = run_import("voc", root, tmp_path / "out")
    layout = KittiLayout(tmp_path / "out")
    assert layout.read_image_set("train") == ["cam_a_1"]
    assert layout.read_image_set("val") == ["cam_b_1", "2"]
    # Two files end in 1, so that the name alone means none of them.
    assert list(report.notes.names.values()) == [["1"]]
    widths = [cv2.imread(str(layout.image_path(each))).shape[1] for each in ("cam_a_1", "cam_b_1")]
    assert widths == [200, 201]


def test_paths_of_another_machine_lead_to_the_folder_that_is_named(tmp_path):
    root = write_voc(tmp_path / "in", "")
    picture = next((root / "JPEGImages").iterdir())
    text = f"<annotation><filename>/home/anna/{picture.name}</filename></annotation>"
    (root / "Annotations/2007_1.xml").write_text(text)
    with pytest.raises(ValueError, match="name the folder of the pictures with --image_dir"):
        run_import("voc", root, tmp_path / "out")
    run_import("voc", root, tmp_path / "out", image_dir=root / "JPEGImages")
    assert frame_table(tmp_path / "out")[0][1] == f"JPEGImages/{picture.name}"
