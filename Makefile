# Thin: CMakePresets.json says how things are built. `make help` lists the targets.
KVASIR = build/release/kvasir
FUZZ_SECONDS ?= 60

.PHONY: help deps deps-dev build up policy-table test asan tsan fuzz test-clients test-clients-keys test-browser test-tokenizer test-streams test-envoy test-controller test-epp-streams test-attack test-resilience test-vllm test-vllm-pd test-pd test-pd-fleets test-pd-chaos \
  test-replicas test-kube test-kube-node test-reload test-index-storm test-upstream-configs test-upstream-hermetic docs ab bench-gateway bench-epp bench-sidecar bench-schedule bench-kv-events bench-scrape bench-transfer bench-index bench-index-capacity lint clean \
  image image-docs test-image
.DEFAULT_GOAL := help

help: ## lists the targets
	@awk -F ' *: .*## |: ## ' '/^[a-z-]+:.*## / {printf "  make %-21s %s\n", $$1, $$2}' Makefile

deps: ## installs the Debian packages of packages.txt that are missing
	@make/install_packages.sh packages.txt

deps-dev: deps
	@make/install_packages.sh packages-dev.txt

build/%/build.ninja: CMakePresets.json | deps
	cmake --preset $*
	@touch $@

build: deps build/release/build.ninja ## builds build/release/kvasir
	cmake --build --preset release --target kvasir

up: build ## starts workers and a gateway (ARGS="--workers 4 --port 9000")
	$(KVASIR) up $(ARGS)

test: deps build/release/build.ninja ## builds and runs the tests (ARGS="-R supervise")
	cmake --build --preset release
	ctest --preset release $(ARGS)

asan tsan: %: deps build/%/build.ninja
	cmake --build --preset $@
	ctest --preset $@ $(ARGS)
asan: ## the tests under AddressSanitizer and UndefinedBehaviorSanitizer
tsan: ## the tests under ThreadSanitizer

fuzz: deps-dev build/fuzz/build.ninja ## runs every fuzzer for FUZZ_SECONDS=60 (ARGS=one_fuzz)
	cmake --build --preset fuzz --target fuzzers
	make/run_fuzzers.sh $(FUZZ_SECONDS) $(ARGS)

test-clients: build ## real clients against `kvasir up`: curl, OpenAI's, AIPerf, wrk; curl, h2load and openssl against TLS and HTTP/2
	tests/clients/run.py $(ARGS)

test-clients-keys: build ## OpenAI's clients for Python and Node, and Anthropic's, with API keys of a gateway
	tests/clients/keys.py $(ARGS)

test-browser: build ## a page in Debian's Chromium calls the gateway from another origin: fetch, SSE and CORS
	tests/clients/browser.py $(ARGS)

test-tokenizer: deps build/release/build.ninja ## the embedded tokenizer against the tokenizers library, and its speed (ARGS="--only qwen2")
	cmake --build --preset release --target tokenize_texts
	tests/tokenizer/run.py $(ARGS)

test-streams: build ## 8,000 streams at once through the gateway, and its memory (3 minutes)
	tests/streams/run.py $(ARGS)

test-replicas: build ## two pickers that share load and sessions, one is killed (VENV=, see tests/replicas/run.py)
	$(VENV)/bin/python tests/replicas/run.py --envoy $(VENV)/bin/envoy $(ARGS)

test-reload: build ## gateway and picker under load while their configuration changes 100 times (2 minutes; RELOADS=)
	cmake --build --preset release --target reload_load_system_test
	KVASIR_BINARY=$(KVASIR) KVASIR_RELOADS=$(or $(RELOADS),100) build/release/tests/system/reload_load_system_test

test-index-storm: deps build/release/build.ninja ## 10 million random events against the exact KV index and a naive one (15 minutes)
	cmake --build --preset release --target kvindex_test
	KVASIR_STORM_OPERATIONS=2400000 build/release/src/kvindex/kvindex_test --gtest_filter='*BlockIndexStorm*:*BlockIndexReaders*'

test-envoy: build ## a real Envoy in front of `kvasir epp` and eight workers (ARGS="--only burst")
	tests/envoy/run.py $(ARGS)

test-controller: build ## a real Envoy that `kvasir controller` programs, beside `kvasir gateway` (ARGS="--only pools")
	tests/controller/run.py $(ARGS)

test-vllm: build ## two real vLLM on this machine's CPUs, and what is known of their caches (tests/vllm/install_vllm.py first; 8 GB)
	cmake --build --preset release --target kv_recording_test
	tests/vllm/run.py $(ARGS)

test-pd: build ## pairs of workers against one worker, each way that KV blocks travel, and every fault on the way (1 minute; ARGS="--only nixl")
	tests/pd/run.py identity --kvasir $(KVASIR) $(ARGS)
	tests/pd/run.py faults --kvasir $(KVASIR) $(ARGS)

test-pd-fleets: build ## 1,000 mixed requests to each fleet of examples/pd: answers as of workers that do both (REQUESTS=)
	cmake --build --preset release --target pd_system_test
	KVASIR_BINARY=$(KVASIR) KVASIR_SOURCE_DIR=$(CURDIR) KVASIR_PD_REQUESTS=$(or $(REQUESTS),1000) build/release/tests/system/pd_system_test

test-pd-chaos: build ## 200 requests at once while workers are killed and stopped, connections cut and notifications lost (MINUTES=10)
	tests/pd/run.py chaos --kvasir $(KVASIR) --minutes $(or $(MINUTES),10) $(ARGS)

test-vllm-pd: build ## prompts prefilled on one real vLLM and decoded on another (tests/vllm/install_vllm.py first; 13 GB)
	tests/vllm/pd_run.py $(ARGS)

test-kube: build ## a real Kubernetes API server, pods as processes (tests/kube/README.md; ARGS="--only rewrites")
	tests/kube/run.py $(ARGS)

test-kube-node: build ## a real node of Kubernetes on this machine, as root
	tests/kube/run.py --node $(ARGS)

test-attack: build ## hostile clients at full rate: another client's latency, and the gateway's memory (ARGS="--only trailers")
	tests/attack/run.py $(ARGS)

test-resilience: build ## workers that answer 503, refuse connections or swallow them, and what clients notice (ARGS="--only refused")
	tests/resilience/run.py $(ARGS)

test-epp-streams: build ## 8,000 requests in the middle of their answers in `kvasir epp`, and its memory
	tests/epp_streams/run.py $(ARGS)

test-upstream-configs: build ## every configuration in a copy of llm-d-router (UPSTREAM=/path/to/llm-d-router)
	tests/upstream_configs/run.py --upstream "$(UPSTREAM)" $(ARGS)

test-upstream-hermetic: build ## llm-d's hermetic tests against `kvasir epp` (UPSTREAM=/path/to/llm-d-router)
	tests/upstream_hermetic/run.py --upstream "$(UPSTREAM)" --kvasir $(KVASIR) $(ARGS)

ab: build ## compares policies on a trace (TRACE=file.jsonl ARGS="--requests 1000")
	$(KVASIR) bench ab $(if $(TRACE),--trace $(TRACE)) $(ARGS)

policy-table: deps build/release/build.ninja ## every way to route on virtual time (TRACE=file.jsonl ARGS="--pace 1.3")
	cmake --build --preset release --target policy_table
	build/release/tests/sim/policy_table --trace $(or $(TRACE),examples/conversation_small.jsonl) $(ARGS)

bench-gateway: build ## compares the cost of a request with nginx, HAProxy and other gateways (ARGS=--kv-events: with exact knowledge of caches)
	python3 bench/gateway/run.py $(ARGS)

bench-transfer: deps build/release/build.ninja ## how fast KV blocks get from one worker to another, way by way (ARGS=--check)
	cmake --build --preset release --target transfer_bench
	bench/transfer/run.py $(ARGS)

bench-scrape: deps build/release/build.ninja ## the CPU that scraping 1,000 endpoints takes (ARGS="--check")
	cmake --build --preset release --target scrape_bench
	bench/scrape/run.py $(ARGS)

bench-epp: build ## what a request costs in `kvasir epp` and in the Envoy that asks it (ARGS="--kv-events --check")
	cmake --build --preset release --target bare_picker
	bench/epp/run.py $(ARGS)

bench-sidecar: build ## what two legs cost in `kvasir sidecar`, beside a plain nginx hop (ARGS="--check")
	cmake --build --preset release --target instant_worker stream_client
	bench/sidecar/run.py $(ARGS)

bench-kv-events: deps build/release/build.ninja ## how fast KV events are read (ARGS=--check)
	cmake --build --preset release --target kv_event_decoder_bench
	bench/kv_events/run.py $(ARGS)

bench-schedule: build ## what one decision costs (ARGS=--check)
	cmake --build --preset release --target schedule_bench
	bench/schedule/run.py $(ARGS)

bench-index: deps build/release/build.ninja ## the index of KV blocks beside other designs: operations, lookups, memory (TRACE=file.jsonl ARGS=--check)
	cmake --build --preset release --target index_bench
	bench/index/run.py $(if $(TRACE),--trace $(TRACE)) $(ARGS)

bench-index-capacity: deps build/release/build.ninja ## the index of KV blocks with 30 million memberships of 1,000 workers: memory, clears (TRACE=file.jsonl)
	cmake --build --preset release --target index_bench
	bench/index/run.py --capacity $(if $(TRACE),--trace $(TRACE)) $(ARGS)

image: build ## a container image, build/image/kvasir.tar: no registry, no docker (docs/KUBERNETES.md)
	make/image.py $(ARGS)

image-docs: build ## the larger one with the commands that tutorials call (ARGS="--pip aiperf")
	make/image.py --docs $(ARGS)

test-image: build ## what the image promises, by unpacking and entering it (ARGS=--docs)
	tests/image/run.py $(ARGS)

docs: deps build/release/build.ninja ## writes docs/plugins.md from the plugins' headers
	cmake --build --preset release --target plugin_docs
	build/release/tests/tidy/plugin_docs . > docs/plugins.md

lint: deps-dev build/release/build.ninja ## clang-format and clang-tidy on changed files (FILES="src/a.cc")
	@make/lint.sh $(FILES)

clean: ## removes build/
	rm -rf build
