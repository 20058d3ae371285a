import pytest
from tensordict import TensorDict
from toys import QuadraticLoss, make_trainer

from hookrl.hooks import LogLosses


class Diagnostics(QuadraticLoss):
    """Gives 1, 2, 3, … for every entry, step by step."""

    names = ("loss_objective", "loss_critic", "loss_entropy", "entropy", "kl_approx", "mine")

    def __init__(self):
        super().__init__()
        self.steps = 0

    def forward(self, tensordict):
        self.steps += 1
        value = self.weight.detach() * 0 + self.steps
        return TensorDict(
            {**super().forward(tensordict), **{name: value.clone() for name in self.names}}, []
        )


def rows(batches=1, hook=None, **options):
    trainer = make_trainer(batches, loss_module=Diagnostics(), **options)
    (hook or LogLosses()).register(trainer)
    trainer.train()
    return [row for _, row in trainer.logger.rows]


def test_each_entry_is_averaged_over_all_steps_of_its_own_inner_loop():
    assert [row["train/mine"] for row in rows(2, optim_steps_per_batch=3)] == [2.0, 5.0]


@pytest.mark.parametrize(
    "tag", ["train/policy_loss", "train/value_loss", "train/entropy_loss", "train/approx_kl"]
)
def test_well_known_entries_have_their_canonical_names(tag):
    assert tag in rows()[0]


def test_any_other_entry_is_logged_under_its_own_name():
    assert {"train/entropy", "train/mine", "train/loss_value"} <= set(rows()[0])


def test_tags_rename_entries_and_leave_the_others():
    (row,) = rows(hook=LogLosses({"mine": "train/theirs", "kl_approx": "kl"}))
    assert {"train/theirs", "kl", "train/policy_loss"} <= set(row)
    assert not {"train/mine", "train/approx_kl"} & set(row)


def test_means_on_the_host_are_numbers():
    trainer = make_trainer(1)
    hook = LogLosses()
    hook.register(trainer)
    seen = []
    trainer.register_op("post_steps_log", lambda batch: seen.append(hook(batch)))
    trainer.train()
    assert all(type(mean) is float for mean in seen[0].values())


def test_a_batch_without_a_step_reports_nothing():
    assert rows(optim_steps_per_batch=0) == []
