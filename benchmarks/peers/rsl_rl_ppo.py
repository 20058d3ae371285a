"""rsl-rl-lib's PPO on hookrl's tensor CartPole.

It has no categorical policy and no annealed learning rate; the former is added here from outside,
the latter is not asked for in the works that it takes part in. Gradients are clipped for actor and
critic each, and where the time limit ends an episode the value of the state before is taken: its
own ways.
"""

from __future__ import annotations

import contextlib
import io
import math
from typing import Any

import torch
from rsl_rl.env import VecEnv
from rsl_rl.modules.distribution import Distribution
from rsl_rl.runners import OnPolicyRunner
from tensordict import TensorDict
from torch import Tensor
from torch.distributions import Categorical

from benchmarks.clock import Clock
from benchmarks.work import Policy
from hookrl.configs import PPOConfig
from hookrl.envs.tensor import CartPole


def train(config: PPOConfig, clock: Clock) -> Policy:
    """Train with rsl-rl-lib."""
    torch.set_num_threads(config.torch_threads or 1)
    torch.manual_seed(config.seed)
    env = CartPoleTask(config.num_envs, config.seed)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its networks
        runner = OnPolicyRunner(env, settings_for(config), log_dir=None, device="cpu")
    algorithm = runner.alg
    for network, gain in ((algorithm.actor, 0.01), (algorithm.critic, 1.0)):
        layers = len(network.mlp)
        network.mlp.init_weights(tuple([math.sqrt(2)] * (layers - 1) + [gain]))
    algorithm.optimizer.param_groups[0]["eps"] = config.adam_eps  # for which there is no setting

    batch = config.num_envs * config.steps_per_env
    iterations = -(-config.total_frames // batch)
    # Called at the end of each iteration; without a writer it does nothing by itself.
    runner.logger.log = lambda it, **_: clock.tick((it + 1) * batch)
    clock.start()
    runner.learn(iterations)
    clock.stop(iterations * batch)
    policy = runner.get_inference_policy()

    @torch.no_grad()
    def act(observation: Any) -> Any:
        seen = {"policy": torch.as_tensor(observation, dtype=torch.float32)}
        return policy(TensorDict(seen, batch_size=len(observation))).squeeze(-1).long().numpy()

    return Policy(act)


def settings_for(config: PPOConfig) -> dict[str, Any]:
    """Return the settings in rsl-rl-lib's words."""
    network = {
        "class_name": "MLPModel",
        "hidden_dims": [*config.network.hidden_sizes],
        "activation": config.network.activation,
    }
    return {
        "num_steps_per_env": config.steps_per_env,
        "save_interval": 10**9,
        "check_for_nan": False,
        "obs_groups": {"actor": ["policy"], "critic": ["policy"]},
        "actor": {**network, "distribution_cfg": {"class_name": TwoActions}},
        "critic": network,
        "algorithm": {
            "class_name": "PPO",
            "num_learning_epochs": config.epochs,
            "num_mini_batches": config.minibatches,
            "clip_param": config.clip_epsilon,
            "gamma": config.gamma,
            "lam": config.gae_lambda,
            "value_loss_coef": config.critic_coeff,
            "entropy_coef": config.entropy_coeff,
            "learning_rate": config.learning_rate,
            "max_grad_norm": config.max_grad_norm,
            "use_clipped_value_loss": config.clip_value is not None,
            "schedule": "fixed",
            "desired_kl": None,
            "normalize_advantage_per_mini_batch": config.normalize_advantage,
        },
    }


class TwoActions(Distribution):
    """A choice between two actions, as the one number that rsl-rl-lib has for an action.

    Args:
        output_dim: 1.
    """

    def __init__(self, output_dim: int) -> None:
        super().__init__(output_dim)
        self._choice: Any = None

    @property
    def input_dim(self) -> int:
        """Logits that the network gives."""
        return 2

    def update(self, mlp_output: Tensor) -> None:
        """Take the logits."""
        self._choice = Categorical(logits=mlp_output, validate_args=False)

    def sample(self) -> Tensor:
        """Draw actions, ``[envs, 1]``."""
        return self._choice.sample().unsqueeze(-1).float()

    def deterministic_output(self, mlp_output: Tensor) -> Tensor:
        """Return the most probable actions, ``[envs, 1]``."""
        return mlp_output.argmax(-1, keepdim=True).float()

    @property
    def mean(self) -> Tensor:
        """Probability of the second action."""
        return self._choice.probs[..., 1:]

    @property
    def std(self) -> Tensor:
        """Standard deviation of the action's number."""
        return (self.mean * (1 - self.mean)).sqrt()

    @property
    def entropy(self) -> Tensor:
        """Entropy of the choice."""
        return self._choice.entropy()

    @property
    def params(self) -> tuple[Tensor, ...]:
        """The normalised logits."""
        return (self._choice.logits,)

    def log_prob(self, outputs: Tensor) -> Tensor:
        """Logarithm of the probability of actions ``[envs, 1]``."""
        return self._choice.log_prob(outputs.squeeze(-1).long())


class CartPoleTask(VecEnv):
    """hookrl's tensor CartPole behind rsl-rl-lib's interface.

    Args:
        num_envs: environments.
        seed: of their generator.
    """

    def __init__(self, num_envs: int, seed: int) -> None:
        self.env = CartPole(num_envs)
        self.num_envs = num_envs
        self.num_actions = 1
        self.max_episode_length = self.env.max_episode_steps
        self.device = "cpu"
        self.cfg: dict[str, Any] = {}
        self._observation, _ = self.env.reset(seed=seed)

    @property
    def episode_length_buf(self) -> Tensor:
        """Steps of each episode so far."""
        return self.env.state.steps

    def get_observations(self) -> TensorDict:
        """Return what the policy sees."""
        return TensorDict({"policy": self._observation}, batch_size=self.num_envs)

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Tensor]]:
        """Step, and reset what ended."""
        self._observation, reward, terminated, truncated, _ = self.env.step(actions[:, 0].long())
        extras = {"time_outs": truncated & ~terminated}
        return self.get_observations(), reward, terminated | truncated, extras
