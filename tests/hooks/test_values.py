import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from tensordict import TensorDict
from toys import make_trainer

from hookrl.errors import MissingKey
from hookrl.hooks import Minibatches, ValueEstimation
from hookrl.models import ActorCritic
from hookrl.objectives import GAE

VECTOR = spaces.Box(-1.0, 1.0, (3,))
DICT = spaces.Dict({"eye": VECTOR, "body": spaces.Dict({"arm": spaces.Box(-1.0, 1.0, (2,))})})


def actor_critic(space=VECTOR):
    return ActorCritic.from_spaces(space, spaces.Discrete(4), hidden_sizes=(8,))


def observations(space, size, generator):
    """Random observations; nothing in one row tells of another."""
    if isinstance(space, spaces.Dict):
        parts = {name: observations(part, size, generator) for name, part in space.items()}
        return TensorDict(parts, batch_size=size)
    return torch.randn(*size, *space.shape, generator=generator)


def random_batch(envs=2, steps=5, space=VECTOR, seed=0):
    """A batch as a collector gives it, except that next observations are not the following rows."""
    size, generator = (envs, steps), torch.Generator().manual_seed(seed)
    done, terminated = torch.rand(2, *size, 1, generator=generator) < 0.3
    return TensorDict(
        {
            "observation": observations(space, size, generator),
            "action": torch.randint(4, size, generator=generator),
            "next": {
                "observation": observations(space, size, generator),
                "reward": torch.randn(*size, 1, generator=generator),
                "done": done,
                "terminated": terminated & done,
            },
        },
        batch_size=size,
    )


def estimation(network, **options):
    return ValueEstimation(network, GAE(0.9, 0.8), **options)


@pytest.mark.parametrize("space", [VECTOR, DICT], ids=["vector", "dict"])
def test_log_probabilities_and_values_are_those_of_a_pass_over_each_row(space):
    network, batch = actor_critic(space), random_batch(space=space)
    estimation(network)(batch)
    for env in range(2):
        log_prob, _, value = network.evaluate_actions(
            batch["observation"][env], batch["action"][env]
        )
        torch.testing.assert_close(batch["action_log_prob"][env], log_prob.detach())
        torch.testing.assert_close(batch["state_value"][env], value.detach())


@pytest.mark.parametrize("space", [VECTOR, DICT], ids=["vector", "dict"])
@given(envs=st.integers(1, 3), steps=st.integers(1, 6), seed=st.integers(0, 2**31))
def test_the_next_value_is_the_following_rows_but_at_ends_that_of_the_final_observation(
    space, envs, steps, seed
):
    network, batch = actor_critic(space), random_batch(envs, steps, space, seed)
    estimation(network)(batch)
    final = network.value(batch["next", "observation"].reshape(-1, *_event_shape(space)))
    final = final.detach().view(envs, steps, 1)
    for env in range(envs):
        for t in range(steps):
            ends = t == steps - 1 or bool(batch["next", "done"][env, t])
            expected = final[env, t] if ends else batch["state_value"][env, t + 1]
            torch.testing.assert_close(batch["next", "state_value"][env, t], expected)


def _event_shape(space):
    return () if isinstance(space, spaces.Dict) else space.shape


def test_advantages_are_those_of_the_estimator():
    batch = random_batch()
    estimation(actor_critic())(batch)
    expected = GAE(0.9, 0.8)(batch.clone())
    assert torch.equal(batch["advantage"], expected["advantage"])
    assert torch.equal(batch["value_target"], expected["value_target"])


@pytest.mark.parametrize(
    ("key", "shape"), [("action_log_prob", (2, 5)), ("state_value", (2, 5, 1))]
)
def test_what_the_collector_wrote_is_kept(key, shape):
    batch, given_by_collector = random_batch(), torch.full(shape, 0.25)
    batch[key] = given_by_collector.clone()
    estimation(actor_critic())(batch)
    assert torch.equal(batch[key], given_by_collector)


def test_nothing_is_computed_twice_where_the_collector_wrote_everything():
    network, batch = actor_critic(), random_batch()
    estimation(network)(batch)
    network.forward = network.value = None
    kept = batch["next", "state_value"].clone()
    estimation(network)(batch)
    assert torch.equal(batch["next", "state_value"], kept)


def test_the_batch_gains_five_entries_and_keeps_all_others_as_they_were():
    batch, hook = random_batch(), estimation(actor_critic())
    before = batch.clone()
    after = hook(batch)
    assert set(after.keys(True, True)) == {*before.keys(True, True), *hook.writes}
    assert all(torch.equal(after[key], value) for key, value in before.items(True, True))


def test_no_gradient_flows_into_what_was_estimated():
    batch = estimation(actor_critic())(random_batch())
    assert not any(value.requires_grad for value in batch.values(True, True))


def test_a_batch_without_actions_is_refused_with_the_name_of_the_key():
    trainer = make_trainer([random_batch().exclude("action")])
    estimation(actor_critic()).register(trainer)
    with pytest.raises(MissingKey, match="'value_estimation' at 'batch_process' reads .*'action'"):
        trainer.train()


class Judged:
    """What each step of a run saw in the batch, beside what its parameters would say."""

    def __init__(self, *, batches=1, epochs=3, minibatches=2):
        network = actor_critic()
        trainer = make_trainer(
            [random_batch(seed=seed) for seed in range(batches)],
            loss_module=Regression(network),
            optim_steps_per_batch=epochs * minibatches,
        )
        estimation(network, recompute_every=minibatches).register(trainer)
        trainer.register_op("process_optim_batch", self.look)
        Minibatches(minibatches, epochs, keys=["observation"]).register(trainer)
        self.network = network
        self.entries, self.current = [], []
        trainer.train()

    def look(self, batch):
        with torch.no_grad():
            self.current.append(self.network.value(batch["observation"].reshape(-1, 3)))
        self.entries.append(batch.clone())

    def values(self, step):
        return self.entries[step]["state_value"].view(-1, 1)


class Regression(torch.nn.Module):
    """Moves the values at every step."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, sub_batch):
        loss = (self.network.value(sub_batch["observation"]) - 3.0).square().mean()
        return TensorDict({"loss_value": loss}, batch_size=[])


def test_values_are_recomputed_at_the_start_of_every_epoch_with_the_parameters_of_then():
    run = Judged(epochs=3, minibatches=2)
    for first in (0, 2, 4):
        torch.testing.assert_close(run.values(first), run.current[first])


def test_values_stay_within_an_epoch_although_the_parameters_move():
    run = Judged(epochs=3, minibatches=2)
    for first in (0, 2, 4):
        assert torch.equal(run.values(first + 1), run.values(first))
        assert not torch.allclose(run.values(first + 1), run.current[first + 1])


def test_recomputing_leaves_the_log_probabilities_of_the_policy_that_acted():
    run = Judged()
    first, *later = [entries["action_log_prob"] for entries in run.entries]
    assert all(torch.equal(first, log_prob) for log_prob in later)


def test_recomputing_renews_next_values_and_advantages_with_the_values():
    run = Judged(epochs=2, minibatches=1)
    last = run.entries[-1]
    fresh = last.exclude("action_log_prob", "state_value", ("next", "state_value"))
    values = run.current[-1].view(2, 5, 1)
    ends = last["next", "done"].clone()
    ends[:, -1] = True
    assert torch.equal(
        last["next", "state_value"][:, :-1][~ends[:, :-1]], values[:, 1:][~ends[:, :-1]]
    )
    fresh["state_value"], fresh["next", "state_value"] = values, last["next", "state_value"]
    assert torch.equal(last["advantage"], GAE(0.9, 0.8)(fresh)["advantage"])


def test_each_batch_begins_without_recomputing():
    calls = []

    def estimator(batch):
        calls.append(1)
        return GAE(0.9, 0.8)(batch)

    trainer = make_trainer([random_batch(seed=seed) for seed in range(3)], optim_steps_per_batch=5)
    ValueEstimation(actor_critic(), estimator, recompute_every=2).register(trainer)
    trainer.train()
    assert len(calls) == 3 * (1 + 2)  # at the start, before step 2 and before step 4


def test_without_recomputing_nothing_hangs_on_the_inner_loop():
    trainer = make_trainer(0)
    estimation(actor_critic()).register(trainer)
    assert list(trainer.hooks["process_optim_batch"]) == []


def check_captured(space, recompute):
    network = actor_critic(space)
    captured, plain = (estimation(network, recompute_every=1, compile=c) for c in (True, False))
    for seed in (0, 1):
        batch = random_batch(space=space, seed=seed)
        expected = batch.clone()
        for hook, one in ((captured, batch), (plain, expected)):
            hook(one)
            if recompute:
                hook.recompute(one)
                one["state_value"].zero_()
                hook.recompute(one)
        for key in captured.writes:
            torch.testing.assert_close(batch[key], expected[key])
            assert not batch[key].requires_grad
    assert captured._judge.refused is captured._value.refused is None


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("recompute", [False, True], ids=["once", "again"])
@pytest.mark.parametrize("space", [VECTOR, DICT], ids=["vector", "dict"])
def test_a_captured_estimation_is_that_of_the_same_hook_uncaptured(space, recompute):
    check_captured(space, recompute)


def test_it_is_when_compiled():
    check_captured(VECTOR, recompute=True)


@pytest.mark.usefixtures("interpreted")
def test_a_network_that_cannot_be_captured_is_asked_as_ever():
    network, batch = actor_critic(), random_batch()
    expected = estimation(network)(batch.clone())
    forward = network.forward

    def choosy(observation):
        return forward(observation if observation.sum() > 0 else observation.clone())

    network.forward = choosy
    with pytest.warns(UserWarning, match="judging batches is not captured"):
        estimation(network, compile=True)(batch)
    assert torch.equal(batch["advantage"], expected["advantage"])
