import pytest
import torch
from tensordict import TensorDict
from toys import make_batch, make_trainer

from hookrl.hooks import ExplainedVariance

TARGET = torch.tensor([[1.0, 2.0, 3.0, 4.0]]).unsqueeze(-1)


def explained(value, target=TARGET, mask=None):
    size = target.shape[:2]
    batch = TensorDict({"state_value": value, "value_target": target}, batch_size=size)
    if mask is not None:
        batch["collector", "mask"] = torch.tensor(mask)
    report = ExplainedVariance()(batch)
    return None if report is None else report["train/explained_variance"].item()


@pytest.mark.parametrize(
    ("value", "expected"),
    [(TARGET, 1.0), (torch.full_like(TARGET, 7.0), 0.0), (-TARGET, -3.0)],
    ids=["perfect", "constant", "opposite"],
)
def test_it_is_one_minus_the_share_of_variance_that_is_left(value, expected):
    assert explained(value) == pytest.approx(expected)


def test_frames_that_are_masked_out_do_not_count():
    value = TARGET.clone()
    value[0, 1] = 1000.0
    assert explained(value, mask=[[True, False, True, True]]) == pytest.approx(1.0)


def test_a_batch_without_a_valid_frame_reports_nothing():
    assert explained(TARGET, mask=[[False] * 4]) is None


def test_it_is_taken_before_the_batch_is_learned_from():
    batch = make_batch(1, 4)
    batch["state_value"] = batch["value_target"] = TARGET
    trainer = make_trainer([batch])
    ExplainedVariance().register(trainer)

    def learn(batch):
        batch["state_value"] = torch.zeros(1, 4, 1)

    trainer.register_op("process_optim_batch", learn)
    trainer.train()
    assert trainer.logger.rows[0][1]["train/explained_variance"] == pytest.approx(1.0)
