# NetMigrate: `make run` moves a live Redis partition through a P4 switch; `make test` runs all tests.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON := .venv/bin/python
READY := .venv/.ready

# Settings of `make run` and `make net`; an empty one takes its default from the program.
SETTINGS = KEYS VALUE_SIZE WORKLOAD RATE SERVERS CLIENTS PROTOCOL THROTTLE LANES GROUP_BATCH PULL_READS SEED \
  RDB SWITCH LOG_PACKETS
OPTIONS = $(foreach s,$(SETTINGS),$(if $($(s)),--$(subst _,-,$(shell tr A-Z a-z <<<$(s)))='$($(s))'))
# The store's server program, of everything that starts stores (topology/stores.py).
export STORE
# Settings of `make bench-protocols`.
COMPARED = KEYS WRITES BUDGET FULL RATE THROTTLE REPEAT PROTOCOLS PEERS SWEEP SIZES QUICK

NATIVE := $(wildcard hosts/*/core/*.c hosts/*/core/*.h hosts/wire/*.h)
PROTOS := hosts/agent/agent.proto controller/controller.proto

.PHONY: help setup run net shell test torture restarts model lint bench bench-protocols protos clean

help:
	@echo 'make run     set up, load a store, move its partition under live load, report (root)'
	@echo 'make net     the same network, kept running, with the Mininet prompt (root)'
	@echo 'make shell   p4runtime-shell on the switch of make net (or ARGS="ADDRESS:PORT DEVICE_ID FLAGS")'
	@echo 'make test    all tests (root for those that build networks)'
	@echo 'make torture faults strike under load and migrations; every history judged: SECONDS SEED FAULTS PROTOCOL (root)'
	@echo 'make restarts  how long it takes until all is well after a restart of each part: SECONDS SEED PROTOCOL (root)'
	@echo 'make model   the protocol in every state of its formal model; DEEP=1: larger bounds'
	@echo 'make bench   every benchmark; figures in out/bench/ (root)'
	@echo 'make bench-protocols  the migration protocols side by side; QUICK=1: in minutes (root)'
	@echo 'make lint    ruff and mypy'
	@echo 'make clean   stop and remove whatever a run left behind (root)'
	@echo 'Settings of run and net: $(SETTINGS), for example: make run KEYS=50000 WORKLOAD=A'
	@echo 'STORE=PROGRAM anywhere: the store to use, by name or path; without it valkey-server, else redis-server'

setup: $(READY)

$(READY): pyproject.toml topology/install.sh $(PROTOS) $(NATIVE)
	@bash topology/install.sh
	@touch $@

protos: $(READY)

run: $(READY)
	@$(PYTHON) -m topology run $(OPTIONS)

net: $(READY)
	@$(PYTHON) -m topology net $(OPTIONS)

shell: $(READY)
	@bash switch/shell.sh $(ARGS)

test: $(READY)
	@$(PYTHON) -m pytest

torture: $(READY)
	@$(PYTHON) -m torture $(foreach s,SECONDS SEED FAULTS PROTOCOL OUTPUT,$(if $($(s)),--$(shell tr A-Z a-z <<<$(s))='$($(s))'))

restarts: $(READY)
	@$(PYTHON) -m torture.restarts $(foreach s,SECONDS SEED PROTOCOL OUTPUT,$(if $($(s)),--$(shell tr A-Z a-z <<<$(s))='$($(s))'))

model: $(READY)
	@$(PYTHON) -m tests.model $(if $(DEEP),--deep)

bench: $(READY)
	@$(PYTHON) -m bench

bench-protocols: $(READY)
	@$(PYTHON) -m bench.protocols $(foreach s,$(COMPARED),$(if $($(s)),--$(shell tr A-Z a-z <<<$(s))='$($(s))'))

lint: $(READY)
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy .

clean:
	@if [ -x $(PYTHON) ]; then $(PYTHON) -m topology clean; fi
	@rm -rf out build .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
