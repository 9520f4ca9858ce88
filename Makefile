# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The one entry to everything; the work is done by small programs in tests/tools, which need Python 3.11 and nothing
# else. Environments and caches are made when they are needed, in ${XDG_CACHE_HOME:-~/.cache}/flowops-prefect.

PYTHON ?= python3
TOOLS := tests/tools
export PYTHONDONTWRITEBYTECODE = 1
# Further words for pytest, for instance ARGS='-k suspend -x'.
ARGS ?=
# A file below tests/integration, without "test_" and ".py".
TARGET ?=

# Runs a program on the Python that has the development tools.
in_dev = "$$($(PYTHON) $(TOOLS)/environments.py dev)/bin/python" $(1)

.DEFAULT_GOAL := help
.PHONY: help quickstart test engines-up engines-down test-unit test-integration test-generations test-docker test-kubernetes test-sanity lint bench soak docs lock clean

help: ## List the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do printf '%-18s%s\n' "$$name" "$$text"; done

quickstart: ## Run a sample flow on a real Prefect server, twice (RUNNER=docker or k8s; KEEP=1 leaves server and UI up)
	@$(PYTHON) $(TOOLS)/quickstart.py $(if $(RUNNER),--runner '$(RUNNER)') $(if $(KEEP),--keep)

test: ## Run everything that CI runs
	@$(PYTHON) $(TOOLS)/run_tests.py

test-unit: ## Run the unit tests (ARGS='-k word')
	@$(PYTHON) $(TOOLS)/run_tests.py unit $(if $(ARGS),-- $(ARGS))

test-integration: ## Run the tests with real servers and playbooks (TARGET=name for tests/integration/test_name.py, ARGS=…)
	@$(if $(TARGET),FLOWOPS_TEST_TARGET='$(TARGET)') $(PYTHON) $(TOOLS)/run_tests.py integration $(if $(ARGS),-- $(ARGS))

test-generations: ## Run the tests with servers and engines of Prefect 2.20 and Orion 2.0b6 (ARGS=…)
	@$(PYTHON) $(TOOLS)/run_tests.py generations $(if $(ARGS),-- $(ARGS))

test-docker: ## Run the tests with a Docker Engine, which is brought up for them (ARGS=…)
	@$(PYTHON) $(TOOLS)/run_tests.py docker $(if $(ARGS),-- $(ARGS))

test-kubernetes: ## Run the tests with a Kubernetes cluster, which is brought up for them (ARGS=…)
	@$(PYTHON) $(TOOLS)/run_tests.py kubernetes $(if $(ARGS),-- $(ARGS))

engines-up: ## Bring up Docker Engine, Kubernetes and the image of the tests, where they are missing (ENGINE=docker)
	@$(PYTHON) tests/engines/up_down.py up $(ENGINE)

engines-down: ## Take down what engines-up brought up; images stay in the cache (ENGINE=docker)
	@$(PYTHON) tests/engines/up_down.py down $(ENGINE)

test-sanity: ## Run ansible-test sanity on the oldest, the default and the newest ansible-core
	@$(PYTHON) $(TOOLS)/run_tests.py sanity

lint: ## Run the linters and type checks
	@$(PYTHON) $(TOOLS)/run_tests.py lint

bench: ## Measure the collection against hand-written equivalents (ROUNDS=5 ONLY='gate live')
	@$(call in_dev,tests/bench/bench.py) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ONLY),--only $(ONLY)) $(ARGS)

soak: ## Run crashes and races with random kills (ROUNDS=20)
	@$(PYTHON) tests/fault/soak.py $(if $(ROUNDS),--rounds $(ROUNDS))

docs: ## Build the documentation of the collection's plugins into .build/docs
	@$(PYTHON) $(TOOLS)/build_docs.py

lock: ## Compile requirements/*.in to lock files (UPGRADE=1 takes the newest versions)
	@$(PYTHON) $(TOOLS)/environments.py --lock $(if $(UPGRADE),--upgrade)

clean: ## Remove what was built here, and scratch copies (ALL=1: the environments and caches as well)
	@$(PYTHON) $(TOOLS)/clean.py $(if $(ALL),--all)
