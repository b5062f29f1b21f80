/* SPDX-License-Identifier: GPL-2.0 */
#ifndef __KVM_X86_TDX_TD_H
#define __KVM_X86_TDX_TD_H

/*
 * A TD and its vCPUs: the pages that they consist of, and their life.
 *
 *	td_create()	a key, TDR and TDCX pages, TDH.MNG.INIT
 *	td_add_vcpu()	TDVPR and its pages, TDH.VP.INIT
 *	td_finalize()	the measurement is complete: the TD can run
 *	td_destroy()	from any state, also halfway between: the key is taken from the TD,
 *			and then all pages, without blocking them one by one
 */
#include <linux/cpumask.h>
#include <linux/list.h>
#include <linux/mutex.h>

#include "sept.h"

#define TD_MAX_CONTROL_PAGES	16

/**
 * struct td - a TD
 * @sept: its private memory
 * @tdr: pfn of its root page, 0 if it has none
 * @hkid: its key
 * @nr_tdcx: how many are in @tdcx
 * @tdcx: pfns of its control pages
 * @keyed: the module has bound @hkid to it
 * @node: among all TDs
 * @packages: room for a set of them
 * @lock: of @vcpus, and of what is done to it as a whole
 * @vcpus: with a TDVPR
 */
struct td {
	struct sept sept;
	unsigned long tdr;
	u16 hkid;
	u8 nr_tdcx;
	unsigned long tdcx[TD_MAX_CONTROL_PAGES];
	bool keyed;
	struct list_head node;
	cpumask_var_t packages;
	/* of @vcpus */
	struct mutex lock;
	struct list_head vcpus;
};

/**
 * struct td_vcpu - a vCPU of a TD
 * @node: in the TD's list
 * @tdvpr: pfn of its root page, 0 if it has none
 * @nr_pages: how many are in @pages
 * @pages: pfns of its control pages
 * @cpu: where its state may be in caches, or -1
 */
struct td_vcpu {
	struct list_head node;
	unsigned long tdvpr;
	u8 nr_pages;
	unsigned long pages[TD_MAX_CONTROL_PAGES];
	int cpu;
};

int td_create(struct td *td, const struct sept_ops *ops, int root_level,
	      unsigned long params, u64 *status);
int td_add_vcpu(struct td *td, struct td_vcpu *vcpu, u64 initial, u64 *status);
int td_measure_page(struct td *td, gfn_t gfn, u64 *status);
int td_finalize(struct td *td, u64 *status);
void td_destroy(struct td *td);
void td_free(struct td *td);
void td_exit(void);

#endif /* __KVM_X86_TDX_TD_H */
