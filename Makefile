# Everything sets itself up: on a bare Debian 12, as root, `make demo` and `make test` are enough.

CACHE := .cache
VENV := .venv
BOOT := ./scripts/bootstrap
BENCH_ARGS ?=

.PHONY: help demo test check bench lock clean

help:
	@echo "make demo    protect a server to a lab vCenter, lose it, start its replica"
	@echo "make test    all tests: unit, integration, machines in QEMU"
	@echo "make check   linters and unit tests (seconds)"
	@echo "make bench   benchmarks against rsync"
	@echo "make lock    pin the dependencies again (requirements.lock)"
	@echo "make clean   remove the virtual environment and all caches"

demo:
	@$(BOOT) lab
	@$(VENV)/bin/dtesx demo $(DEMO_ARGS)

test:
	@$(BOOT) test
	@$(VENV)/bin/python scripts/check
	@$(VENV)/bin/pytest $(TEST_ARGS)

check:
	@$(BOOT) python
	@$(VENV)/bin/python scripts/check
	@$(VENV)/bin/pytest -q tests/unit

bench:
	@$(BOOT) lab
	@$(VENV)/bin/python -m benchmarks.mirror $(BENCH_ARGS)

lock:
	@$(BOOT) python
	@$(VENV)/bin/pip-compile --quiet --strip-extras --generate-hashes --allow-unsafe \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--extra cli --extra lab --extra dev --output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) $(CACHE) build dist *.egg-info dtesx/batch/*.so
