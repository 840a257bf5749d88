# Each target sets up what it needs in .venv; a stamp there makes the next run quick. Another Python than the default,
# as in `make test PYTHON=python3.13`, has an environment of its own in there: .venv/python3.13.
PYTHON ?= python3
VENV := .venv$(if $(filter-out python3,$(PYTHON)),/$(notdir $(PYTHON)))
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SITE := examples/static_site
MUTANTS ?= 100000

.PHONY: demo django-demo flask-demo mkdocs-demo pelican-demo starlette-demo sphinx-demo test faults fuzz test-django test-peer golden docs lint bench coverage dist release clean

demo: $(VENV)/.demo
	cd $(SITE) && ../../$(BIN)/python build.py

# Each server has a port of its own; `make flask-demo PORT=9000` takes another.
django-demo: PORT ?= 8003
django-demo: $(VENV)/.django
	$(BIN)/python examples/django_gallery/manage.py demo 127.0.0.1:$(PORT)

starlette-demo: PORT ?= 8002
starlette-demo: $(VENV)/.starlette
	$(BIN)/python -m uvicorn --app-dir examples --port $(PORT) starlette_gallery:app

sphinx-demo: $(VENV)/.sphinx
	$(BIN)/python -m sphinx --quiet -j auto examples/sphinx_guide examples/sphinx_guide/_build
	@echo "Open it in a browser: file://$(CURDIR)/examples/sphinx_guide/_build/index.html"

flask-demo: PORT ?= 8001
flask-demo: $(VENV)/.flask
	$(BIN)/flask --app examples/flask_gallery run --port $(PORT)

mkdocs-demo: $(VENV)/.mkdocs
	$(BIN)/python examples/mkdocs_walks/build.py

pelican-demo: $(VENV)/.pelican
	$(BIN)/python examples/pelican_blog/build.py

# One process per core; the tests of a file stay together.
test: $(VENV)/.test
	$(BIN)/python -m pytest -n auto --dist loadfile

# Kills, failing calls, full disks, races, damage, bombs: `make test` runs a few rounds of each, this all of them.
faults: $(VENV)/.test
	FAULTS=full $(BIN)/python -m pytest tests/faults -n auto --dist worksteal

# Mutants of image files of every format, in workers that may die; those that do what no file may are kept as tests.
fuzz: $(VENV)/.test
	$(BIN)/python tests/faults/fuzz.py --mutants $(MUTANTS)

# The Django shim on the oldest Django that it supports and on the newest; `make test` has the one between.
test-django: $(VENV)/django-4.2/.stamp $(VENV)/django-6.0/.stamp
	$(VENV)/django-4.2/bin/python -m pytest tests/django
	@$(call on-django-6,-m pytest tests/django)

# django-imagekit's own tests against the shim, on all three.
test-peer: $(VENV)/django-4.2/.stamp $(VENV)/django-5.2/.stamp $(VENV)/django-6.0/.stamp
	$(VENV)/django-4.2/bin/python tests/peer/run.py
	$(VENV)/django-5.2/bin/python tests/peer/run.py
	@$(call on-django-6,tests/peer/run.py)

# Django 6.0 needs Python 3.12; where there is none, it is left out.
PYTHON312 ?= python3.12
on-django-6 = if [ -x $(VENV)/django-6.0/bin/python ]; then $(VENV)/django-6.0/bin/python $(1); \
	else echo "Left out: Django 6.0 needs Python 3.12, and there is no $(PYTHON312)."; fi

# Only for an intended change of names or bytes; `git diff` then shows which calls differ.
golden: $(VENV)/.test
	PYTHONPATH=examples $(BIN)/python tests/test_golden.py --record

docs: $(VENV)/.docs
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -j auto docs site
	@echo "The documentation is in site/index.html"

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The first prints the table of aims; each prints its own. Most draw photographs and install their peers below build/ first.
bench: $(VENV)/.test
	PYTHONPATH=examples $(BIN)/python tests/benchmarks/aims.py
	PYTHONPATH=examples $(BIN)/python tests/benchmarks/bytes.py
	PYTHONPATH=examples $(BIN)/python tests/benchmarks/calls.py
	PYTHONPATH=examples $(BIN)/python tests/benchmarks/formats.py
	PYTHONPATH=examples $(BIN)/python tests/benchmarks/growth.py
	PYTHONPATH=examples $(BIN)/python tests/benchmarks/warm_tags.py
	PYTHONPATH=examples $(BIN)/python tests/benchmarks/pictures.py
	PYTHONPATH=examples $(BIN)/python tests/benchmarks/on_request.py
	PYTHONPATH=examples $(BIN)/python tests/benchmarks/pregenerate.py
	PYTHONPATH=examples $(BIN)/python tests/benchmarks/clusters.py

coverage: $(VENV)/.test
	$(BIN)/python -m pytest -n auto --dist loadfile --cov

# The sdist and the wheel, and the tutorial in an environment that has nothing but the wheel.
dist: $(VENV)/.test
	rm -rf dist build/wheel
	$(BIN)/python -m build --quiet .
	$(BIN)/twine check --strict dist/*
	$(PYTHON) -m venv build/wheel
	build/wheel/bin/python -m pip install --quiet --disable-pip-version-check dist/*.whl
	DOCS_SCRIPTS=$(CURDIR)/build/wheel/bin $(BIN)/python -m pytest -q tests/test_docs.py -k tutorial
	@ls dist/*

# Publishes what is committed, once the version in jinja_imagekit/__init__.py has its section in the changelog.
release: dist
	@git diff --quiet HEAD || { echo "Commit first: there are changes that are in no commit."; exit 1; }
	@version=$$(build/wheel/bin/python -c 'import jinja_imagekit; print(jinja_imagekit.__version__)') && \
		{ grep -q "^## $$version - " CHANGELOG.md || { echo "CHANGELOG.md has no section $$version."; exit 1; }; } && \
		git tag --annotate "v$$version" --message "$$version" && $(BIN)/twine upload dist/* && git push --tags

clean:
	rm -rf .venv dist site $(SITE)/output $(SITE)/.imagekit $(SITE)/content/images examples/flask_gallery/instance
	rm -rf examples/sphinx_guide/_build examples/sphinx_guide/photos
	rm -rf examples/django_gallery/instance examples/starlette_gallery/instance
	rm -rf examples/pelican_blog/output examples/pelican_blog/.cache
	rm -rf examples/mkdocs_walks/site examples/mkdocs_walks/.imagekit examples/mkdocs_walks/docs/photos
	find examples/pelican_blog/content -name '*.jpg' -delete

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(PIP) -e .
	@touch $@

$(VENV)/.django: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[django]'
	@touch $@ $(VENV)/.demo

$(VENV)/.flask: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[flask]'
	@touch $@ $(VENV)/.demo

$(VENV)/.starlette: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[starlette]' uvicorn python-multipart
	@touch $@ $(VENV)/.demo

$(VENV)/.mkdocs: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[mkdocs]'
	@touch $@ $(VENV)/.demo

$(VENV)/.sphinx: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[sphinx]' furo myst-parser
	@touch $@ $(VENV)/.demo

$(VENV)/.pelican: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[pelican]'
	@touch $@ $(VENV)/.demo

$(VENV)/.test: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[test,docs]'
	@touch $@ $(VENV)/.demo $(VENV)/.docs

$(VENV)/.docs: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[docs]'
	@touch $@ $(VENV)/.demo

FOR_DJANGO = django-imagekit==6.1.1 pytest pytest-django beautifulsoup4 djangorestframework

$(VENV)/django-%/.stamp: pyproject.toml | $(BIN)/python
	$(PYTHON) -m venv $(VENV)/django-$*
	$(VENV)/django-$*/bin/python -m pip install --quiet --disable-pip-version-check -e . 'Django==$*.*' $(FOR_DJANGO)
	@touch $@

$(VENV)/django-6.0/.stamp: pyproject.toml | $(BIN)/python
	@if $(PYTHON312) -c "" 2>/dev/null; then $(PYTHON312) -m venv $(VENV)/django-6.0 && \
		$(VENV)/django-6.0/bin/python -m pip install --quiet --disable-pip-version-check -e . 'Django==6.0.*' $(FOR_DJANGO); fi
	@touch $@
