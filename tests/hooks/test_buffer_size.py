import pytest
from toys import make_trainer

from hookrl.errors import InvalidType
from hookrl.hooks import BufferSize


def test_the_row_holds_the_size_of_the_buffer_as_it_was_last():
    stored = []
    trainer = make_trainer(3, log_interval=20)
    trainer.register_op("batch_process", lambda batch: stored.extend(range(10)))
    BufferSize(stored).register(trainer)
    trainer.train()
    assert trainer.logger.rows == [(20, {"buffer/size": 20.0}), (30, {"buffer/size": 30.0})]


def test_without_a_buffer_of_its_own_it_reports_the_trainers():
    trainer = make_trainer(2)
    BufferSize().register(trainer)
    trainer.replay_buffer = range(3)
    trainer.register_op("post_steps", lambda: setattr(trainer, "replay_buffer", range(9)))
    trainer.train()
    assert [row["buffer/size"] for _, row in trainer.logger.rows] == [3, 9]


def test_no_buffer_at_all_is_refused():
    trainer = make_trainer(1)
    BufferSize().register(trainer)
    with pytest.raises(InvalidType, match="BufferSize knows of no replay buffer: expected"):
        trainer.train()
