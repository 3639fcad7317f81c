# Everything a developer or an operator trying it out needs. `make` alone lists it.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check fmt bench faults simulate wheel lock clean

PYTHON := .venv/bin/python
# Hundreds of short programs run below. Where Python is told to keep no compiled modules, each of them would compile
# TensorFlow, SQLAlchemy and the rest anew, and the tests take twice as long.
export PYTHONDONTWRITEBYTECODE :=
FAST := not server and not model and not build and not machine and not system and not slow
NEVER_FAST := $(addprefix --ignore=tests/,system deploy_servers edge_adapters edge_cli recognition_build)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## prepare this machine: system packages, .venv, the compiled model pack (3 GB, a few minutes the first time)
	@sh deploy/setup.sh

demo: setup ## unit, broker, hub and database on this machine, with sample pictures (CAMERA=0 for a real camera, DEMO_ARGS=...)
	@$(PYTHON) -m deploy.demo $(if $(CAMERA),--camera "$(CAMERA)") $(DEMO_ARGS)

test: setup ## all tests, with real servers (a missing server is an error)
	@ROLLCALL_REQUIRE_SERVERS=1 $(PYTHON) -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder $(TEST_ARGS)

check: $(PYTHON) ## lint, types, layers and the fast tests, in less than a minute
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy
	@.venv/bin/lint-imports
	@$(PYTHON) -m pytest -q -n 2 -m "$(FAST)" --hypothesis-profile=check $(NEVER_FAST)

fmt: $(PYTHON) ## put imports and lines in order
	@$(PYTHON) -m ruff check --select I --fix -q .
	@$(PYTHON) -m ruff format -q .

bench: setup ## measure this machine beside DeepFace, dlib, face_recognition; writes build/bench.json (BENCH_ARGS=--quick)
	@$(PYTHON) -m deploy.bench $(BENCH_ARGS)

faults: setup ## break everything that can break, 1,000 kills included, and judge; writes build/faults.json (FAULTS_ARGS=--quick)
	@sh deploy/faults.sh
	@$(PYTHON) -m tests.faults $(FAULTS_ARGS)

simulate: setup ## days of a school with everything that goes wrong, over virtual time, and a search (SIMULATE_ARGS=--help)
	@$(PYTHON) -m tests.simulation $(SIMULATE_ARGS)

wheel: $(PYTHON) ## build dist/rollcall-*.whl
	@$(PYTHON) -m pip wheel --quiet --no-deps -w dist .
	@ls -1 dist/*.whl

lock: ## resolve the dependencies anew (needs uv)
	@sh deploy/lock.sh

clean: ## delete what can be made again, except .venv
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

$(PYTHON):
	@echo "there is no .venv yet; run: make setup" >&2; exit 1
