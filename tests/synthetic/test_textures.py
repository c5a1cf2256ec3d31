"""Pictures that frames share: their sizes, that they repeat without a seam, and never change."""

import numpy as np
import pytest

from mobilenetdet.synthetic import textures

MATERIALS = ("asphalt", "paving", "grass")


@pytest.mark.parametrize("material", MATERIALS)
def test_ground_repeats_tiles_and_keeps_the_brightness(material):
    ground = textures.ground_detail(material)
    size = textures.TILE_PIXELS
    assert ground.shape == (textures.GROUND_TILES * size,) * 2 and ground.dtype == np.uint8
    np.testing.assert_array_equal(ground[:size, :size], ground[size : 2 * size, -size:])
    assert abs(ground[:size, :size].mean() - 128) < 8  # 128 leaves the colour as it is


@pytest.mark.parametrize("picture", [textures.ground_detail("grass"), textures.cloud_cover()])
def test_there_is_no_seam_between_tiles(picture):
    """Steps across the border of two tiles are as small as steps inside of a tile."""
    size = textures.TILE_PIXELS if picture.std() < 40 else 1024
    steps = np.abs(np.diff(picture.astype(int), axis=1))
    assert steps[:, size - 1].mean() < 1.5 * steps[:, : size - 1].mean() + 1


def test_clouds_cover_some_of_the_sky():
    clouds = textures.cloud_cover()
    assert clouds.min() < 60 and clouds.max() > 200 and 100 < clouds.mean() < 156


def test_grain_is_noise_about_the_middle():
    grain = textures.film_grain()
    assert grain.shape == (375 + 256, 1242 + 256, 3)
    assert abs(grain.mean() - 128) < 0.5 and abs(grain.std() - 24) < 0.5
    flat = grain[..., 0].astype(float) - 128
    neighbours = (flat[:, 1:] * flat[:, :-1]).mean() / flat.var()
    assert abs(neighbours) < 0.01  # no pixel tells of the next


@pytest.mark.parametrize("index", [0, 3, textures.NUM_FACADES - 1])
def test_facades_shrink_by_halves(index):
    levels = textures.facade(index)
    for larger, smaller in zip(levels, levels[1:], strict=False):
        expected = [max(side // 2, 1) for side in larger.shape[:2]]
        assert list(smaller.shape[:2]) == expected
        np.testing.assert_allclose(smaller.mean(), larger.mean(), atol=3)
    assert levels[0].shape[2] == 3 and levels[0].dtype == np.uint8
    colour = textures.facade_colour(index)
    assert colour.shape == (3,) and ((0 < colour) & (colour < 1)).all()


def test_facades_differ():
    pictures = {textures.facade(index)[0].tobytes() for index in range(textures.NUM_FACADES)}
    assert len(pictures) == textures.NUM_FACADES


@pytest.mark.parametrize("index", range(6))
def test_crowns_are_round_and_open_at_the_corners(index):
    picture = textures.tree_crown(index)[0]
    alpha = picture[..., 3]
    assert picture.shape[2] == 4 and not alpha[[0, 0, -1, -1], [0, -1, 0, -1]].any()
    middle = alpha[alpha.shape[0] // 2 - 40 : alpha.shape[0] // 2 + 40, 216:296]
    assert (middle > 127).mean() > 0.6
    leaves = picture[alpha > 127][:, :3].mean(axis=0)
    assert leaves[1] >= leaves[2]  # more green than blue


def test_pictures_are_made_once_and_always_the_same():
    first = textures.tree_crown(2)
    assert textures.tree_crown(2) is first
    textures.tree_crown.cache_clear()
    np.testing.assert_array_equal(textures.tree_crown(2)[0], first[0])
