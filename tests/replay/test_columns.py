import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from replay.reference import Stream
from replay.test_store import assert_like_reference

from hookrl.replay import store
from hookrl.replay.columns import DeviceColumn, HostColumn
from hookrl.replay.samples import Samples

CPU = torch.device("cpu")


def host(tmp_path):
    return HostColumn(6, (2,), torch.float32, most=1000)


def in_a_file(tmp_path):
    return HostColumn(6, (2,), torch.float32, most=1000, directory=tmp_path)


def device(tmp_path):
    return DeviceColumn(6, (2,), torch.float32, CPU)


every_kind = pytest.mark.parametrize("make", [host, in_a_file, device])
on_the_host = pytest.mark.parametrize("make", [host, in_a_file])


@every_kind
def test_rows_stay_when_a_column_grows(make, tmp_path):
    column = make(tmp_path)
    values = torch.arange(12.0).reshape(6, 2)
    column.put(np.arange(6), column.block(values))
    column.grow(1000)
    assert column.rows == 1000
    assert torch.equal(column.gather(np.array([5, 0])), values[[5, 0]])


@on_the_host
def test_a_column_that_grows_stays_where_it_is(make, tmp_path):
    column = make(tmp_path)
    before = column.values.data_ptr()
    column.grow(1000)
    column.put(np.array([999]), column.block(torch.ones(1, 2)))
    assert column.values.data_ptr() == before
    assert column.gather(np.array([999])).tolist() == [[1, 1]]


def test_addresses_alone_take_no_memory():
    rows = 2**40  # 8 TiB
    column = HostColumn(6, (2,), torch.float32, most=rows)
    column.put(np.array([5]), column.block(torch.ones(1, 2)))
    assert column.gather(np.array([5])).tolist() == [[1, 1]]
    assert len(column.values) == rows


@every_kind
def test_blocks_are_compared_to_the_bit(make, tmp_path):
    column = make(tmp_path)
    one = torch.tensor([[[1.0, float("nan")], [0.0, 2.0]]])
    other = torch.tensor([[[1.0, float("nan")], [-0.0, 2.0]]])
    different = column.differ(column.block(one), column.block(other))
    assert different.tolist() == [[False, True]]
    same = column.differ(column.block(one), column.block(one.clone()))
    assert same is None or not same.any()


@every_kind
@pytest.mark.parametrize("steps", [3, 5_000])
def test_zeros_of_either_sign_differ_however_many_there_are(make, tmp_path, steps):
    column = make(tmp_path)
    one = torch.zeros(1, steps, 2)
    other = one.clone()
    other[0, 2, 1] = -0.0
    different = column.differ(column.block(one), column.block(other))
    assert np.flatnonzero(different).tolist() == [2]


@on_the_host
def test_what_was_gathered_can_be_overlaid(make, tmp_path):
    column = make(tmp_path)
    column.put(np.arange(6), column.block(torch.arange(12.0).reshape(6, 2)))
    gathered = torch.zeros(3, 2)
    column.overlay(gathered, np.array([2, 0]), np.array([5, 1], dtype=np.int32))
    assert gathered.tolist() == [[2, 3], [0, 0], [10, 11]]


def test_a_full_disk_is_noticed_before_anything_is_written(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        in_a_file(tmp_path)


class OnDevice(DeviceColumn):
    """What an accelerator's column does, without one."""

    def __init__(self, rows, shape, dtype, *, most, directory):
        super().__init__(rows, shape, dtype, CPU)


@given(
    st.integers(0, 2**31),
    st.integers(1, 5),
    st.integers(1, 12),
    st.lists(st.integers(1, 14), min_size=1, max_size=8),
)
def test_columns_on_a_device_hold_what_those_on_the_host_hold(seed, n_step, steps, lengths):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "HostColumn", OnDevice)
        patch.setattr(Samples, "read", Samples.gather)
        stream = Stream(seed, 2, masked=0.1, breaks=0.1)
        buffer = assert_like_reference(stream, 2 * steps, n_step, lengths)
        assert all(isinstance(column, OnDevice) for column in buffer._store.columns.values())
