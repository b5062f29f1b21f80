// SPDX-License-Identifier: GPL-2.0
/*
 * Private memory of TDs is not in the direct map of the kernel.
 *
 * So a host that touches it is found out: where hardware would give it the memory in
 * encrypted form, or a machine check, it gets a page fault, and the oops names the TD.
 * A page goes when it becomes private and comes back when it is returned, at the size
 * at which that happens: the direct map is changed by one step, and flushed from TLBs
 * once, also for 2M.  Tables and control pages stay where they are, the module works on
 * them all the time.
 *
 * For its own accesses the module maps what is *hidden* at an address of this CPU, for a
 * short time, with preemption off.  There are a few such *slots*, used like a stack.
 *
 * A bit for each page says whether it is hidden.  Who changes it has the metadata of the
 * page to himself.  Who reads it either has that, too, or got the page from a locked
 * S-EPT entry, which keeps it; but for operands that are memory of the host.  A host that
 * makes them private meanwhile is caught at that.
 */
#include <kunit/static_stub.h>
#include <linux/bitmap.h>
#include <linux/kdebug.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/percpu.h>
#include <linux/set_memory.h>
#include <linux/vmalloc.h>

#include <asm/tlbflush.h>

#include "host.h"

static bool protect = true;
module_param(protect, bool, 0444);
MODULE_PARM_DESC(protect, "Take private memory of TDs out of the direct map (default: yes)");

/* NULL: nothing is ever hidden */
static unsigned long *hidden;
static unsigned long nr_bits;
static atomic64_t nr_hidden;
static atomic64_t nr_unhidden;

/* --- slots ---------------------------------------------------------------- */

/* a page is copied from one to another */
#define NR_SLOTS	2

/**
 * struct tdxmod_slots - where a CPU maps pages for itself
 * @va: the first of NR_SLOTS addresses
 * @ptes: their page table entries
 * @used: how many are mapped
 */
struct tdxmod_slots {
	void *va;
	pte_t *ptes[NR_SLOTS];
	unsigned int used;
};

static DEFINE_PER_CPU(struct tdxmod_slots, tdxmod_slots);

static int keep_pte(pte_t *pte, unsigned long addr, void *data)
{
	pte_t ***next = data;

	*(*next)++ = pte;
	return 0;
}

/* The area is never given back: a module that there is once stays. */
static int slots_create(void)
{
	size_t size = NR_SLOTS * PAGE_SIZE;
	struct vm_struct *area = get_vm_area(nr_cpu_ids * size, VM_MAP);
	int cpu, err;

	if (!area)
		return -ENOMEM;
	for_each_possible_cpu(cpu) {
		struct tdxmod_slots *slots = per_cpu_ptr(&tdxmod_slots, cpu);
		pte_t **next = slots->ptes;

		slots->va = area->addr + cpu * size;
		err = apply_to_page_range(&init_mm, (unsigned long)slots->va, size,
					  keep_pte, &next);
		if (err) {
			free_vm_area(area);
			return err;
		}
	}
	return 0;
}

static void *slot_map(unsigned long pfn)
{
	struct tdxmod_slots *slots;
	unsigned int i;

	preempt_disable();
	slots = this_cpu_ptr(&tdxmod_slots);
	i = slots->used++;
	if (WARN_ON_ONCE(i >= NR_SLOTS)) {
		slots->used--;
		preempt_enable();
		return NULL;
	}
	/* it was not present, and is not in this CPU's TLB since it was used last */
	set_pte(slots->ptes[i], pfn_pte(pfn, PAGE_KERNEL));
	return slots->va + i * PAGE_SIZE;
}

static void slot_unmap(void)
{
	struct tdxmod_slots *slots = this_cpu_ptr(&tdxmod_slots);
	unsigned int i = --slots->used;

	set_pte(slots->ptes[i], __pte(0));
	flush_tlb_one_kernel((unsigned long)slots->va + i * PAGE_SIZE);
	preempt_enable();
}

/* --- pages ---------------------------------------------------------------- */

/* Is it memory, and has the kernel mapped it?  Of a range, which is a page to a TD. */
static bool is_memory(unsigned long pfn, unsigned long nr)
{
	return pfn_valid(pfn) && pfn_valid(pfn + nr - 1) && pfn_range_is_mapped(pfn, pfn + nr);
}

static bool pfn_hidden(unsigned long pfn)
{
	return hidden && pfn < nr_bits && test_bit(pfn, hidden);
}

/* Are pages taken out of the direct map? */
bool tdxmod_protects(void)
{
	return hidden;
}

/* Is the page out of the direct map? */
bool tdxmod_page_hidden(u64 pa)
{
	return pfn_hidden(PHYS_PFN(pa));
}

/* How many pages of 4K are out of the direct map? */
u64 tdxmod_hidden_pages(void)
{
	return atomic64_read(&nr_hidden);
}

/* How many should have gone when they became private, but there was no memory for tables? */
u64 tdxmod_unhidden_pages(void)
{
	return atomic64_read(&nr_unhidden);
}

void *tdxmod_map_shared(u64 pa)
{
	unsigned long pfn = PHYS_PFN(pa);

	return !pfn_hidden(pfn) && is_memory(pfn, 1) ? pfn_to_kaddr(pfn) : NULL;
}

void *tdxmod_map(u64 pa)
{
	unsigned long pfn = PHYS_PFN(pa);

	return pfn_hidden(pfn) ? slot_map(pfn) : tdxmod_map_shared(pa);
}

void tdxmod_unmap(void *va)
{
	if (is_vmalloc_addr(va))
		slot_unmap();
}

/*
 * Bits of a large page fill whole words, which are nobody else's; the bit of a small one
 * shares its word.
 */
static void set_hidden(unsigned long pfn, unsigned long nr)
{
	if (nr == 1)
		set_bit(pfn, hidden);
	else
		bitmap_set(hidden, pfn, nr);
	atomic64_add(nr, &nr_hidden);
}

static void clear_hidden(unsigned long pfn, unsigned long nr)
{
	if (nr == 1) {
		clear_bit(pfn, hidden);
		atomic64_dec(&nr_hidden);
		return;
	}
	atomic64_sub(bitmap_weight(hidden + BIT_WORD(pfn), nr), &nr_hidden);
	bitmap_clear(hidden, pfn, nr);
}

static bool any_hidden(unsigned long pfn, unsigned long nr)
{
	return hidden && pfn + nr <= nr_bits && find_next_bit(hidden, pfn + nr, pfn) < pfn + nr;
}

/* Take pages out of the direct map, or put them back; what lacks is a page table. */
int tdxmod_change_direct_map(unsigned long pfn, unsigned long nr, bool present)
{
	unsigned long addr = (unsigned long)pfn_to_kaddr(pfn);

	KUNIT_STATIC_STUB_REDIRECT(tdxmod_change_direct_map, pfn, nr, present);
	return present ? __set_memory_prot(addr, nr, PAGE_KERNEL) : set_memory_np(addr, nr);
}

/*
 * The direct map may have a larger page here, and there may be no memory to split it.
 * The host can touch the page, then.
 */
void tdxmod_page_taken(u64 pa, u64 size)
{
	unsigned long pfn = PHYS_PFN(pa), nr = PHYS_PFN(size);

	if (!hidden || pfn + nr > nr_bits || !is_memory(pfn, nr))
		return;
	if (tdxmod_change_direct_map(pfn, nr, false))
		atomic64_add(nr, &nr_unhidden);
	else
		set_hidden(pfn, nr);
}

/*
 * What was hidden as a large page can come back in pieces, so this may have to split one,
 * too.  The page is the caller's again and cannot stay away: wait for memory.
 */
static void show_pages(unsigned long pfn, unsigned long nr)
{
	while (tdxmod_change_direct_map(pfn, nr, true))
		schedule_timeout_uninterruptible(1);
	clear_hidden(pfn, nr);
}

static void scrub_pages(unsigned long pfn, unsigned long nr)
{
	unsigned long end = pfn + nr;

	for (; pfn < end; pfn++) {
		memset(pfn_to_kaddr(pfn), TDXMOD_SCRUBBED, PAGE_SIZE);
		cond_resched();
	}
}

void tdxmod_page_returned(u64 pa, u64 size)
{
	unsigned long pfn = PHYS_PFN(pa), nr = PHYS_PFN(size);

	if (any_hidden(pfn, nr))
		show_pages(pfn, nr);
	if (is_memory(pfn, nr))
		scrub_pages(pfn, nr);
}

/* --- accesses of the host ------------------------------------------------- */

/*
 * A page fault that nobody handles; dumpstack.c calls it "Oops", and nothing else.  In
 * between CR2 may have changed, by a fault that was handled: then nothing is said.
 */
static int tdxmod_die(struct notifier_block *nb, unsigned long what, void *data)
{
	unsigned long addr = read_cr2();
	struct die_args *args = data;
	struct tdxmod *mod = tdxmod_host();
	struct tdxmod_place place;

	if (what != DIE_OOPS || strcmp(args->str, "Oops") || !mod)
		return NOTIFY_DONE;
	if (!virt_addr_valid((void *)addr) || !tdxmod_page_hidden(__pa(addr)) ||
	    !tdxmod_find_page(mod, __pa(addr), &place))
		return NOTIFY_DONE;
	if (place.mapped)
		pr_emerg("tdxmod: host access to private memory of the TD at 0x%llx, gpa 0x%llx\n",
			 place.tdr, place.gpa);
	else
		pr_emerg("tdxmod: host access to private memory of the TD at 0x%llx\n", place.tdr);
	return NOTIFY_DONE;
}

static struct notifier_block tdxmod_die_notifier = {
	.notifier_call = tdxmod_die,
};

/**
 * tdxmod_protect_enable - be ready to hide pages, unless that is switched off
 * @end: of all memory
 *
 * Return: 0 or -ENOMEM.
 */
int tdxmod_protect_enable(u64 end)
{
	unsigned long *bits;
	int err;

	if (!protect || hidden)
		return 0;
	bits = vzalloc(BITS_TO_LONGS(PHYS_PFN(end)) * sizeof(long));
	if (!bits)
		return -ENOMEM;
	err = slots_create();
	if (err) {
		vfree(bits);
		return err;
	}
	nr_bits = PHYS_PFN(end);
	hidden = bits;
	register_die_notifier(&tdxmod_die_notifier);
	return 0;
}
