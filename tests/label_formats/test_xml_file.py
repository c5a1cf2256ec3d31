import pytest

from mobilenetdet.label_formats.xml_file import number_in, read_xml

BOMB = """<?xml version="1.0"?>
<!DOCTYPE a [<!ENTITY x0 "ha">{}]><a>&x20;</a>"""


@pytest.mark.parametrize(
    "text",
    [
        BOMB.format("".join(f'<!ENTITY x{i + 1} "&x{i};&x{i};">' for i in range(20))),
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        '<!DOCTYPE a SYSTEM "http://example.org/a.dtd"><a/>',
    ],
)
def test_entities_are_refused(tmp_path, text):
    path = tmp_path / "a.xml"
    path.write_text(text)
    with pytest.raises(ValueError, match="a.xml declares a document type"):
        read_xml(path, "a")


def test_text_is_read_whatever_encoding_it_claims(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text('<?xml version="1.0" encoding="utf-16"?><a b="\u00e9"/>', encoding="utf-8")
    assert read_xml(path, "a").get("b") == "\u00e9"
    path.write_text("<a/>", encoding="utf-16")
    with pytest.raises(ValueError, match="UTF-16; save it as UTF-8"):
        read_xml(path, "a")


@pytest.mark.parametrize("value", [None, "", "1,5", "a", "nan", "1e999"])
def test_numbers_are_numbers(value):
    assert number_in(" 1.5", "xmin", "a.xml") == 1.5
    with pytest.raises(ValueError, match=r"a.xml: xmin is .*; it must be a number"):
        number_in(value, "xmin", "a.xml")
