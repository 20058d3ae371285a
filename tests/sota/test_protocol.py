import dataclasses
import json
from concurrent.futures import Future

import pytest

from sota import (
    dqn_acrobot,
    dqn_acrobot_prioritized,
    dqn_cartpole,
    dqn_cartpole_zoo,
    ppo_cartpole,
    ppo_cartpole_zoo,
    ppo_pendulum,
    protocol,
    sac_pendulum,
)
from sota.figures import draw_row
from sota.report import report
from sota.row import FAST, HOOKRL, SB3
from sota.store import Results, read

ROWS = [module.ROW for module in (ppo_cartpole, ppo_cartpole_zoo, ppo_pendulum)]
ROW = ROWS[0]
DQN_ROWS = [module.ROW for module in (dqn_cartpole, dqn_cartpole_zoo, dqn_acrobot)]


def run(score):
    return {
        "mean": score,
        "std": 1.0,
        "returns": [score - 1.0, score + 1.0],
        "frames": 512,
        "seconds": 0.1,
        "versions": {"python": "3"},
    }


class NoPool:
    """Runs in this process whatever is submitted."""

    def __init__(self, *_, **__):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, function, *arguments):
        future = Future()
        try:
            future.set_result(function(*arguments))
        except BaseException as error:
            future.set_exception(error)
        return future

    def shutdown(self, **_):
        pass


@pytest.fixture
def made(monkeypatch):
    """Which runs were made, instead of making them."""
    calls = []

    def run_one(row, side, seed):
        calls.append((side, seed))
        return run(100.0 + seed)

    monkeypatch.setattr(protocol, "run_one", run_one)
    monkeypatch.setattr(protocol, "ProcessPoolExecutor", NoPool)
    monkeypatch.setattr(protocol, "ONE_THREAD", {})
    return calls


def with_gamma(gamma):
    return dataclasses.replace(ROW, hookrl=dataclasses.replace(ROW.hookrl, gamma=gamma))


def test_every_seed_is_run_on_every_side(tmp_path, made):
    protocol.reproduce(ROW, seeds=[0, 1], directory=tmp_path)
    assert sorted(made) == sorted((side, seed) for side in (HOOKRL, FAST, SB3) for seed in (0, 1))


def test_only_what_is_missing_is_run(tmp_path, made):
    protocol.reproduce(ROW, seeds=[0], directory=tmp_path)
    made.clear()
    protocol.reproduce(ROW, seeds=[0, 1], sides=[HOOKRL], directory=tmp_path)
    assert made == [(HOOKRL, 1)]


def test_runs_that_were_finished_before_a_failure_are_kept(tmp_path, made, monkeypatch):
    succeed = protocol.run_one

    def fail_at_seed_2(row, side, seed):
        if seed == 2:
            raise KeyboardInterrupt
        return succeed(row, side, seed)

    monkeypatch.setattr(protocol, "run_one", fail_at_seed_2)
    monkeypatch.setattr(protocol, "as_completed", list)  # in order of submission
    with pytest.raises(KeyboardInterrupt):
        protocol.reproduce(ROW, seeds=range(4), sides=[HOOKRL], directory=tmp_path)
    assert protocol.scores(protocol.open_results(ROW, tmp_path).runs[HOOKRL]) == [100.0, 101.0]


def test_a_changed_setting_invalidates_our_sides_and_says_which(tmp_path, made, capsys):
    protocol.reproduce(ROW, seeds=[0], directory=tmp_path)
    made.clear()
    protocol.reproduce(with_gamma(0.5), seeds=[0], directory=tmp_path)
    assert made == [(HOOKRL, 0), (FAST, 0)]
    assert "gamma: 0.99 → 0.5" in capsys.readouterr().out


def test_results_of_other_settings_stay_until_there_are_new_ones(tmp_path, made):
    protocol.reproduce(ROW, seeds=[0], directory=tmp_path)
    assert not protocol.open_results(with_gamma(0.5), tmp_path).runs[HOOKRL]
    assert protocol.open_results(ROW, tmp_path).runs[HOOKRL]


def test_more_evaluation_episodes_invalidate_every_side(tmp_path, made, monkeypatch):
    protocol.reproduce(ROW, seeds=[0], directory=tmp_path)
    monkeypatch.setattr(protocol, "EVALUATION", {"episodes": 7, "seed": 0})
    assert set(protocol.open_results(ROW, tmp_path).discarded) == {HOOKRL, FAST, SB3}


def test_settings_without_effect_on_the_result_do_not_invalidate(tmp_path, made):
    protocol.reproduce(ROW, seeds=[0], directory=tmp_path)
    config = dataclasses.replace(ROW.hookrl, seed=5, progress_bar=False, log_interval=0)
    assert not protocol.open_results(dataclasses.replace(ROW, hookrl=config), tmp_path).discarded


def test_stored_runs_come_back_as_they_were(tmp_path):
    results = Results(tmp_path / "a.json", {}, {"a": {"sizes": (64, 64)}})
    results.add("a", 10, run(3.0))
    results.add("a", 2, run(-0.5))
    again = Results(tmp_path / "a.json", {}, {"a": {"sizes": (64, 64)}})
    assert again.runs == {"a": {2: run(-0.5), 10: run(3.0)}}


def test_returns_are_stored_in_one_line(tmp_path):
    results = Results(tmp_path / "a.json", {}, {"a": {}})
    results.add("a", 0, run(3.0))
    assert '"returns": [2.0, 4.0]' in (tmp_path / "a.json").read_text()


def test_scores_are_in_the_order_of_the_seeds_as_numbers():
    assert protocol.scores({"10": run(3.0), "9": run(2.0)}) == [2.0, 3.0]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_both_sides_have_the_same_settings(row):
    ours, theirs = row.hookrl, row.peer.arguments
    rate = theirs["learning_rate"]
    falls = isinstance(rate, str)
    networks = theirs["policy_kwargs"]["net_arch"]
    assert row.peer.n_envs == ours.num_envs
    assert theirs["n_steps"] == ours.steps_per_env
    assert theirs["batch_size"] * ours.minibatches == ours.num_envs * ours.steps_per_env
    assert theirs["n_epochs"] == ours.epochs
    assert float(rate.removeprefix("lin_") if falls else rate) == ours.learning_rate
    assert falls == ours.anneal_learning_rate
    assert theirs["gamma"] == ours.gamma
    assert theirs["gae_lambda"] == ours.gae_lambda
    assert theirs["clip_range"] == ours.clip_epsilon
    assert theirs["clip_range_vf"] == ours.clip_value
    assert theirs["ent_coef"] == ours.entropy_coeff
    assert theirs["vf_coef"] == ours.critic_coeff
    assert theirs["max_grad_norm"] == ours.max_grad_norm
    assert theirs["policy_kwargs"]["optimizer_kwargs"]["eps"] == ours.adam_eps
    assert tuple(networks["pi"]) == tuple(networks["vf"]) == ours.network.hidden_sizes


@pytest.mark.parametrize("row", [*DQN_ROWS, sac_pendulum.ROW], ids=lambda row: row.name)
def test_both_sides_of_replay_have_the_same_settings(row):
    ours, theirs = row.hookrl, row.peer.arguments
    assert row.peer.n_envs == ours.num_envs
    assert theirs["train_freq"] == ours.train_frequency
    assert theirs["gradient_steps"] == ours.gradient_steps
    assert theirs["buffer_size"] == ours.replay.capacity
    assert theirs["batch_size"] == ours.replay.batch_size
    assert theirs["learning_starts"] == ours.replay.learning_starts
    assert theirs["gamma"] == ours.gamma
    assert theirs["tau"] == ours.tau
    assert theirs["learning_rate"] == ours.learning_rate
    assert tuple(theirs["policy_kwargs"]["net_arch"]) == ours.network.hidden_sizes


@pytest.mark.parametrize("row", DQN_ROWS, ids=lambda row: row.name)
def test_both_sides_of_dqn_explore_and_learn_alike(row):
    ours, theirs = row.hookrl, row.peer.arguments
    assert theirs["exploration_initial_eps"] == ours.epsilon_start
    assert theirs["exploration_final_eps"] == ours.epsilon_end
    assert theirs["exploration_fraction"] == ours.exploration_fraction
    assert row.peer.squared_error == (ours.loss_function == "l2")
    assert theirs["max_grad_norm"] == (ours.max_grad_norm or 1e9)
    frames = ours.target_interval * ours.train_frequency // ours.gradient_steps
    # A shorter interval than a training takes has no effect before the training is over.
    assert max(theirs["target_update_interval"], ours.train_frequency) == frames


def test_prioritized_and_uniform_replay_differ_in_that_alone():
    row = dqn_acrobot_prioritized.ROW
    prioritized, _, uniform = row.settings().values()
    assert prioritized.pop("replay") == {**uniform.pop("replay"), "prioritized": True}
    assert prioritized == uniform


def test_a_run_of_another_row_with_the_same_settings_is_not_made_again(tmp_path, made):
    protocol.reproduce(dqn_acrobot.ROW, seeds=[0], directory=tmp_path)
    made.clear()
    protocol.reproduce(dqn_acrobot_prioritized.ROW, seeds=[0], directory=tmp_path)
    assert made == [(HOOKRL, 0), (FAST, 0)]
    row = dqn_acrobot_prioritized.ROW
    stored = read(tmp_path / f"{row.name}.json")["sides"][row.peer.name]["runs"]
    assert stored == {"0": run(100.0)}


def test_report_says_whether_the_target_is_met_and_who_is_worse(tmp_path):
    results = protocol.open_results(ROW, tmp_path)
    for seed in range(10):
        results.add(HOOKRL, seed, run(400.0 + seed))
        results.add(SB3, seed, run(480.0 + seed))
    text = report(tmp_path)
    assert "404.5 [" in text
    assert "IQM ≥ 490: **missed**" in text
    assert "−80.0 [" in text
    assert "]: worse" in text


def test_report_compares_fast_paths_with_the_same_training_without(tmp_path):
    results = protocol.open_results(ROW, tmp_path)
    for seed in range(10):
        results.add(HOOKRL, seed, run(490.0 + seed))
        results.add(FAST, seed, run(470.0 + seed))
    (line,) = [line for line in report(tmp_path).splitlines() if "| 10 | 474.5 [" in line]
    assert "| −20.0 [" in line
    assert line.endswith("]: worse | IQM ≥ 490: **missed** |")


def test_report_of_an_unfinished_row_has_gaps(tmp_path):
    protocol.open_results(ROW, tmp_path).add(HOOKRL, 3, run(500.0))
    text = report(tmp_path)
    assert "| 1 + 0 |" in text
    assert "| 3 | 500.0 ± 1.0 | 0 | – | – | – | – |" in text


def test_a_row_without_a_target_is_drawn_and_compared(tmp_path):
    results = protocol.open_results(dqn_cartpole_zoo.ROW, tmp_path)
    for side in (HOOKRL, FAST, SB3):
        results.add(side, 0, run(480.0))
    assert "not worse" in report(tmp_path)
    draw_row(read(results.path), tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5_000


def test_files_of_results_are_plain_json(tmp_path):
    protocol.open_results(ROW, tmp_path).add(HOOKRL, 0, run(500.0))
    path = tmp_path / "ppo_cartpole.json"
    assert read(path) == json.loads(path.read_text())
    assert [p.name for p in tmp_path.iterdir()] == ["ppo_cartpole.json"]
