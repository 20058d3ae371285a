"""Soft actor-critic for discrete actions: nothing but hooks on the loop, those of SAC.

Christodoulou, "Soft Actor-Critic for Discrete Action Settings" (arXiv:1910.07207).
"""

from __future__ import annotations

import math
from typing import Any, Self

from gymnasium import spaces

from hookrl.collectors import ObservationNormalizer
from hookrl.configs import DiscreteSACConfig
from hookrl.models import CategoricalPolicy
from hookrl.objectives import DiscreteSACLoss
from hookrl.trainers.assembly import (
    begin_run,
    make_environments,
    make_normalizer,
    network_options,
    off_policy_options,
    register_run_hooks,
)
from hookrl.trainers.sac import EntropyRegularizedTrainer, build_critics, make_optimizers


class DiscreteSACTrainer(EntropyRegularizedTrainer):
    """SAC for discrete actions from ready components; `from_config` builds them all.

    Args:
        **components: those of `EntropyRegularizedTrainer`, with a loss such as `DiscreteSACLoss`.
    """

    config_type = DiscreteSACConfig

    @classmethod
    def _build(cls, config: DiscreteSACConfig, resume: bool) -> Self:
        env = make_environments(
            config, spaces.Discrete, trainer=cls.__name__, otherwise="SACTrainer is for a Box"
        )
        policy, normalizer = build_policy(
            config, env.single_observation_space, env.single_action_space
        )
        loss = DiscreteSACLoss(
            policy,
            build_critics(config, env.single_observation_space, env.single_action_space),
            gamma=config.gamma,
            alpha_init=config.alpha,
            # Uniformly random actions have the largest entropy, log n.
            target_entropy=config.target_entropy_scale * math.log(policy.distribution.num_params),
            fixed_alpha=not config.learn_alpha,
            loss_function=config.loss_function,
        )
        run = begin_run(config, "discrete-sac", resume=resume)
        trainer = cls(
            loss_module=loss,
            optimizers=make_optimizers(config, loss),
            target_interval=config.target_interval,
            **off_policy_options(
                config,
                run,
                env,
                policy,
                normalizer,
                init_random_frames=config.replay.learning_starts,
            ),
        )
        register_run_hooks(trainer, config, run, policy, normalizer)
        return trainer


def build_policy(
    config: DiscreteSACConfig,
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
) -> tuple[CategoricalPolicy, ObservationNormalizer | None]:
    """Build the policy, with weights drawn by the config's seed, and the normaliser if any."""
    policy = CategoricalPolicy.from_spaces(
        observation_space, action_space, **network_options(config, "policy")
    ).to(config.device)
    return policy, make_normalizer(config, observation_space)
