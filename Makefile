# SPDX-License-Identifier: GPL-2.0
#
# guestmem: every target is one script; each script has --help.

MAKEFLAGS += --no-print-directory
FLAVOUR ?= normal
export FLAVOUR FLAVOURS TESTS

help: ## this text
	@echo 'guestmem: private guest memory as a file descriptor'
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | \
		while IFS='|' read -r t d; do printf '%-22s %s\n' "$$t" "$$d"; done
	@echo
	@echo 'FLAVOUR=normal|debug|icount selects a kernel. Times are for 2 cores; cold is once.'

run: ## a guest on MFD_GUEST memory in QEMU, ARGS="..." to its VMM (cold 10 min, then 10 s)
	@scripts/run -- $(ARGS)

test: ## all tests on both kernels, TESTS=glob FLAVOURS="normal debug" (cold 40 min)
	@scripts/test

kernel: ## build the test kernel (cold 7 min, debug 10 min)
	@scripts/kernel

print-image: ## print the path of the bootable image and nothing else
	@scripts/kernel --print

boot: ## a shell in the test kernel with this machine's tools, CMD="..." runs one command
	@scripts/boot -- $${CMD:+"$$CMD"}

check: ## checkpatch, sparse, W=1, kernel-doc, series and ownership (cold 4 min, then 1 min)
	@scripts/check

bench: ## instructions per call, all stores against native, ARGS="..." (cold 22 min, then 15 min)
	@scripts/bench $(ARGS)

tdxmod-driver: ## the software TDX module in user space, a call a line: build/tdxmod-driver (10 s)
	@scripts/tdxmod driver

export-series: ## overlay and patches as a mailable series in build/series, BUILD=1 builds each step
	@scripts/export-series $(if $(BUILD),--build)

clean: ## remove build/; CACHE=1 removes the shared cache too
	@scripts/clean $(if $(CACHE),--cache)

.PHONY: help run test kernel print-image boot check bench tdxmod-driver export-series clean
.DEFAULT_GOAL := help
