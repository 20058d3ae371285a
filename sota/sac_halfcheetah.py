"""SAC on HalfCheetah-v5 with the hyper-parameters of RL Zoo's ``sac.yml``, for two hours."""

from hookrl.configs import EvaluationConfig, PerceptronConfig, ReplayConfig, SACConfig
from sota.curves import Curve, main

CURVE = Curve(
    name="sac_halfcheetah",
    title="SAC, RL Zoo's settings",
    hookrl=SACConfig(
        env="HalfCheetah-v5",
        total_frames=1_000_000,
        num_envs=1,
        train_frequency=1,
        gradient_steps=1,
        replay=ReplayConfig(capacity=1_000_000, batch_size=256, learning_starts=10_000),
        gamma=0.99,
        tau=0.005,
        learning_rate=3e-4,
        network=PerceptronConfig(hidden_sizes=(256, 256), activation="relu"),
        evaluation=EvaluationConfig(interval=20_000, episodes=10),
    ),
    seeds=(0,),
    hours=2.0,
    published={
        "CleanRL": (9635, 1424, 1_000_000),
        "Tianshou": (12139, 1049, 1_000_000),
        "RL Zoo": (9535, 100, 1_000_000),
        "Spinning Up": (11520, 0, 1_000_000),
    },
    notes=(
        "The logarithm of the standard deviation is squashed into (−5, 2), as in CleanRL; "
        "Stable-Baselines3 cuts it off at −20 and 2.",
    ),
)

if __name__ == "__main__":
    main(CURVE)
