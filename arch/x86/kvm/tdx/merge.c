// SPDX-License-Identifier: GPL-2.0
/*
 * Merging pages that have become 512 in a row again, later and elsewhere.
 *
 * A table that fills up is a candidate; it comes from a conversion there and back, from a
 * move, or from 2M pages that could be one of 1G.  To merge them takes a flush, and
 * the module does it only if the guest has accepted all of the pages or none, which it
 * does in its own time.  So faults leave a note, and a worker comes by: soon at first,
 * then, if the pages are not ready, after ever longer times, and then no more.
 */
#include <linux/bitfield.h>
#include <linux/module.h>

#include "../mmu.h"
#include "../mmu/mmu_internal.h"
#include "tdx.h"
#include "vm.h"

static bool tdx_merge = true;
module_param(tdx_merge, bool, 0644);
MODULE_PARM_DESC(tdx_merge, "merge private pages of TDs into larger ones (default: yes)");

/* time until the next round, and how many are tried in one */
#define TDX_MERGE_PERIOD	(HZ / 10)
#define TDX_MERGE_BATCH		64
/* rounds from one attempt to the next: 1, 2, 4 ... */
#define TDX_MERGE_ATTEMPTS	8

/*
 * Two sizes cannot begin at the same gfn and be candidates at the same time: one is made
 * of pages of the other.  So the value is the level, and how often it was tried.
 */
#define TDX_MERGE_LEVEL		GENMASK(1, 0)
#define TDX_MERGE_TRIED		GENMASK(7, 2)
#define TDX_MERGE_WAIT		GENMASK(15, 8)

void tdx_merge_later(struct sept *sept, gfn_t gfn, int level)
{
	struct tdx_merger *merger = &sept_to_kvm_tdx(sept)->merger;

	if (!READ_ONCE(tdx_merge))
		return;
	/* a hint: without memory for it, there is none */
	xa_store(&merger->candidates, gfn, xa_mk_value(level), GFP_NOWAIT | __GFP_NOWARN);
	queue_delayed_work(system_unbound_wq, &merger->work, TDX_MERGE_PERIOD);
}

/* May one mapping have all of it?  slots_lock keeps memslots and attributes as they are. */
static bool tdx_may_merge(struct kvm *kvm, gfn_t gfn, int level)
{
	struct kvm_memory_slot *slot = gfn_to_memslot(kvm, gfn);
	unsigned int order = 9 * level;

	if (!kvm_slot_can_be_private(slot) || !kvm_mem_is_private(kvm, gfn))
		return false;
	return kvm_mmu_max_mapping_level(kvm, slot, gfn, level + PG_LEVEL_4K) ==
	       level + PG_LEVEL_4K &&
	       guestmem_max_order(slot->gmem.binding, gfn, order) >= order;
}

static int tdx_merge_one(struct kvm_tdx *tdx, gfn_t gfn, int level)
{
	int r = -ENOENT, idx;

	/* who has it may be waiting for user space */
	if (!mutex_trylock(&tdx->kvm->slots_lock))
		return -EAGAIN;
	idx = srcu_read_lock(&tdx->kvm->srcu);
	if (tdx_may_merge(tdx->kvm, gfn, level))
		r = sept_merge(&tdx->td.sept, gfn, level);
	srcu_read_unlock(&tdx->kvm->srcu, idx);
	mutex_unlock(&tdx->kvm->slots_lock);
	return r;
}

/* The pages were not ready: when is it tried again? */
static unsigned long tdx_merge_postpone(unsigned long value)
{
	unsigned long tried = FIELD_GET(TDX_MERGE_TRIED, value) + 1;

	return (value & TDX_MERGE_LEVEL) | FIELD_PREP(TDX_MERGE_TRIED, tried) |
	       FIELD_PREP(TDX_MERGE_WAIT, (1UL << (tried - 1)) - 1);
}

static void tdx_merge_try(struct kvm_tdx *tdx, gfn_t gfn, unsigned long value)
{
	struct xarray *candidates = &tdx->merger.candidates;
	int level = value & TDX_MERGE_LEVEL, r;
	gfn_t above = sept_level_start(gfn, level + 1);

	/* erased first: whoever fills it up again meanwhile is not forgotten */
	xa_erase(candidates, gfn);
	r = tdx_merge_one(tdx, gfn, level);
	if (r == -EAGAIN)
		xa_store(candidates, gfn, xa_mk_value(value), GFP_KERNEL);
	else if (r == -EBUSY && FIELD_GET(TDX_MERGE_TRIED, value) < TDX_MERGE_ATTEMPTS)
		xa_store(candidates, gfn, xa_mk_value(tdx_merge_postpone(value)), GFP_KERNEL);
	else if (!r && level == TDX_LEVEL_2M &&
		 sept_can_merge(&tdx->td.sept, above, level + 1))
		tdx_merge_later(&tdx->td.sept, above, level + 1);
}

static void tdx_merge_work(struct work_struct *work)
{
	struct tdx_merger *merger = container_of(work, struct tdx_merger, work.work);
	struct kvm_tdx *tdx = container_of(merger, struct kvm_tdx, merger);
	unsigned int tried = 0;
	unsigned long gfn, value;
	void *entry;

	xa_for_each(&merger->candidates, gfn, entry) {
		value = xa_to_value(entry);
		if (value & TDX_MERGE_WAIT) {
			value -= FIELD_PREP(TDX_MERGE_WAIT, 1);
			xa_store(&merger->candidates, gfn, xa_mk_value(value), GFP_KERNEL);
		} else if (tried++ < TDX_MERGE_BATCH) {
			tdx_merge_try(tdx, gfn, value);
		}
		cond_resched();
	}
	if (!xa_empty(&merger->candidates))
		queue_delayed_work(system_unbound_wq, &merger->work, TDX_MERGE_PERIOD);
}

void tdx_merger_init(struct kvm_tdx *tdx)
{
	xa_init(&tdx->merger.candidates);
	INIT_DELAYED_WORK(&tdx->merger.work, tdx_merge_work);
}

/* Nobody maps anything any more. */
void tdx_merger_destroy(struct kvm_tdx *tdx)
{
	cancel_delayed_work_sync(&tdx->merger.work);
	xa_destroy(&tdx->merger.candidates);
}
