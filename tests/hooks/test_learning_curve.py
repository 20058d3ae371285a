import pytest
from toys import make_batch, make_trainer

from hookrl.hooks import EpisodeStatistics, LearningCurve
from hookrl.loggers import CSVLogger

PNG = b"\x89PNG"


def drawing_trainer(tmp_path, **options):
    ended = make_batch()
    ended["next", "done"][:, -1] = True
    trainer = make_trainer(
        [make_batch(), ended], logger=CSVLogger(tmp_path / "metrics.csv"), **options
    )
    EpisodeStatistics().register(trainer)
    LearningCurve(tmp_path / "metrics.csv", tmp_path / "curve.png").register(trainer)
    return trainer


def test_the_curve_is_drawn_when_training_ends(tmp_path):
    drawing_trainer(tmp_path).train()
    assert (tmp_path / "curve.png").read_bytes().startswith(PNG)


def test_the_last_row_is_written_before_the_curve_is_drawn(tmp_path):
    drawing_trainer(tmp_path, log_interval=10**9).train()
    assert (tmp_path / "curve.png").exists()


def test_nothing_is_drawn_when_training_failed(tmp_path):
    trainer = drawing_trainer(tmp_path)
    trainer.register_op("post_steps", lambda: 1 / 0, every=2)
    with pytest.raises(ZeroDivisionError):
        trainer.train()
    assert not (tmp_path / "curve.png").exists()


def test_nothing_is_drawn_and_nothing_fails_where_nothing_was_logged(tmp_path):
    drawing_trainer(tmp_path, log_interval=0).train()
    assert list(tmp_path.iterdir()) == []
