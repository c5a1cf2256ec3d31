"""Streets: coordinates, and what lies beside what."""

from dataclasses import replace

import numpy as np
import pytest
from fixtures.scenes import plain_scene

from mobilenetdet.synthetic.camera import CAMERA_HEIGHT
from mobilenetdet.synthetic.street import Street, Strip, sample_street

STRAIGHT = plain_scene().street


@pytest.mark.parametrize(
    ("yaw", "along", "across", "expected"),
    [
        (0.0, 10.0, 2.0, (2.0, 10.0)),
        (np.pi / 2, 10.0, 0.0, (10.0, 0.0)),  # the street runs to the right
        (np.pi / 2, 0.0, 2.0, (0.0, -2.0)),
        (-np.pi / 4, np.sqrt(2), 0.0, (-1.0, 1.0)),
    ],
)
def test_points_stand_on_the_road(yaw, along, across, expected):
    street = replace(STRAIGHT, yaw=yaw)
    ((x, y, z),) = street.points([(along, across)])
    np.testing.assert_allclose((x, z), expected, atol=1e-12)
    assert y == CAMERA_HEIGHT
    np.testing.assert_allclose(street.direction(along, across), (x, 0, z), atol=1e-12)


def test_a_strip_has_its_corners_in_order():
    corners = STRAIGHT.polygon(Strip(1.0, 5.0, -2.0, 3.0, np.ones(3)))
    np.testing.assert_array_equal(corners[:, [0, 2]], [[-2, 1], [-2, 5], [3, 5], [3, 1]])


STREETS = [sample_street(np.random.default_rng(seed)) for seed in range(60)]


def road_of(street: Street) -> tuple[float, float]:
    """The outer edges of the lanes."""
    centres = [centre for centre, _ in street.lanes]
    width = min(np.diff(sorted(centres)))
    return min(centres) - width / 2, max(centres) + width / 2


@pytest.mark.parametrize("street", STREETS)
def test_the_camera_drives_in_a_lane_of_its_own_direction(street):
    own = [centre for centre, heading in street.lanes if heading == 1]
    assert min(abs(centre) for centre in own) < 0.3
    oncoming = [centre for centre, heading in street.lanes if heading == -1]
    assert max(oncoming) < min(own)  # right-hand traffic


@pytest.mark.parametrize("street", STREETS)
def test_nothing_beside_the_road_lies_on_it(street):
    left, right = road_of(street)
    spans = [*street.pavements, *street.verges]
    for low, high in spans:
        assert low < high
        assert high <= left + 0.3 or low >= right - 0.3
    for centre, side in street.parking:
        assert centre < left if side < 0 else centre > right
    for house in street.buildings:
        assert max(house.front, house.back) < left or min(house.front, house.back) > right
        assert abs(house.back) > abs(house.front)


@pytest.mark.parametrize("street", STREETS)
def test_houses_leave_the_side_street_free_and_do_not_overlap(street):
    starts = [house.start for house in street.buildings]
    assert starts == sorted(starts, reverse=True)  # far ones are drawn first
    for side in (-1, 1):
        row = sorted(
            (house.start, house.end) for house in street.buildings if np.sign(house.front) == side
        )
        assert all(end <= start + 1e-9 for (_, end), (start, _) in zip(row, row[1:], strict=False))
        if street.side_street:
            opening, closing = street.side_street
            assert all(end <= opening or start >= closing for start, end in row)


def test_all_kinds_of_streets_occur():
    assert {street.urban for street in STREETS} == {True, False}
    assert {len(street.lanes) for street in STREETS} == {2, 3, 4}
    assert any(street.side_street for street in STREETS)
    assert not all(street.side_street for street in STREETS)
    assert {street.base_material for street in STREETS} == {"grass", "paving"}
    assert all(not street.buildings for street in STREETS if not street.urban)
