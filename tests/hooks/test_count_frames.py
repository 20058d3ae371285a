import torch
from hypothesis import given
from hypothesis import strategies as st
from toys import make_batch, make_trainer

from hookrl.hooks import CountFramesLog


def masked_batch(valid):
    batch = make_batch(1, len(valid))
    batch["collector", "mask"] = torch.tensor([valid])
    return batch


def test_the_count_is_that_of_the_row_not_the_mean_since_the_last():
    trainer = make_trainer(4, log_interval=20)
    CountFramesLog().register(trainer)
    trainer.train()
    assert trainer.logger.rows == [(20, {"n_frames": 20.0}), (40, {"n_frames": 40.0})]


@given(
    st.lists(st.lists(st.booleans(), min_size=1, max_size=6), max_size=5),
    st.integers(1, 4),
)
def test_valid_frames_count_as_often_as_they_are_skipped(batches, frame_skip):
    hook = CountFramesLog(frame_skip)
    for valid in batches:
        hook(masked_batch(valid))
    assert hook.frame_count == frame_skip * sum(map(sum, batches))


def test_the_count_agrees_with_the_trainers():
    trainer = make_trainer([make_batch(), masked_batch([True, False, True])], frame_skip=4)
    hook = CountFramesLog(frame_skip=4)
    hook.register(trainer)
    trainer.train()
    assert hook.frame_count == trainer.collected_frames == 48


def test_counting_goes_on_from_a_restored_state():
    hook, restored = CountFramesLog(), CountFramesLog()
    hook(make_batch())
    restored.load_state_dict(hook.state_dict())
    restored(make_batch())
    assert restored.frame_count == 20


def test_log_pbar_shows_the_count_on_the_progress_bar():
    trainer = make_trainer(2)
    CountFramesLog(log_pbar=True).register(trainer)
    trainer.train()
    assert trainer.progress == {"n_frames": 20.0}
