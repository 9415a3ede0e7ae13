# Two commands for a newcomer: make demo, make test. Everything runs in .venv, made from requirements.lock.
BIN := .venv/bin
INSTALLED := .venv/.installed
.DEFAULT_GOAL := help
.PHONY: help install demo test test-deep test-spark check types style format bench eval lock clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

install: $(INSTALLED) ## make .venv from requirements.lock (exact versions, checked by hash)

$(INSTALLED): requirements.lock pyproject.toml deploy/install.sh
	@sh deploy/install.sh .venv
	@touch $@

demo: $(INSTALLED) ## the whole pipeline on two invented tenants, in an embedded Postgres
	@$(BIN)/pay-ready demo

test: $(INSTALLED) ## the tests, two at a time on each core: many of them wait for processes, leases and disks
	@$(BIN)/python -m pytest -n $$(($$(getconf _NPROCESSORS_ONLN) * 3)) --dist worksteal $(ARGS)

test-deep: $(INSTALLED) ## the same with every long count whole, not sampled
	@PAY_READY_TEST_DEEP=1 $(BIN)/python -m pytest -n auto -m "not weaviate_live and not spark" $(ARGS)

test-spark: $(INSTALLED) ## the same edges on Spark with two workers (brings pyspark into .venv; needs a Java)
	@$(BIN)/uv pip install -q --python $(BIN)/python "pyspark[sql]>=4,<5"
	@$(BIN)/python -m pytest -n 0 -m spark tests/integration/test_spark.py $(ARGS)

check: types style ## style, types, layers, security, secrets

types: $(INSTALLED)
	@$(BIN)/mypy

style: $(INSTALLED)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-timing 2>/dev/null || $(BIN)/lint-imports
	@$(BIN)/bandit -q -c pyproject.toml -r pay_ready flows 2>/dev/null
	@git ls-files -z | grep -zvE '^(requirements\.lock|pay_ready/demo/exports/)' | xargs -0 $(BIN)/detect-secrets-hook

format: $(INSTALLED) ## put the code into its form
	@$(BIN)/ruff check --fix-only . ; $(BIN)/ruff format .

bench: $(INSTALLED) ## benchmarks: each beside a peer or a limit, in one run
	@$(BIN)/python -m tests.benchmarks $(ARGS)

eval: $(INSTALLED) ## how good the agent is: times, names, intents, sentiment, objections; ARGS="--data FOLDER": public sets, too
	@$(BIN)/python -m tests.evaluation $(ARGS)

lock: $(INSTALLED) ## renew requirements.lock: newest versions that pyproject.toml allows
	@$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --upgrade --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet --output-file requirements.lock
	@$(BIN)/uv pip compile deploy/weights.in --no-deps --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet >> requirements.lock

clean: ## remove .venv and caches; data of the embedded server stays
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist
