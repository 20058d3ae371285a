from pathlib import Path

from hookrl.configs import EvaluationConfig, PPOConfig
from hookrl.trainers import PPOTrainer

GOLDEN = Path(__file__).parent / "ppo_description.txt"


def test_ppo_is_nothing_but_hooks():
    trainer = PPOTrainer.from_config(
        PPOConfig(
            env="CartPole-v1",
            total_frames=100_000,
            target_kl=0.02,
            recompute_advantages=True,
            normalize_reward=True,
            evaluation=EvaluationConfig(interval=10_000, episodes=2, num_envs=2),
        )
    )
    assert trainer.describe() + "\n" == GOLDEN.read_text()
    trainer.collector.shutdown()
