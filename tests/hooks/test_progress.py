import gc

import pytest
from toys import make_trainer


def bar_trainer(batches=3, **options):
    trainer = make_trainer(batches, progress_bar=True, **options)
    trainer.register_op(
        "pre_steps_log",
        lambda batch: {"episode/score": trainer.collected_frames / 40, "log_pbar": True},
    )
    trainer.register_op("pre_steps_log", lambda batch: {"hidden": 1.0}, name="hidden")
    return trainer


def test_the_bar_ends_at_the_frames_that_were_collected(capsys):
    bar_trainer(3, total_frames=30).train()
    assert "30.0/30.0" in capsys.readouterr().err


def test_metrics_that_were_logged_for_it_show_with_the_last_part_of_their_name(capsys):
    bar_trainer(3).train()
    # The last row that had been written when the last batch was done: that of frame 20.
    assert "score=0.5]" in capsys.readouterr().err


def test_other_metrics_do_not_show(capsys):
    bar_trainer(3).train()
    assert "hidden" not in capsys.readouterr().err


def test_standard_output_stays_clean(capsys):
    bar_trainer(3).train()
    assert capsys.readouterr().out == ""


def test_a_second_training_goes_on_where_the_first_one_ended(capsys):
    trainer = bar_trainer(1)
    trainer.train()
    capsys.readouterr()
    trainer.train()
    assert "20.0/1.00M" in capsys.readouterr().err


def test_nothing_is_written_after_teardown(capsys):
    trainer = bar_trainer(3)
    bar = trainer.modules["progress_bar"]
    trainer.train()
    capsys.readouterr()
    trainer.collected_frames += 1000
    bar()
    del trainer, bar
    gc.collect()
    assert capsys.readouterr().err == ""


def test_the_bar_is_closed_when_training_fails(capsys):
    trainer = bar_trainer(3)
    trainer.register_op("post_optim", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        trainer.train()
    assert capsys.readouterr().err.endswith("\n")
    del trainer
    gc.collect()
    assert capsys.readouterr().err == ""


def test_a_training_that_fails_before_the_bar_opens_is_torn_down(capsys):
    trainer = bar_trainer(3)
    trainer.register_op("post_steps", lambda: None, name="a", before="nobody")
    with pytest.raises(ValueError, match="nobody"):
        trainer.train()
    assert capsys.readouterr().err == ""


def test_without_a_bar_nothing_is_written(capsys):
    make_trainer(3, progress_bar=False).train()
    assert capsys.readouterr().err == ""
