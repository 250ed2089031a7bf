# Solaris. `make` alone lists what can be done; everything bootstraps its own environment.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON := .venv/bin/python
STAMP := .venv/.installed
PROJECTS := pyproject.toml $(wildcard libs/*/pyproject.toml services/*/pyproject.toml deploy/local/pyproject.toml deploy/company/pyproject.toml)

# Values of operator commands reach the program as they were typed: `value` keeps make, and the environment keeps the
# shell, from reading anything into them. What a shell happens to export is none: a KEY of something else, for instance.
OPERATE_VALUES := ACCOUNT TOKENS REASON KEY PLAN LOT WHO NEW SHOW CUSTOM AT FROM TO PROJECTION CHECKPOINT SINCE DUE ANEW ID COUNT USES PER_ACCOUNT UNTIL EXPIRES_DAYS BATCH ORDER STATE FORMAT PACKAGE PAID_BY REFERENCE AMOUNT CURRENCY PAYER BELOW MONTHLY_CAP OFF MODEL BY CODE OLDER SORT FILE APPLY CREDITS_PER_TOKEN TAG SEED SOURCE THRESHOLD CORRECT STATES
typed = $(findstring command line,$(origin $(1)))
define operate_value
export SOLARIS_OPERATE_$(1) := $$(if $$(call typed,$(1)),$$(value $(1)))
unexport $(1)
endef
$(foreach name,$(OPERATE_VALUES),$(eval $(call operate_value,$(name))))
# The names of all that was typed: a command refuses what it does not take, and what has no value.
export SOLARIS_OPERATE_GIVEN := $(sort $(foreach name,$(.VARIABLES),$(if $(call typed,$(name)),$(name))))

OPERATE := $(PYTHON) -m local_run.commands.operate
# Each has a Postgres, a NATS and a stack of its own, and takes file after file in the order that tests/conftest.py deals.
TEST_PROCESSES := 2

.PHONY: help
help: ## Lists these targets
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-z][a-z-]*:.*## / { printf "  %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Run
.PHONY: run ps env
run: $(STAMP) ## Starts everything in the foreground: Postgres, NATS, services, demo upstream, mailbox
	@exec $(PYTHON) -m local_run --stop-with-parent

ps: $(STAMP) ## One JSON line per running process
	@$(PYTHON) -m local_run.commands.ps

env: $(STAMP) ## The running stack's addresses with operator rights, ports and settings, as export lines
	@$(PYTHON) -m local_run.commands.env

##@ Build
.PHONY: test check format chromium bench schemas metabase
test: $(STAMP) ## All tests that need no Docker: unit, integration, e2e, and in a browser where Chromium is
	@$(PYTHON) -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

check: $(STAMP) ## Format, lint, types, import rules, generated files
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m mypy
	@.venv/bin/lint-imports
	@$(PYTHON) -m contracts.schemas --check docs/events
	@$(PYTHON) -m ledger.analytics.document --check docs/analytics.md

format: $(STAMP) ## Formats the code and fixes what can be fixed
	@$(PYTHON) -m ruff format .
	@$(PYTHON) -m ruff check --fix .

schemas: $(STAMP) ## Writes what is generated of docs: the events' JSON Schemas, the AsyncAPI document, the views of analytics
	@$(PYTHON) -m contracts.schemas docs/events
	@$(PYTHON) -m ledger.analytics.document docs/analytics.md

metabase: $(STAMP) ## Loads questions and dashboards into a Metabase; see deploy/metabase/README.md
	@$(PYTHON) deploy/metabase/load.py

chromium: ## Installs Chromium for the tests in a browser, where apt and root are there
	@.ci/chromium

bench: $(STAMP) ## The benchmark; results in bench/results
	@$(PYTHON) -m bench

##@ Operate (against the running stack, or SOLARIS_DATABASE_URL and SOLARIS_NATS_URL)
OPERATE_VERBS := balance credit revoke lots plan limit suspend activate block correct-cycle apply-catalog find import export forget events replay verify checkpoint republish dead-letters dead-letters-retry dead-letters-discard seed usage requests refusals statement explain holds overview people reconcile order approve refund unfreeze orders billing-sync billing-republish stripe-setup stripe-check vouchers vouchers-withdraw top-up
.PHONY: $(OPERATE_VERBS)
$(OPERATE_VERBS): $(STAMP)
	@$(OPERATE) $@

balance: ## ACCOUNT=id [AT=iso-time]: the balance, now or as it was then
credit: ## ACCOUNT=id TOKENS=n REASON=text [KEY=idempotency-key] [NEW=1]: grants credits
revoke: ## ACCOUNT=id LOT=id TOKENS=n REASON=text [KEY=idempotency-key]: takes back tokens of a grant
lots: ## ACCOUNT=id: the account's grants of credits, and what became of them
plan: ## ACCOUNT=id PLAN=name [NEW=1]: changes the plan
limit: ## ACCOUNT=id TOKENS=n [NEW=1]: changes the monthly limit
suspend: ## ACCOUNT=id REASON=text [NEW=1]: suspends the account
activate: ## ACCOUNT=id REASON=text [NEW=1]: makes the account active again
block: ## ACCOUNT=id REASON=text [NEW=1]: blocks the account
correct-cycle: ## ACCOUNT=id REASON=text: puts back the cycle that runs, where a wrong clock started a later one
apply-catalog: ## [PLAN=name] [SHOW=1] [CUSTOM=1]: the catalog's limits for existing accounts; shows whom, then does it
find: ## WHO=id|part: people by account id, or part of a name, an e-mail or the client's own id
import: ## FILE=path [APPLY=1] [KEY=name] [CREDITS_PER_TOKEN=n] [FORMAT=table|csv|json]: people of a CSV or JSON file, LibreChat's too; shows what it changes, then does it
export: ## ACCOUNT=id: all that is kept about the person, as JSON lines
forget: ## ACCOUNT=id [REASON=text]: erases what is personal; the figures stay
events: ## [ACCOUNT=id] [FROM=position] [TO=position]: events as JSON lines
replay: ## [PROJECTION=name|all]: rebuilds projections from the events and compares
verify: ## [CHECKPOINT=latest|number|file]: checks hash chains, gaps, sums, events against state; [SINCE=… [STATES=1]]: what came since
checkpoint: ## [DUE=1] [ANEW=reason]: states what the log is, signed, to be kept where the database's owner can't change it
republish: ## [FROM=position] [TO=position]: publishes stored events again, same ids; with neither also what billing has said
dead-letters: ## Lists what consumers gave up on
dead-letters-retry: ## [ID=service:n]: redelivers what consumers gave up on
dead-letters-discard: ## ID=service:n REASON=text: puts away one that can never succeed; it stays listed
seed: ## [SEED=n]: a made-up company: 200 people with three months of calls, purchases and refunds; mails nobody
people: ## [WHO=part] [SORT=[-]column] [FORMAT=table|csv|json]: people with plan, status, tokens and last call, by any column
overview: ## [FROM=day] [TO=day] [FORMAT=table|csv|json]: calls, tokens, cost, active and new people, refusals, revenue by day
holds: ## [ACCOUNT=id] [OLDER=age] [FORMAT=table|csv|json]: calls whose usage has not come, open or charged by their hold
explain: ## ID=call, conversation or client's own [ACCOUNT=id] [FORMAT=text|json]: how a call came to its tokens: hold, rates, classes by their weights, where they were taken
statement: ## ACCOUNT=id [FROM=day] [TO=day] [FORMAT=table|csv|json]: every movement of its tokens, what it was made of, and the balances after it
reconcile: ## [FROM=day] [TO=day] [SOURCE=litellm|spend-logs] or [FILE=export] [THRESHOLD=percent] [FORMAT=table|csv|json] [CORRECT=1]: compares LiteLLM's or a provider's figures with the log; UTC days, yesterday without any
usage: ## [ACCOUNT=id] [MODEL=name] [TAG=tag] [FROM=day] [TO=day] [BY=day|week|month|model|person] [FORMAT=table|csv|json]: calls, tokens and cost
requests: ## [ACCOUNT=id] [ID=request|conversation|client's] [CODE=code] [FROM=day] [TO=day] [FORMAT=table|csv|json]: the request log, a line for each request
refusals: ## [ACCOUNT=id] [FROM=day] [TO=day] [BY=day|month|code|person] [FORMAT=table|csv|json]: how often what was refused
order: ## ACCOUNT=id PAID_BY=how REFERENCE=text REASON=text [PACKAGE=name] or [TOKENS=n] [AMOUNT=minor] [CURRENCY=brl] [PAYER=id] [KEY=idempotency-key]: an order that was paid elsewhere, or is a courtesy
approve: ## ORDER=id: approves a large order that somebody else entered
refund: ## ORDER=id REASON=text [AMOUNT=minor]: gives an order back, or a part of it
unfreeze: ## ORDER=id REASON=text: gives back what a warning of fraud took, where the buyer is known
orders: ## [ACCOUNT=id] [STATE=state] [FROM=day] [TO=day] [FORMAT=table|json|csv]: orders with their refunds; [ORDER=id]: the whole life of one
billing-sync: ## [FROM=day]: fetches what was missed of Stripe's, and compares it with the orders; 30 days without it
billing-republish: ## Publishes again what billing has said, same ids; recreates the streams first
stripe-setup: ## [SHOW=1]: makes prices, webhook endpoint and portal at Stripe, as the catalog and the settings say
stripe-check: ## Says of each thing at Stripe whether it is as it has to be
top-up: ## ACCOUNT=id [PACKAGE=name] [BELOW=tokens] [MONTHLY_CAP=n] [CURRENCY=brl] [PAYER=id] [OFF=1]: buys a package by itself when less is left; without PACKAGE shows it
vouchers: ## [TOKENS=n] [COUNT=n] [REASON=text] [USES=n] [PER_ACCOUNT=n] [UNTIL=day] [EXPIRES_DAYS=n]: makes codes; without TOKENS lists batches, or the uses of [BATCH=n]
vouchers-withdraw: ## BATCH=n REASON=text: lets no code of the batch be used any more

# The environment: .venv from uv.lock, with a Python that this machine has. All talk goes to standard error.
$(STAMP): uv.lock $(PROJECTS) deploy/local/bootstrap.sh
	@deploy/local/bootstrap.sh >&2
	@touch $@
