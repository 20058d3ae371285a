from toys import make_trainer

from hookrl.hooks import BufferSize


def test_the_row_holds_the_size_of_the_buffer_as_it_was_last():
    stored = []
    trainer = make_trainer(3, log_interval=20)
    trainer.register_op("batch_process", lambda batch: stored.extend(range(10)))
    BufferSize(stored).register(trainer)
    trainer.train()
    assert trainer.logger.rows == [(20, {"buffer/size": 20.0}), (30, {"buffer/size": 30.0})]
