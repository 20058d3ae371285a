# make train    set up, train PPO on CartPole-v1, evaluate it
# make test     set up, then check and test everything
# make docs     set up, bring the tables of docs/ up to date, build the site in docs/_build
# make clean    remove the virtual environment, the site and all caches; runs/ stays
#
# PYTHON=... chooses the interpreter that .venv is made with.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Written last, so that an interrupted set-up is done again and a finished one is not.
READY := $(VENV)/.ready
# Errors only.
PIP_INSTALL := $(BIN)/python -m pip --disable-pip-version-check install -qq

# What RL Zoo found to be quick on CartPole; the defaults are CleanRL's, made for 500,000 frames.
ZOO := steps_per_env=32 epochs=20 minibatches=1 gamma=0.98 gae_lambda=0.8 learning_rate=0.001 \
       entropy_coeff=0 critic_coeff=0.5 clip_value=null

.PHONY: train test docs clean
.DELETE_ON_ERROR:

# The first runs/cartpole-<n> that is not there yet.
train: $(READY)
	@set -e; \
	n=1; while [ -e runs/cartpole-$$n ]; do n=$$((n + 1)); done; run=runs/cartpole-$$n; \
	$(BIN)/hookrl train ppo env=CartPole-v1 total_frames=100000 seed=0 run_dir=$$run $(ZOO); \
	$(BIN)/hookrl evaluate $$run; \
	echo "Everything about this run is in $$run; its learning curve is $$run/learning_curve.png."

# One thread per worker: the networks are small, and more only get in each other's way.
test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

docs: $(READY)
	$(BIN)/python docs/tables.py
	$(BIN)/sphinx-build -q -W -b html docs docs/_build
	@echo "The site is docs/_build/index.html."

# torch goes first and alone, so that nothing below it can ask for another build.
$(READY): setup.cfg pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { \
	    echo "there is no Python called '$(PYTHON)': say which to use, as in make PYTHON=python3.11." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "'$(PYTHON)' is $$($(PYTHON) --version 2>&1), but hookrl needs 3.11 or newer: say which to use," \
	        "as in make PYTHON=python3.11." >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@echo "Installing hookrl and what it needs into $(VENV) (a minute or more) ..."
	@$(PIP_INSTALL) torch==2.13.0
	@$(PIP_INSTALL) --constraint constraints.txt --editable '.[dev,docs,mujoco]'
	@touch $@

clean:
	rm -rf $(VENV) docs/_build *.egg-info build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find hookrl tests docs -name __pycache__ -type d -prune -exec rm -rf {} +
