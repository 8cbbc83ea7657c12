# make run    set everything up in .venv and open the page on http://127.0.0.1:7860
# make share  the same, and a link under which everybody who has it reaches the page
# make test   as make run, with the development requirements, then the tests (ARGS="-k name" goes to pytest)
# make check  linter, format and types
#
# PYTHON=python3.12 chooses the interpreter; otherwise the first of those below that is 3.11 or 3.12 is taken.

.DELETE_ON_ERROR:
.PHONY: run share test check clean FORCE

python := .venv/bin/python
pip := $(python) -m pip --disable-pip-version-check
candidates := $(or $(PYTHON),python3.12 python3.11 python3 python)

# A stamp is touched when its step is complete, so an interrupted step is done again. The environment is made anew when
# its interpreter is gone and when PYTHON names another one than last time.
stale := $(shell test -x $(python) || echo FORCE)
ifdef PYTHON
ifneq ($(shell cat .venv/.python 2>/dev/null),$(PYTHON))
stale := FORCE
endif
endif

run: .venv/.requirements
	$(python) app.py

# GRADIO_SHARE is what Gradio reads; where the link cannot be made, it says so and goes on with the local page.
share: .venv/.requirements
	@echo "Making a public link. Whoever has it can use this page, and with it this computer, until you press Ctrl-C or the"
	@echo "link ends after a week at the latest. What they send and get passes through Gradio's relay, for which Gradio"
	@echo "downloads its program frpc. To let in only those with a password: RESTORE_LOGIN=name:password make share"
	@echo "With no connection there will be no link, and the page is for this computer alone."
	GRADIO_SHARE=True $(python) app.py

test: .venv/.requirements-dev
	$(python) -m pytest $(ARGS)

check: .venv/.requirements-dev
	$(python) -m ruff check
	$(python) -m ruff format --check
	$(python) -m mypy

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/.python: $(stale)
	@for candidate in $(candidates); do \
	  "$$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null || continue; \
	  "$$candidate" -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "$$candidate cannot make a virtual environment: install its venv module (on Debian: apt install python3-venv)." >&2; exit 1; }; \
	  echo "Making .venv with $$("$$candidate" --version) ($$candidate)"; \
	  "$$candidate" -m venv --clear .venv && echo "$$candidate" > $@; exit; \
	done; \
	echo "Restore needs Python 3.11 or 3.12; none of these is: $(candidates). Say where one is with make PYTHON=/path/to/python3.12." >&2; \
	exit 1

# basicsr is published as source only and asks for all of torch to be built with, but uses it for optional extensions
# alone: with its builder at hand and no isolation, the set-up is spared a second copy of torch (some gigabytes).
.venv/.requirements: requirements.txt .venv/.python
	@echo "Installing requirements.txt: about 4 GB and some minutes the first time."
	$(pip) install --quiet 'setuptools>=77,<82' wheel
	$(pip) install --no-build-isolation -r requirements.txt
	version=$$($(python) -c 'from importlib.metadata import version; print(version("opencv-python"))') && \
	$(pip) uninstall --quiet --yes opencv-python opencv-python-headless && \
	$(pip) install --quiet --no-deps "opencv-python-headless==$$version"
	@touch $@

.venv/.requirements-dev: requirements-dev.txt .venv/.requirements
	$(pip) install -r requirements-dev.txt
	@touch $@
