"""What every training run has, whatever the algorithm."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hookrl.configs.checkpoint import CheckpointConfig
from hookrl.configs.checks import check_choice, check_flag, check_kind, check_number, check_text
from hookrl.configs.evaluation import EvaluationConfig
from hookrl.errors import InvalidValue


@dataclass(kw_only=True, slots=True)
class RunConfig:
    """Environment, budget, seed, evaluation, and what a run leaves behind."""

    env: str = "CartPole-v1"
    """Id of a registered Gymnasium environment."""
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    """Further arguments for making it."""
    num_envs: int = 1
    """Environments that are stepped side by side."""
    vectorization_mode: str = "sync"
    """How: sync, one after the other in this process; async, each in a process of its own;
    vector_entry_point, by the environment's own vectorised form; tensor, by hookrl's form of it in
    tensors, on the device of the networks."""
    total_frames: int = 500_000
    """Environment frames to train for; the last batch may go beyond."""
    frame_skip: int = 1
    """Environment frames per step, where the environment repeats actions; frames count them."""
    seed: int = 0
    """Seeds everything that is random: environments, networks, actions, minibatches."""
    normalize_observation: bool = False
    """Whether observations are brought to mean 0 and variance 1 by running statistics."""
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    """Evaluation while training."""
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    """Checkpoints, in the run's directory."""
    log_interval: int = 2000
    """Frames between rows of metrics; 0: none."""
    run_dir: str | None = None
    """Directory for config, metrics, learning curve and weights; null: nothing is written, but the
    command line makes a name up."""
    overwrite: bool = False
    """Whether a run that is already in run_dir may be replaced."""
    progress_bar: bool = True
    """Whether to show one."""
    torch_threads: int | None = 1
    """Threads of torch on the CPU; more than one only slows small networks down. null: as it
    is."""
    matmul_precision: str = "highest"
    """How precisely float32 matrices are multiplied: highest; high or medium are faster, and not
    exact, where the processor can."""
    keep_freed_memory: bool = True
    """Whether the process keeps up to 1 GiB of memory that it freed, which saves a part of the
    time with large batches."""
    compile: bool | str = False
    """Whether optimization steps, and those of tensor environments, are carried out by a compiled
    graph of the same hooks. It takes seconds to be made, and then less than half the time for small
    networks. auto: if 20,000 of them are planned, or more."""
    overlap_collection: bool = False
    """Whether the next batch is collected, in a thread, while the last one is learned from: a
    policy lag of one batch. It saves time where environments wait, or run in processes of their
    own, and takes a processor."""
    device: str = "cpu"
    """Device of the networks, as torch calls it."""

    def __post_init__(self) -> None:
        check_text(self, "env", "device")
        check_text(self, "run_dir", optional=True)
        check_kind(self, "env_kwargs", dict, "a dict of arguments")
        check_kind(self, "evaluation", EvaluationConfig, "an EvaluationConfig")
        check_kind(self, "checkpoint", CheckpointConfig, "a CheckpointConfig")
        check_number(self, "num_envs", "total_frames", "frame_skip", at_least=1, whole=True)
        check_number(self, "seed", "log_interval", at_least=0, whole=True)
        check_number(self, "torch_threads", at_least=1, whole=True, optional=True)
        check_flag(self, "normalize_observation", "overwrite", "progress_bar", "keep_freed_memory")
        check_flag(self, "overlap_collection")
        if not (isinstance(self.compile, bool) or self.compile == "auto"):
            raise InvalidValue(
                f"compile={self.compile!r} in {type(self).__name__}: expected true, false or auto."
            )
        check_choice(self, "vectorization_mode", ("sync", "async", "vector_entry_point", "tensor"))
        check_choice(self, "matmul_precision", ("highest", "high", "medium"))
        if self.vectorization_mode == "tensor" and self.normalize_observation:
            raise InvalidValue(
                f"normalize_observation=True in {type(self).__name__} with "
                "vectorization_mode='tensor': expected False, since observations are not "
                "normalised on the device."
            )
        if self.vectorization_mode == "tensor" and self.overlap_collection:
            raise InvalidValue(
                f"overlap_collection=True in {type(self).__name__} with "
                "vectorization_mode='tensor': expected False, since such environments are as fast "
                "as learning and share its device."
            )
