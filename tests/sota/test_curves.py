import dataclasses
import time

import pytest

from hookrl.testing import tiny_trainer
from sota import ppo_halfcheetah, sac_halfcheetah
from sota.curve_report import curve_sections, curves, draw_curves
from sota.curves import Recorder
from sota.row import HOOKRL

CURVE = ppo_halfcheetah.CURVE


def points(*means):
    return [[50_000 * (i + 1), mean, 10.0] for i, mean in enumerate(means)]


def store(directory, seed=0, **further):
    run = {"frames": 100_000, "seconds": 3600.0, "curve": points(100.0, 50.0), "versions": {}}
    CURVE.open_results(seed, directory).add(HOOKRL, seed, {**run, **further})


@pytest.mark.parametrize("curve", [CURVE, sac_halfcheetah.CURVE], ids=lambda curve: curve.name)
def test_curves_are_evaluated_often_enough_to_be_curves(curve):
    assert curve.hookrl.total_frames >= 20 * curve.hookrl.evaluation.interval > 0


def test_every_seed_has_a_file_of_its_own(tmp_path):
    store(tmp_path, 0)
    store(tmp_path, 1)
    assert [len(contents) for contents in curves(tmp_path).values()] == [2]


def test_another_setting_begins_anew(tmp_path):
    store(tmp_path)
    other = dataclasses.replace(CURVE, hookrl=dataclasses.replace(CURVE.hookrl, gamma=0.5))
    assert CURVE.open_results(0, tmp_path).runs[HOOKRL]
    assert not other.open_results(0, tmp_path).runs[HOOKRL]


def test_every_evaluation_is_kept_when_it_is_made():
    kept = []
    recorder = Recorder(lambda seen: kept.append(list(seen)), deadline=None)
    trainer = tiny_trainer()
    recorder.on_metrics(trainer, {"eval/mean_reward": 1.23456, "eval/std_reward": 0.5})
    recorder.on_metrics(trainer, {"train/loss": 1.0})
    recorder.on_metrics(trainer, {"eval/mean_reward": 2.0, "eval/std_reward": 0.0})
    assert kept == [[[0, 1.23, 0.5]], [[0, 1.23, 0.5], [0, 2.0, 0.0]]]


def test_a_run_whose_time_is_over_stops_after_the_batch():
    trainer = tiny_trainer()
    Recorder(lambda seen: None, deadline=time.monotonic() - 1).register(trainer)
    trainer.register_op("post_steps_log", lambda batch: {"a": 1.0})
    trainer.train()
    assert 0 < trainer.collected_frames < trainer.total_frames


def test_report_of_an_unfinished_run_says_so(tmp_path):
    store(tmp_path)
    text = "\n".join(curve_sections(curves(tmp_path)))
    assert "| 0 | 100,000 | 1.00 | not finished | 100 at 50,000 |" in text
    assert "CleanRL 1,443 ± 46 after 1,000,000 frames" in text


def test_report_of_a_finished_run_has_the_last_weights(tmp_path):
    store(tmp_path, mean=49.6, std=3.2)
    assert "| 50 ± 3 |" in "\n".join(curve_sections(curves(tmp_path)))


def test_last_weights_of_several_seeds_are_put_together(tmp_path):
    for seed, mean in enumerate([0.0, 1_000.0, 1_200.0, 9_000.0]):
        store(tmp_path, seed, mean=mean, std=3.2)
    text = "\n".join(curve_sections(curves(tmp_path)))
    assert "Last weights of 4 seeds: IQM and its 95 % interval 1,100 [" in text


def test_few_seeds_have_no_statistics(tmp_path):
    store(tmp_path, 0, mean=1.0, std=3.2)
    assert "IQM" not in "\n".join(curve_sections(curves(tmp_path)))


def test_without_curves_there_is_no_such_part(tmp_path):
    assert curve_sections(curves(tmp_path)) == []


@pytest.mark.parametrize("seeds", [1, 5])
def test_curves_are_drawn(tmp_path, seeds):
    for seed in range(seeds):
        store(tmp_path, seed)
    (contents,) = curves(tmp_path).values()
    draw_curves(contents, tmp_path / "figures" / "a.png")
    assert (tmp_path / "figures" / "a.png").stat().st_size > 10_000
