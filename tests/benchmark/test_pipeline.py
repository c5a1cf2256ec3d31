import pytest

from mobilenetdet.benchmark.pipeline import describe_limit, rate_bound

STAGES = {"read": 1.0, "record": 0.0, "decode": 5.0, "letterbox": 2.0, "augment": 2.0}


@pytest.mark.parametrize(("augment", "expected"), [(False, 250.0), (True, 200.0)])
def test_the_bound_is_what_the_workers_could_do(augment, expected):
    assert rate_bound(STAGES, 2, augment=augment) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("share", "png_percent", "said", "not_said"),
    [
        (0.9, 0, ["decode, 5.0 of 10.0 ms"], ["Only", "PNG"]),
        (0.9, 100, ["100 % of the images are PNG", "--jpeg_quality 95"], ["Only"]),
        (0.9, 2, [], ["PNG"]),  # too few to matter
        (0.3, 0, ["Only 30%"], ["PNG"]),
    ],
)
def test_the_limit_is_named(share, png_percent, said, not_said):
    text = describe_limit(STAGES, share, png_percent)
    assert all(words in text for words in said)
    assert not any(words in text for words in not_said)
