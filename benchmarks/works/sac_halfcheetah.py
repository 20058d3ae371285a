"""SAC on HalfCheetah-v5, where matrix products take the time."""

from benchmarks.work import Work
from benchmarks.works.sides import CAPTURED, CLEANRL_SAC, HOOKRL, SB3, with_changes, with_mujoco
from hookrl.configs import PerceptronConfig, ReplayConfig, SACConfig

SAC_HALFCHEETAH = Work(
    name="sac_halfcheetah",
    title="SAC on HalfCheetah-v5: one update per frame, batch 256, 256×256 relu",
    config=SACConfig(
        env="HalfCheetah-v5",
        total_frames=8_000,
        num_envs=1,
        train_frequency=1,
        gradient_steps=1,
        replay=ReplayConfig(capacity=1_000_000, batch_size=256, learning_starts=1_000),
        gamma=0.99,
        tau=0.005,
        learning_rate=3e-4,
        network=PerceptronConfig(hidden_sizes=(256, 256), activation="relu"),
    ),
    warm_up=1_200,
    sides=with_mujoco(
        HOOKRL,
        CAPTURED,
        with_changes(HOOKRL, "hookrl-medium", matmul_precision="medium"),
        with_changes(CAPTURED, "hookrl-captured-medium", matmul_precision="medium"),
        SB3,
        CLEANRL_SAC,
    ),
    notes=(
        "*medium* is `matmul_precision=medium`: factors of matrix products are rounded to "
        "bfloat16. All other sides multiply in full float32.",
        "The logarithm of the standard deviation is squashed into (-5, 2), as in CleanRL; "
        "Stable-Baselines3 cuts it off at -20 and 2.",
    ),
)
