# Two commands for a newcomer: `make demo` and `make test`.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: demo demo-few test test-slow test-slurm attack browser slurm check docs bench lock audit clean

demo: .venv/installed
	kd distill --teacher resnet101 --student mobilenetv3
	kd evaluate
	kd export model.pt

# ten labels a class: a teacher that knows more has something to give
demo-few: .venv/installed
	kd train resnet18 --out runs/teacher
	kd distill --teacher runs/teacher --student mobilenetv3_small_050 --recipe few_labels \
	  --set "data.hidden={keep: 10}" --set train.epochs=10
	kd evaluate --seeds 5

# one process per core, with one thread each: tiny models gain nothing from more
test: .venv/installed-test check
	OMP_NUM_THREADS=1 pytest -n logical --maxprocesses 4 --dist loadfile

# what an exported file is tried with in a page; without it, `make test` skips that test and says so
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } || \
	  echo "no chromium here"
	@test -d tests/browser/node_modules/onnxruntime-web || \
	  npm ci --prefix tests/browser --ignore-scripts --no-audit --no-fund || \
	  echo "no onnxruntime-web here"

# two cells of a sweep on a real Slurm, which runs on this machine meanwhile; two processes
test-slurm: .venv/installed-test slurm
	OMP_NUM_THREADS=1 pytest -m slow -rs tests/slurm tests/training/test_processes.py -k "two_cells or one_does and kd"

# kills, full disks, hostile files: an hour on two idle cores is its limit
attack: .venv/installed-test
	OMP_NUM_THREADS=1 pytest -m attack -n logical --maxprocesses 4 --dist worksteal tests/attack

slurm:
	@sh tests/slurm/one_machine.sh install || echo "no Slurm here: its tests are skipped"

test-slow: .venv/installed-test slurm
	@dpkg -s dataset-fashion-mnist >/dev/null 2>&1 || apt-get install -y dataset-fashion-mnist || \
	  echo "no dataset-fashion-mnist here: its tests are skipped"
	OMP_NUM_THREADS=1 pytest -m slow -n logical --maxprocesses 4 --dist loadfile

check: .venv/installed-test
	ruff check .
	ruff format --check .
	mypy

docs: .venv/installed
	python docs/generate.py

bench: .venv/installed
	python benchmarks/step.py

.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "kd needs Python 3.11 or newer: make PYTHON=python3.11 ..."; exit 1; }
	@$(PYTHON) -m venv .venv || \
	  { echo "python3 cannot make an environment here: apt install python3-venv"; rm -rf .venv; exit 1; }

.venv/installed: pyproject.toml | .venv/bin/pip
	.venv/bin/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

# LOCKED=1: the very files that requirements.lock names by their hashes, and no others
.venv/installed-test: pyproject.toml | .venv/bin/pip
ifdef LOCKED
	.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
else
	.venv/bin/pip install --quiet --disable-pip-version-check --editable '.[test]'
endif
	@touch $@ .venv/installed

# the versions that .venv has, which passed the suite, with the hashes of every system's files
lock: .venv/installed-test
	.venv/bin/pip install --quiet --disable-pip-version-check 'uv>=0.9'
	.venv/bin/pip freeze --exclude-editable > .venv/versions.txt
	uv pip compile --quiet pyproject.toml --extra test --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --constraint .venv/versions.txt \
	  --custom-compile-command 'make lock' --output-file requirements.lock

# known holes of what requirements.lock names; asks a service, and says so where that is silent
audit: .venv/installed-test
	.venv/bin/pip install --quiet --disable-pip-version-check 'pip-audit>=2.9'
	python docs/audit.py requirements.lock

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache
