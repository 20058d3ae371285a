from types import SimpleNamespace

from toys import make_trainer

from hookrl.hooks import UTDRHook


def test_the_ratio_is_updates_per_collected_frame():
    trainer = make_trainer(3)
    UTDRHook(trainer).register(trainer)
    trainer.train()
    assert trainer.logger.rows[-1] == (
        30,
        {"utd_ratio": 6 / 30, "write_count": 30.0, "update_count": 6.0},
    )


def test_transitions_are_those_that_the_replay_buffer_took_in():
    trainer = make_trainer(1)
    trainer.replay_buffer = SimpleNamespace(write_count=8)
    UTDRHook(trainer).register(trainer)
    trainer.train()
    assert trainer.logger.rows[-1][1]["utd_ratio"] == 2 / 8


def test_without_data_there_is_no_ratio():
    trainer = make_trainer(0)
    trainer.replay_buffer = SimpleNamespace(write_count=0)
    assert UTDRHook(trainer)(None) is None
