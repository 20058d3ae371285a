"""Trainers that a configuration describes."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Self

from hookrl.configs import RunConfig
from hookrl.hooks import matmul_precision, torch_threads
from hookrl.loggers import RunDirectory
from hookrl.loggers.run_directory import is_in_use
from hookrl.trainers.assembly import check_config
from hookrl.trainers.trainer import Trainer


class ConfiguredTrainer(Trainer):
    """A trainer of an algorithm, from ready components or from a configuration."""

    config_type: ClassVar[type[RunConfig]]
    """What `from_config` takes."""

    @classmethod
    def from_config(cls, config: Any, *, resume: bool = False) -> Self:
        """Build environments, networks, loss, optimizers, logger and hooks from a configuration.

        Args:
            config: the settings, a `config_type`.
            resume: go on in a run directory that is there, instead of beginning one.

        Raises:
            InvalidValue: for an unknown environment or device.
            InvalidType: for a config of another kind, or a space that is not supported.
            ExistingFile: if the run directory is in use.
        """
        check_config(config, cls.config_type)
        # As in training: a factorisation's last bits depend on threads and precision.
        with torch_threads(config.torch_threads), matmul_precision(config.matmul_precision):
            if config.run_dir is None or resume or is_in_use(config.run_dir):
                return cls._build(config, resume)
            try:
                return cls._build(config, resume)
            except BaseException:
                # Whoever corrects the mistake begins the run anew.
                RunDirectory(config.run_dir).remove_files()
                raise

    @classmethod
    @abstractmethod
    def _build(cls, config: Any, resume: bool) -> Self:
        """Do so for a config that was checked."""
