"""All processes together make the batches that one makes of as many shares."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given
from hypothesis import strategies as st

from mobilenetdet.data.batch_share import BatchShare, EpochPlan
from mobilenetdet.data.epoch_order import FILLING
from mobilenetdet.records.record_shares import RecordRange, RecordShare

COUNTS = (7, 0, 8, 7, 1)
TOTAL = sum(COUNTS)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files whose records are their numbers in the split."""
    folder, number, found = tmp_path_factory.mktemp("shares"), 0, []
    for place, count in enumerate(COUNTS):
        path = folder / f"{place}.tfrecord"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for _ in range(count):
                writer.write(str(number).encode())
                number += 1
        found.append((path, count))
    return found


def batches_of(plan, epoch=0, *, seed=0, buffer=8, **options):
    dataset = plan.batches(seed, tf.constant(epoch, tf.int64), shuffle_buffer=buffer, **options)
    return [
        (places.tolist(), [int(record) for record in records])
        for _, places, records in dataset.as_numpy_iterator()
    ]


@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    num_shares=st.integers(1, 4),
    part=st.integers(1, 5),
    devices=st.integers(1, 3),
)
def test_all_shares_give_as_many_records(counts, num_shares, part, devices):
    files = list(zip("abcdefgh", counts, strict=False))
    assume(sum(counts) >= num_shares)
    settings = {"batch_size": part * devices * num_shares, "num_devices": devices * num_shares}
    plan = EpochPlan.of(files, num_shares, **settings)
    largest = max(map(len, plan.shares))
    assert largest <= plan.length < largest + devices
    assert num_shares == 1 or plan.length % devices == 0
    assert plan.steps == -(-largest // (part * devices))
    whole = EpochPlan.of(files, num_shares, drop_remainder=True, **settings)
    assert whole.length == whole.steps * part * devices <= min(map(len, plan.shares))


@pytest.mark.parametrize(
    ("count", "num_shares", "batch_size", "num_devices"),
    [(2, 2, 4, 2), (2, 4, 4, 2), (3, 3, 3, 3), (2, 2, 8, 4), (2, 2, 64, 2)],
)
@pytest.mark.parametrize("readers", [None, 2])
def test_processes_together_make_the_batches_of_one(
    files, count, num_shares, batch_size, num_devices, readers
):
    plan = EpochPlan.of(files, num_shares, batch_size=batch_size, num_devices=num_devices)
    whole = batches_of(plan, num_readers=readers)
    own = [
        batches_of(plan.for_process(BatchShare(index, count, num_devices)), num_readers=readers)
        for index in range(count)
    ]
    assert len(whole) == plan.steps
    for batch, *parts in zip(whole, *own, strict=True):
        assert len({len(places) for places, _ in parts}) == 1
        assert len(batch[0]) % num_devices == 0
        assert batch == tuple(sum(column, []) for column in zip(*parts, strict=True))


@pytest.mark.parametrize("num_shares", [1, 2, 3, 4, 6])
def test_an_epoch_has_every_record_once(files, num_shares):
    plan = EpochPlan.of(files, num_shares, batch_size=12, num_devices=num_shares)
    orders = []
    for epoch in range(2):
        pairs = [
            pair
            for places, records in batches_of(plan, epoch)
            for pair in zip(places, records, strict=True)
        ]
        once = [(place, record) for place, record in pairs if place != FILLING]
        assert sorted(record for _, record in once) == list(range(TOTAL))
        assert sorted(place for place, _ in once) == list(range(TOTAL))
        assert len(pairs) == plan.length * num_shares
        orders.append([record for _, record in once])
    assert orders[0] != orders[1] != sorted(orders[1])


def test_shares_are_shuffled_in_orders_of_their_own(files):
    plan = EpochPlan.of([(files[0][0], 7)], 1, batch_size=7)
    twice = EpochPlan.of([(files[0][0], 7), (files[0][0], 7)], 2, batch_size=14)
    ((_, once),), ((_, both),) = batches_of(plan), batches_of(twice)
    assert sorted(both[:7]) == sorted(both[7:]) == sorted(once)
    assert both[:7] != both[7:]


def test_a_process_opens_no_file_of_another_share(files, tmp_path):
    own = [(path if place < 3 else tmp_path / "gone", n) for place, (path, n) in enumerate(files)]
    plan = EpochPlan.of(own, 2, batch_size=2)
    assert [{part.path for part in share.ranges} for share in plan.shares] == [
        {str(own[0][0]), str(own[2][0])},
        {str(own[2][0]), str(tmp_path / "gone")},
    ]
    assert len(batches_of(plan.for_process(BatchShare(0, 2, 2)))) == plan.steps
    with pytest.raises(tf.errors.NotFoundError):
        batches_of(plan.for_process(BatchShare(1, 2, 2)))


def test_a_share_with_nothing_left_gives_records_without_weight(files):
    parts = [RecordShare(0, (RecordRange(str(files[0][0]), 0, 5),))]
    parts += [RecordShare(5, (RecordRange(str(files[2][0]), 1, 7),))]
    batches = batches_of(EpochPlan(tuple(parts), num_shares=2, part=1, length=7))
    assert [places[0] == FILLING for places, _ in batches] == [False] * 5 + [True] * 2
    assert [records[0] for _, records in batches[5:]] == [0, 1]
    assert sorted(places[1] for places, _ in batches) == list(range(5, 12))


def test_shares_of_records_that_do_not_reach_are_refused(files):
    with pytest.raises(ValueError, match="record_shares is 24, and there are 23 training records"):
        EpochPlan.of(files, 24, batch_size=24)


def test_the_last_incomplete_batch_can_be_left_out(files):
    plan = EpochPlan.of(files, 2, batch_size=8, num_devices=2, drop_remainder=True)
    batches = batches_of(plan)
    assert [len(places) for places, _ in batches] == [8, 8]
    records = np.concatenate([records for _, records in batches])
    assert len(set(records.tolist())) == 16
