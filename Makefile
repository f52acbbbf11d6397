# A thin front of CMake. `make help` lists what there is.

BUILD ?= build
CMAKE_FLAGS ?=

.PHONY: all image release bench demo check test lint coverage e2e interop fault fuzz sandbox clean help

all: ## build build/decant (Release)
	@scripts/setup.sh build
	@echo "building $(BUILD)/decant"
	@cmake -S . -B $(BUILD) -DCMAKE_BUILD_TYPE=Release -DCMAKE_RULE_MESSAGES=OFF -DCMAKE_TARGET_MESSAGES=OFF $(CMAKE_FLAGS) >/dev/null
	@cmake --build $(BUILD) --target decant -j $$(nproc) -- -s

demo: all ## the whole way against the sandbox: encrypt, attest, release, download, decrypt
	@/usr/bin/python3 scripts/demo.py $(BUILD)/decant

check: ## install what is missing, build with sanitizers, run every test
	@scripts/setup.sh check
	@scripts/check.sh

test: ## unit tests only
	@scripts/check.sh unit

e2e: ## the tests against the sandbox only
	@scripts/check.sh e2e

interop: ## the tests against the official SDKs (Python, Java) and Azurite
	@scripts/setup.sh java
	@scripts/check.sh interop java

fault: ## everything that can go wrong, a sample; FAULT_FULL=1: every call of a run fails once, 500 signals (two hours)
	@scripts/check.sh $(if $(FAULT_FULL),fault-full) fault

fuzz: ## fuzz each target for FUZZ_SECONDS (60) and keep what covers more
	@scripts/setup.sh check
	@tests/fuzz/run.sh

bench: all ## speed and memory beside curl, the SDK, azcopy, rclone, age; ARGS=--quick for less
	@tests/bench/run.sh --decant $(BUILD)/decant $(ARGS)

lint: ## layers, warnings with gcc and clang, clang-tidy, cppcheck, gcc's analyser, valgrind, MemorySanitizer
	@scripts/setup.sh check
	@scripts/check.sh lint quality

coverage: ## which lines the tests run, and the fuzz corpora alone, as a report to read
	@scripts/setup.sh check
	@scripts/check.sh fuzz unit e2e coverage
	@scripts/coverage.sh html build-coverage

sandbox: ## start the sandbox alone, in build/sandbox
	@scripts/setup.sh build
	@/usr/bin/python3 sandbox --state $(BUILD)/sandbox

image: ## build the container image (store: podman's; result: build/image)
	@scripts/setup.sh deploy
	@deploy/image/build.sh --out $(BUILD)/image

release: ## tarball, Debian package, static executable, image, list of components, checksums in build/release
	@scripts/setup.sh deploy
	@scripts/release.sh $(BUILD)/release

clean: ## remove what was built
	[ ! -d build-image ] || deploy/image/containers.sh build-image podman system reset --force
	rm -rf build build-*

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
