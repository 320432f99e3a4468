"""Tiles: their cores cover the photo once, and each sees as far around its core as the network does."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from deconvdemo.engine.tiles import plan

quick = settings(max_examples=60, deadline=None)
sides = st.integers(1, 200)
plans = {
    "height": sides,
    "width": sides,
    "size": st.integers(9, 250),
    "radius": st.integers(0, 40),
    "stride": st.sampled_from([1, 2, 3, 4, 8]),
}


@quick
@given(**plans)
def test_cores_cover_the_photo_once(height, width, size, radius, stride):
    times = np.zeros((height, width), int)
    for tile in plan(height, width, size, radius, stride):
        times[tile.core_rows, tile.core_columns] += 1
    assert (times == 1).all()


@quick
@given(**plans)
def test_windows_hold_the_core_and_the_radius_around_it(height, width, size, radius, stride):
    for tile in plan(height, width, size, radius, stride):
        for core, window, length in (
            (tile.core_rows, tile.window_rows, height),
            (tile.core_columns, tile.window_columns, width),
        ):
            assert 0 <= window.start <= max(0, core.start - radius)
            assert min(length, core.stop + radius) <= window.stop <= length
            # the grid of strided layers starts where the whole photo's does
            assert core.start % stride == 0
            assert window.start % stride == 0


@quick
@given(**plans)
def test_no_tile_is_much_larger_than_asked_for(height, width, size, radius, stride):
    tiles = plan(height, width, size, radius, stride)
    largest = max(tile.core_rows.stop - tile.core_rows.start for tile in tiles)
    assert largest < max(size, stride) + stride
    overlap = -(-radius // stride) * stride
    assert all(tile.window_rows.stop - tile.window_rows.start <= largest + 2 * overlap for tile in tiles)


@quick
@given(**plans, smaller=st.integers(1, 100), number=st.integers(0, 10**6))
def test_a_tile_that_was_too_large_is_covered_by_smaller_ones(height, width, size, radius, stride, smaller, number):
    tiles = plan(height, width, size, radius, stride)
    failed = tiles[number % len(tiles)]
    times = np.zeros((height, width), int)
    for tile in plan(height, width, smaller, radius, stride, failed):
        times[tile.core_rows, tile.core_columns] += 1
        assert tile.window_rows.start % stride == 0
        assert tile.window_rows.start <= max(0, tile.core_rows.start - radius)
        assert tile.window_columns.stop >= min(width, tile.core_columns.stop + radius)
    assert (times[failed.core_rows, failed.core_columns] == 1).all()
    assert times.sum() == times[failed.core_rows, failed.core_columns].size


@quick
@given(**plans, scale=st.integers(1, 4))
def test_results_are_put_where_their_cores_were(height, width, size, radius, stride, scale):
    whole = np.arange(height * scale)[:, None] * 10_000 + np.arange(width * scale)
    built = np.empty_like(whole)
    for tile in plan(height, width, size, radius, stride):
        window = tuple(slice(part.start * scale, part.stop * scale) for part in (tile.window_rows, tile.window_columns))
        built[tile.placed(scale)] = whole[window][tile.kept(scale)]
    assert np.array_equal(built, whole)
