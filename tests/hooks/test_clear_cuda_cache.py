import pytest
import torch
from toys import make_trainer

from hookrl.errors import InvalidValue
from hookrl.hooks import ClearCudaCache


@pytest.fixture
def cleared(monkeypatch):
    """At how many frames the cache was emptied."""
    frames = []

    def run(interval, batches, state=None):
        trainer = make_trainer(batches)
        monkeypatch.setattr(
            torch.cuda, "empty_cache", lambda: frames.append(trainer.collected_frames)
        )
        ClearCudaCache(interval).register(trainer)
        if state is not None:
            trainer.load_state_dict(state)
        trainer.train()
        return trainer.state_dict()

    run.frames = frames
    return run


def test_the_cache_is_emptied_ahead_of_every_so_many_inner_loops(cleared):
    cleared(2, batches=5)
    assert cleared.frames == [20, 40]


def test_after_loading_a_state_the_count_goes_on(cleared):
    state = cleared(3, batches=2)
    cleared(3, batches=2, state=state)
    assert cleared.frames == [30]


def test_interval_zero_never_empties_it(cleared):
    cleared(0, batches=3)
    assert cleared.frames == []


def test_a_negative_interval_is_refused():
    with pytest.raises(InvalidValue, match="interval=-1"):
        ClearCudaCache(-1)
