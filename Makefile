# Two commands do everything on a fresh machine: `make` and `make test`.

SHELL := /bin/sh
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
WASM := $(TARGET_DIR)/wasm32-wasip1/release/consul_connect_injector.wasm
HOST := $(TARGET_DIR)/debug/policy-host
KWCTL ?= $(abspath $(HOST))
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
SOURCES := $(shell find src -type f) Cargo.toml Cargo.lock build.rs
# Paths in the module must not depend on where it was built.
MODULE_FLAGS := -Cstrip=symbols --remap-path-prefix=$(CURDIR)=. --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=cargo --remap-path-prefix=$(shell rustc --print sysroot 2>/dev/null)=rust

.PHONY: all
all: policy.wasm host
	@$(HOST) run policy.wasm -r examples/static-server.yaml -r examples/static-client.yaml

.PHONY: target
target:
	@scripts/setup-wasm-target.sh

.PHONY: host
host:
	cargo build --locked --bin policy-host

policy.wasm: $(SOURCES) | target
	RUSTFLAGS="$(MODULE_FLAGS)" cargo rustc --locked --release --target wasm32-wasip1 -p consul-connect-injector --lib --crate-type cdylib
	@scripts/optimize-wasm.sh $(WASM) policy.wasm

annotated-policy.wasm: policy.wasm metadata.yml README.md
	kwctl annotate -m metadata.yml -u README.md -o annotated-policy.wasm policy.wasm

.PHONY: fmt
fmt:
	cargo fmt --all -- --check

# The guest must not panic. Tests may.
TESTS_MAY := -A clippy::indexing_slicing -A clippy::string_slice \
  -A clippy::unreachable -A clippy::panic -A clippy::unwrap_used -A clippy::expect_used \
  -A clippy::pedantic -A clippy::type_complexity

.PHONY: lint
lint: | target
	cargo clippy --locked --release --target wasm32-wasip1 -p consul-connect-injector -- -D warnings
	cargo clippy --locked --lib --bins --examples -- -D warnings
	cargo clippy --locked --tests -- -D warnings $(TESTS_MAY)

.PHONY: tools
tools:
	@scripts/setup-test-tools.sh

.PHONY: test
test: fmt lint policy.wasm host tools
	cargo test --locked
	$(MAKE) --no-print-directory scripts-tests e2e-tests crds

# Takes more than a minute, so it is skipped while scripts and tests are unchanged.
SCRIPTS_PASSED := $(TARGET_DIR)/scripts-tests.passed
.PHONY: scripts-tests
scripts-tests: $(SCRIPTS_PASSED)
$(SCRIPTS_PASSED): $(shell find src/mode/agent/scripts tests/scripts -type f) build.rs | tools
	tests/scripts/run
	@touch $@

# Measures calls of the policy and of three other guests: one accepts, one decodes and
# encodes the pod, one adds a container. JSON=1 prints JSON.
# The first run compiles wasmtime, which takes some minutes.
BENCH_GUESTS := $(TARGET_DIR)/wasm32-wasip1/release
.PHONY: bench
bench: policy.wasm bench-guests
	cargo run --locked --profile measure -p policy-bench -- $(if $(JSON),--json) policy=policy.wasm \
	  naive=$(BENCH_GUESTS)/bench_guest_naive.wasm decode-encode=$(BENCH_GUESTS)/bench_guest_roundtrip.wasm accept=$(BENCH_GUESTS)/bench_guest_accept.wasm

.PHONY: bench-guests
bench-guests: | target
	RUSTFLAGS="$(MODULE_FLAGS)" cargo build --locked --release --target wasm32-wasip1 -p bench-guest-accept -p bench-guest-roundtrip -p bench-guest-naive

.PHONY: lint-bench
lint-bench: | target
	cargo clippy --locked -p policy-bench -- -D warnings
	cargo clippy --locked --tests -p policy-bench -- -D warnings $(TESTS_MAY)
	cargo clippy --locked --release --target wasm32-wasip1 -p bench-guest-accept -p bench-guest-roundtrip -p bench-guest-naive -- -D warnings

# Compares this revision with another: make bench-compare BASE=main
.PHONY: bench-compare
bench-compare: policy.wasm bench-guests
	@scripts/bench-compare.sh "$(BASE)" "$(BENCH_GUESTS)"

# Fails if a figure that does not depend on the machine exceeds crates/budgets/budgets.json
# by more than a tenth. UPDATE=1 writes the measured figures there.
.PHONY: budgets
budgets: policy.wasm
	$(if $(UPDATE),UPDATE=1) cargo test --locked --test budgets

# Validates the examples against Kubewarden's CRDs. Needs Go, and reports it if Go is missing.
.PHONY: crds
crds:
	@scripts/check-crds.sh

# A million hostile inputs, about ten minutes; an interrupted run is resumed. SEED= selects the
# inputs, COUNT= their number; SEED= with INPUT= runs a single one.
.PHONY: soak
soak: policy.wasm
	cargo run --locked --bin soak -- policy.wasm --folder $(TARGET_DIR)/soak \
	  $(if $(COUNT),--count $(COUNT)) $(if $(SEED),--seed $(SEED)) $(if $(INPUT),--input $(INPUT))

# Builds in two different directories and compares the bytes.
.PHONY: reproducible
reproducible: | target
	@scripts/check-reproducible.sh

# Coverage-guided fuzzing, a minute for each parser (FUZZ_SECONDS=). Needs cargo-fuzz;
# enables the nightly features that it uses in the installed compiler.
FUZZ_SECONDS ?= 60
# Optimized for speed; the release profile optimizes for size.
FUZZ_BUILD := RUSTC_BOOTSTRAP=1 CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_OPT_LEVEL=3
.PHONY: fuzz
fuzz:
	@command -v cargo-fuzz >/dev/null || { echo "make fuzz needs cargo-fuzz: cargo install cargo-fuzz --locked" >&2; exit 1; }
	@for target in $$(cargo fuzz list --fuzz-dir crates/fuzz); do \
	  echo "fuzz: $$target" && $(FUZZ_BUILD) cargo fuzz run --fuzz-dir crates/fuzz -s none --target-dir $(TARGET_DIR)/fuzz $$target -- \
	    -max_total_time=$(FUZZ_SECONDS) -max_len=20000 -timeout=2 -rss_limit_mb=1024 -print_final_stats=1 -verbosity=0 || exit 1; \
	done

# Licenses, advisories, bans and sources of all dependencies (deny.toml). DENY= selects the
# checks: without access to the advisory database, DENY="bans licenses sources".
.PHONY: deny
deny:
	@command -v cargo-deny >/dev/null || { echo "make deny needs cargo-deny: cargo install cargo-deny --locked" >&2; exit 1; }
	cargo deny --locked --workspace check $(DENY)

# Runs the policy with the development host, or with the real kwctl (KWCTL=kwctl).
.PHONY: e2e-tests
e2e-tests: policy.wasm host tools
	KWCTL="$(KWCTL)" bats e2e.bats

# The end-to-end suite: real Kubernetes, Consul and Envoy.
.PHONY: e2e
e2e: policy.wasm host
	@scripts/crds.sh >/dev/null
	POLICY_HOST="$(abspath $(HOST))" KEEP="$(KEEP)" SCENARIO="$(SCENARIO)" e2e/run.sh

# Measures the cost of an injected pod on the suite's cluster: the time until it is
# routable, and the memory and CPU time of its sidecars. JSON=1 prints JSON.
.PHONY: e2e-bench
e2e-bench: policy.wasm host
	@POLICY_HOST="$(abspath $(HOST))" KEEP="$(KEEP)" JSON="$(JSON)" e2e/bench.sh

.PHONY: e2e-down
e2e-down:
	e2e/down.sh

.PHONY: clean
clean:
	cargo clean
	rm -f policy.wasm annotated-policy.wasm
