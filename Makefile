PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
EXTRAS := pipeline,serving,operator,dev,bench,postgres

.DEFAULT_GOAL := help
.PHONY: help install run test fuzz test-wheel test-cluster test-cluster-full images cluster-up cluster-down check check-protocol generate verify bench lock clean

help:  ## Show what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

install: $(STAMP)  ## Make .venv and install everything, pinned

# pip, not another installer: it is what finds a CPU build of torch where an index or a find-links folder offers one.
$(STAMP): pyproject.toml constraints.txt Makefile
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade -c constraints.txt pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

run: $(STAMP)  ## The main job: a year of real purchases to a served recommender, then ask it
	$(BIN)/shoploop run -f examples/grocery/recommender.yaml
	$(BIN)/shoploop try grocery

# Also where the shell forbids it, Python keeps what it has compiled: else every process compiles library and tests anew.
test: export PYTHONDONTWRITEBYTECODE :=
test: $(STAMP)  ## The tests that need no cluster
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m 'not cluster and not cluster_full and not wheel'

fuzz: $(STAMP)  ## 10,000 mutated files, specs and requests, and the laws; a small part of it is in test
	SHOPLOOP_FUZZ=10000 $(BIN)/python -m pytest -n 2 tests/fuzz

test-wheel: $(STAMP)  ## The wheel in an empty environment: run an example, serve it
	$(BIN)/python -m pytest -m wheel tests/wheel

test-cluster: $(STAMP)  ## The operator and the charts on a real Kubernetes (SHOPLOOP_KUBEBOX or KUBECONFIG)
	$(BIN)/python -m pytest -m 'cluster and not cluster_full' tests/cluster

test-cluster-full: $(STAMP)  ## The same with every fault
	$(BIN)/python -m pytest -m 'cluster or cluster_full' tests/cluster

images: $(STAMP)  ## Build the images: operator, pipeline, serving; with SHOPLOOP_KUBEBOX one that plays all roles
ifdef SHOPLOOP_KUBEBOX
	$(BIN)/python hack/cluster.py images
else
	$(BIN)/python hack/images.py
endif

cluster-up: $(STAMP)  ## Start the cluster that SHOPLOOP_KUBEBOX names, with the image in it
	$(BIN)/python hack/cluster.py up

cluster-down: $(STAMP)  ## Stop it and free what it held
	$(BIN)/python hack/cluster.py down

check: $(STAMP)  ## Style, types, and which room may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check-protocol: $(STAMP)  ## Model-check the protocol of online learning; needs spin and gcc, a minute
	$(BIN)/python hack/check_protocol.py

generate: $(STAMP)  ## Write what is derived from the API types: CRDs, RBAC, reference
	$(BIN)/python hack/generate.py

verify: $(STAMP)  ## Fail where generated files differ from what generate would write
	$(BIN)/python hack/generate.py --check

bench: $(STAMP)  ## The benchmarks of the main job, as JSON
	$(BIN)/shoploop bench next-basket --dataset completejourney --json -
	$(BIN)/shoploop bench serving --json -
	$(BIN)/shoploop bench cli --json -

lock: $(STAMP)  ## Pin the whole tree anew, from what is installed
	$(BIN)/python -m pip list --format=freeze --exclude-editable | grep -v -E '^(shoploop|setuptools|nvidia|triton)' \
		| sed 's/+cpu$$//' > constraints.txt

clean:  ## Remove what make has made, but no store
	rm -rf $(VENV) dist .pytest_cache .mypy_cache .ruff_cache
