# Each target sets up what it needs in .venv; a stamp there makes the next run quick.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SITE := examples/static_site

.PHONY: demo pelican-demo test docs lint bench coverage clean

demo: .venv/.demo
	cd $(SITE) && ../../$(BIN)/python build.py

pelican-demo: .venv/.pelican
	$(BIN)/python examples/pelican_blog/build.py

test: .venv/.test
	$(BIN)/python -m pytest

docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "The documentation is in site/index.html"

lint: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/.test
	$(BIN)/python -m pytest tests/benchmarks -o python_files='bench_*.py' -s

coverage: .venv/.test
	$(BIN)/python -m pytest --cov

clean:
	rm -rf .venv site $(SITE)/output $(SITE)/.imagekit $(SITE)/content/images
	rm -rf examples/pelican_blog/output examples/pelican_blog/.cache
	find examples/pelican_blog/content -name '*.jpg' -delete

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.demo: pyproject.toml | .venv/bin/python
	$(PIP) -e .
	@touch $@

.venv/.pelican: pyproject.toml | .venv/bin/python
	$(PIP) -e '.[pelican]'
	@touch $@ .venv/.demo

.venv/.test: pyproject.toml | .venv/bin/python
	$(PIP) -e '.[test,docs]'
	@touch $@ .venv/.demo .venv/.docs

.venv/.docs: pyproject.toml | .venv/bin/python
	$(PIP) -e '.[docs]'
	@touch $@ .venv/.demo
