# Each common command is one word. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

# The whole workspace everywhere, so that features unify once and nothing is built twice.
ALL := --workspace --all-targets

.PHONY: help
help: ## List these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: run
run: system ## Build, and start the playground: a simulated Discord with Ery in it
	cargo build --workspace --bins
	@exec target/debug/ery playground $(ARGS)

.PHONY: build
build: system ## Build everything, tests too
	cargo build $(ALL)

.PHONY: fmt
fmt: ## Format the code
	cargo fmt --all

.PHONY: check
check: system k8s-check ## Formatting, lints, documentation, dependency rules, deployment files
	cargo fmt --all --check
	cargo clippy $(ALL) -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet
	@.ci/deny.sh deny check bans licenses sources || { [ $$? -eq 3 ] && \
	echo "tests/tests/layers.rs holds the lock file to deny.toml's bans, licences and sources"; }

.PHONY: test
test: tools ## Run the whole suite; installs the servers, the browser and the client that it needs
	cargo build $(ALL)
	cargo nextest run --workspace
	cargo test --workspace --doc --quiet
	@openapi=$${ERY_TEST_OPENAPI_FILE:-../shared/discord/openapi.json}; [ -e "$$openapi" ] || \
	echo "Discord's contract was not checked: there is no $$openapi (ERY_TEST_OPENAPI_FILE says where it is)"

.PHONY: bench
bench: tools ## Measure the main job, the simulator and the store, as ratios to ceilings of the same run; STORE_MESSAGES=
	cargo build --profile dist --workspace --bins --example speed
	target/dist/examples/speed
	target/dist/ery-bench
	target/dist/ery-store-bench --messages $(or $(STORE_MESSAGES),10000000)

.PHONY: chaos
chaos: tools ## Let everything fail under load, and judge what people saw; DURATION= SEED= MODE=
	cargo build --profile quick --workspace --bins
	target/quick/ery-chaos --duration $(or $(DURATION),600) $(if $(SEED),--seed $(SEED)) \
		--mode $(or $(MODE),faults)

# With deliberate faults in it, so it has a folder of its own, and no ordinary build sees them.
MUTANT_RUN := target/mutants/quick/ery-chaos --mode holders --channels 60 --lease 1000 --ack-wait 2000

.PHONY: chaos-mutants
chaos-mutants: tools ## Prove that the judge of `make chaos` finds a broken fence and early acknowledgements
	cargo build --profile quick --workspace --bins --features ery/mutants --target-dir target/mutants
	$(MUTANT_RUN) --duration 40 --mutant fence $(if $(SEED),--seed $(SEED))
	$(MUTANT_RUN) --duration 40 --mutant fence,lease $(if $(SEED),--seed $(SEED))
	$(MUTANT_RUN) --duration 12 --mutant ack $(if $(SEED),--seed $(SEED))
	$(MUTANT_RUN) --duration 25 --mutant lease --harmless $(if $(SEED),--seed $(SEED))

.PHONY: k8s-check
k8s-check: ## Hold images, compose file, manifests, alerts and dashboards to their tools and to the code
	.ci/deploy.sh
	@python3 deploy/checks/check.py

.PHONY: compose-test
compose-test: system ## Run the compose file on a real engine, kill and scale under load; ARGS=
	cargo build --profile quick --workspace --bins
	.ci/compose-test.sh target/quick/ery target/quick/ery-compose-trial $(ARGS)

.PHONY: upgrade-test
upgrade-test: tools ## Build the last release, and upgrade from it, on one data folder and in a cluster
	.ci/upgrade-test.sh

.PHONY: audit
audit: ## Look up known vulnerabilities of the dependencies; ADVISORIES= a copy of RustSec's database
	.ci/deny.sh audit --deny warnings $(if $(ADVISORIES),--db $(ADVISORIES) --no-fetch)

.PHONY: models
models: system ## Try the model providers with an independent server of their APIs (needs Node.js)
	.ci/models.sh
	cargo nextest run --workspace --run-ignored only -E 'package(ery-ai-service) and test(independent)'

.PHONY: tools
tools: system ## Install nats-server, redis-server, a browser, discord.py, moto and the test runner where they are missing
	.ci/servers.sh
	.ci/browser.sh
	.ci/clients.sh
	.ci/s3.sh
	@cargo nextest --version >/dev/null 2>&1 || cargo install --locked cargo-nextest

.PHONY: system
system: ## Install the system's libraries that the build needs, where they are missing
	@.ci/system.sh

.PHONY: clean
clean: ## Remove what was built and installed here
	cargo clean
	rm -rf .tools
