import pytest

from hookrl.collectors import Collector
from hookrl.errors import InvalidValue


class Counter(Collector):
    collected = 0

    def _collect(self):
        self.collected += 1
        return self.collected


def test_environments_share_a_batch_evenly():
    assert Counter(4, 12).steps_per_env == 3


@pytest.mark.parametrize("frames", [0, 10, -4])
def test_a_batch_that_cannot_be_shared_is_refused(frames):
    with pytest.raises(InvalidValue, match=f"frames_per_batch={frames} for 4 environments"):
        Counter(4, frames)


def test_batches_go_on_where_the_last_iteration_ended():
    collector = Counter(1, 1)
    assert [batch for _, batch in zip(range(2), collector, strict=False)] == [1, 2]
    assert next(iter(collector)) == 3


def test_nothing_is_collected_after_a_shutdown():
    collector = Counter(1, 1)
    collector.shutdown()
    with pytest.raises(InvalidValue, match="shut down.*expected a new one"):
        collector.collect()
    assert collector.collected == 0
