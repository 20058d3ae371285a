"""SAC on Pendulum-v1 with the hyper-parameters of RL Zoo's ``sac.yml``, 20k frames."""

from hookrl.configs import PerceptronConfig, ReplayConfig, SACConfig
from sota.protocol import main
from sota.row import Row, SB3Settings

ROW = Row(
    name="sac_pendulum",
    title="SAC, RL Zoo's settings",
    hookrl=SACConfig(
        env="Pendulum-v1",
        total_frames=20_000,
        num_envs=1,
        train_frequency=1,
        gradient_steps=1,
        replay=ReplayConfig(capacity=1_000_000, batch_size=256, learning_starts=256),
        gamma=0.99,
        tau=0.005,
        learning_rate=1e-3,
        network=PerceptronConfig(hidden_sizes=(256, 256), activation="relu"),
    ),
    peer=SB3Settings(
        algorithm="SAC",
        n_envs=1,
        arguments={
            "policy": "MlpPolicy",
            "train_freq": 1,
            "gradient_steps": 1,
            "buffer_size": 1_000_000,
            "batch_size": 256,
            "learning_starts": 256,
            "gamma": 0.99,
            "tau": 0.005,
            "learning_rate": 1e-3,
            "policy_kwargs": {"net_arch": [256, 256]},
        },
    ),
    target=-170.0,
    published="RL Zoo −156.9 ± 88.7: one run, deterministic evaluation, ± over episodes",
    notes=(
        "Learning starts after 256 frames, a whole minibatch, instead of 100.",
        "The logarithm of the standard deviation is squashed into (−5, 2), as in CleanRL; "
        "Stable-Baselines3 cuts it off at −20 and 2.",
    ),
)

if __name__ == "__main__":
    main(ROW)
