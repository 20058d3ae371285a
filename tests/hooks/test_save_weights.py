import pytest
import torch
from toys import QuadraticLoss, make_trainer

from hookrl.hooks import SaveWeights


def saving_trainer(path, batches=1):
    trainer = make_trainer(batches)
    SaveWeights(path, {"loss": trainer.loss_module}).register(trainer)
    return trainer


def test_the_file_is_read_without_executing_anything(tmp_path):
    trainer = saving_trainer(tmp_path / "weights.pt")
    trainer.train()
    saved = torch.load(tmp_path / "weights.pt", weights_only=True)
    assert torch.equal(saved["loss"]["weight"], trainer.loss_module.weight.detach())


def test_every_part_is_saved_under_its_name(tmp_path):
    hook = SaveWeights(tmp_path / "w.pt", {"a": QuadraticLoss(1.0), "b": QuadraticLoss(2.0)})
    hook.on_train_end(make_trainer(0))
    saved = torch.load(tmp_path / "w.pt", weights_only=True)
    assert {name: part["weight"].item() for name, part in saved.items()} == {"a": 1.0, "b": 2.0}


def test_the_weights_are_those_after_the_last_step(tmp_path):
    trainer = saving_trainer(tmp_path / "weights.pt", batches=3)
    trainer.train()
    saved = torch.load(tmp_path / "weights.pt", weights_only=True)
    assert saved["loss"]["weight"].item() == pytest.approx(0.8**6)


def test_a_directory_that_is_not_there_is_made(tmp_path):
    saving_trainer(tmp_path / "new" / "deeper" / "weights.pt").train()
    assert (tmp_path / "new" / "deeper" / "weights.pt").is_file()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_written_when_training_did_not_end_well(tmp_path, error):
    def fail():
        raise error

    trainer = saving_trainer(tmp_path / "weights.pt")
    trainer.register_op("post_steps", fail)
    with pytest.raises(error):
        trainer.train()
    assert list(tmp_path.iterdir()) == []


def test_no_temporary_file_stays(tmp_path):
    saving_trainer(tmp_path / "weights.pt").train()
    assert [file.name for file in tmp_path.iterdir()] == ["weights.pt"]


def test_a_part_that_fails_leaves_the_earlier_file_and_nothing_else(tmp_path):
    class Broken(QuadraticLoss):
        def state_dict(self, *args, **kwargs):
            raise RuntimeError("broken")

    path = tmp_path / "weights.pt"
    SaveWeights(path, {"loss": QuadraticLoss(3.0)}).on_train_end(make_trainer(0))
    with pytest.raises(RuntimeError, match="broken"):
        SaveWeights(path, {"loss": Broken()}).on_train_end(make_trainer(0))
    assert [file.name for file in tmp_path.iterdir()] == ["weights.pt"]
    assert torch.load(path, weights_only=True)["loss"]["weight"].item() == 3.0
