# What README tells; each target sets up what it needs. Python 3.11 or newer and make are enough.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: setup lab demo test soak lint notebooks bench clean

setup: $(READY)

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "emokit needs Python 3.11 or newer; name one with make PYTHON=...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps -e .
	$(BIN)/python -c 'import emokit; print(emokit.load_model(emokit.fetch.NAME))'
	@touch $@

lab: $(READY)
	$(BIN)/jupyter lab --ServerApp.root_dir=notebooks

demo: $(READY)
	$(BIN)/python tools/demo.py

# Two files at a time, each on one thread: two processes with two threads each would wait for one another.
TOGETHER := OMP_NUM_THREADS=1 TQDM_DISABLE=1 $(BIN)/python -m pytest -n 2 --dist loadfile

test: $(READY)
	$(BIN)/python tools/notebooks.py --check
	$(BIN)/python -c 'import emokit; emokit.extract(emokit.load_model(), emokit.load_stories())'
	$(TOGETHER) tests
	$(TOGETHER) --nbval --nbval-current-env --nbval-cell-timeout=600 notebooks

soak: $(READY)
	$(BIN)/python -m pytest tests/soak

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

notebooks: $(READY)
	$(BIN)/python tools/notebooks.py

# Speed, beside the peers, in an environment of its own (about 45 minutes on two cores).
bench: .venv-bench/.ready
	.venv-bench/bin/python benchmarks/run.py

.venv-bench/.ready: requirements.txt benchmarks/requirements.txt benchmarks/peers.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --disable-pip-version-check -r requirements.txt -r benchmarks/requirements.txt
	.venv-bench/bin/python -m pip install --disable-pip-version-check --no-deps -r benchmarks/peers.txt -e .
	@touch $@

clean:
	rm -rf .venv .venv-bench outputs .pytest_cache .ruff_cache .mypy_cache
