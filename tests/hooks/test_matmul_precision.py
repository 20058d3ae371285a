import pytest
import torch
from toys import make_trainer

from hookrl.errors import InvalidValue
from hookrl.hooks import MatmulPrecision, matmul_precision


def precise_trainer(precision):
    trainer, seen = make_trainer(1), []
    MatmulPrecision(precision).register(trainer)
    trainer.register_op("post_steps", lambda: seen.append(torch.get_float32_matmul_precision()))
    return trainer, seen


def test_training_multiplies_as_precisely_as_asked():
    trainer, seen = precise_trainer("medium")
    trainer.train()
    assert seen == ["medium"]
    assert torch.get_float32_matmul_precision() == "highest"


def test_the_process_has_its_own_precision_back_after_an_exception():
    trainer, _ = precise_trainer("high")
    trainer.register_op("post_steps", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        trainer.train()
    assert torch.get_float32_matmul_precision() == "highest"


def test_a_block_has_a_precision_of_its_own():
    with matmul_precision("medium"):
        assert torch.get_float32_matmul_precision() == "medium"
    assert torch.get_float32_matmul_precision() == "highest"


def test_another_word_is_refused_with_the_nearest():
    with pytest.raises(InvalidValue, match="'hihg'.*'high'.*expected one of highest, high, medium"):
        MatmulPrecision("hihg")
