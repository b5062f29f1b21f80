// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a TD, see td.h, and the keys that TDs have.
 *
 * Everything that is built is noted down at once, and td_destroy() takes down what is
 * noted: so there is one way down from every state, and it does not fail.  Pages that the
 * module refuses to give back are not used any more; a key that it does not free is
 * not given to another TD.
 */
#include <linux/cleanup.h>
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/idr.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/sched/signal.h>
#include <linux/smp.h>
#include <linux/topology.h>

#include "sept_mirror.h"
#include "td.h"

static DEFINE_IDA(td_hkids);

static int td_hkid_alloc(void)
{
	const struct tdx_sysinfo *info = tdx_sysinfo();

	return ida_alloc_range(&td_hkids, info->hkid_first,
			       info->hkid_first + info->nr_hkids - 1, GFP_KERNEL);
}

/* --- CPUs that go offline -------------------------------------------------- */

/* of @td_list */
static DEFINE_MUTEX(td_list_lock);
static LIST_HEAD(td_list);
static int td_hotplug;

static void td_flush_cpu(struct td *td, unsigned int cpu)
{
	struct td_vcpu *vcpu;

	guard(mutex)(&td->lock);
	list_for_each_entry(vcpu, &td->vcpus, node) {
		if (vcpu->cpu != cpu)
			continue;
		tdh_vp_flush(vcpu->tdvpr);
		vcpu->cpu = -1;
	}
}

/* On the CPU that goes: no vCPU may be associated with it, or its TD could never end. */
static int td_cpu_offline(unsigned int cpu)
{
	struct td *td;

	guard(mutex)(&td_list_lock);
	list_for_each_entry(td, &td_list, node)
		td_flush_cpu(td, cpu);
	return 0;
}

static void td_list_add(struct td *td)
{
	guard(mutex)(&td_list_lock);
	list_add(&td->node, &td_list);
}

static void td_list_del(struct td *td)
{
	guard(mutex)(&td_list_lock);
	list_del(&td->node);
}

/* With the first TD, and for good: 0 or an errno. */
static int td_watch_cpus(void)
{
	static DEFINE_MUTEX(once);
	int state;

	guard(mutex)(&once);
	if (td_hotplug)
		return 0;
	state = cpuhp_setup_state_nocalls(CPUHP_AP_ONLINE_DYN, "kvm/tdx:online", NULL,
					  td_cpu_offline);
	if (state < 0)
		return state;
	td_hotplug = state;
	return 0;
}

/**
 * td_exit - before the code goes
 *
 * Context: There are no TDs.
 */
void td_exit(void)
{
	if (td_hotplug)
		cpuhp_remove_state_nocalls(td_hotplug);
	td_hotplug = 0;
	/* tables that those who only looked could still see */
	rcu_barrier();
}

/* --- pages ---------------------------------------------------------------- */

static unsigned long td_alloc_page(void)
{
	struct page *page = alloc_page(GFP_KERNEL_ACCOUNT);

	return page ? page_to_pfn(page) : 0;
}

static void td_free_page(unsigned long pfn)
{
	__free_page(pfn_to_page(pfn));
}

/* @hkid: the key that it was written with */
static void td_reclaim_page(struct td *td, unsigned long pfn, u16 hkid)
{
	u64 status = sept_must(&td->sept, tdh_phymem_page_reclaim(pfn));

	/* if the module does not give it back nobody must have it */
	if (status) {
		sept_refused(&td->sept, "RECLAIM of a control page", pfn, 0, status);
		return;
	}
	tdx_reset_pages(pfn, 1, hkid);
	td_free_page(pfn);
}

/* How the module's refusal looks to user space, which gets the status, too. */
static int td_errno(u64 status)
{
	if (!tdx_failed(status))
		return 0;
	if (tdx_status(status) == TDX_RND_NO_ENTROPY)
		return -EAGAIN;
	if (tdx_busy(status))
		return -EBUSY;
	return tdx_status(status) == TDX_OPERAND_INVALID ? -EINVAL : -EIO;
}

/* --- what has to be done on each package ---------------------------------- */

/*
 * A call on the way up.  What is busy is waited for, but not for ever: the software
 * module is busy, too, if it has no memory.
 */
#define TD_TRIES	1000

#define td_try(call)								\
({										\
	unsigned int __tries = 0;						\
	u64 __status;								\
										\
	while (tdx_busy(__status = (call)) && ++__tries < TD_TRIES &&		\
	       !fatal_signal_pending(current))					\
		usleep_range(50, 100);						\
	__status;								\
})

struct td_package_call {
	struct td *td;
	u64 (*call)(struct td *td);
	u64 status;
};

static int td_call_here(void *arg)
{
	struct td_package_call *call = arg;

	call->status = call->call(call->td);
	return 0;
}

/* On one CPU of each package, one after the other, until one fails. */
static u64 td_call_packages(struct td *td, u64 (*fn)(struct td *td))
{
	struct td_package_call call = { .td = td, .call = fn };
	int cpu;

	lockdep_assert_cpus_held();
	cpumask_clear(td->packages);
	for_each_online_cpu(cpu) {
		/* on a package twice there is nothing left to do, but that does no harm */
		if (cpumask_test_and_set_cpu(topology_logical_package_id(cpu), td->packages))
			continue;
		smp_call_on_cpu(cpu, td_call_here, &call, false);
		if (tdx_failed(call.status))
			break;
	}
	return call.status;
}

static u64 td_configure_key(struct td *td)
{
	return td_try(tdh_mng_key_config(td->tdr));
}

static u64 td_write_back(struct td *td)
{
	return sept_must(&td->sept, tdh_phymem_cache_wb());
}

/* --- up ------------------------------------------------------------------- */

static u64 td_make_root(struct td *td)
{
	u64 status = td_try(tdh_mng_create(td->tdr, td->hkid));

	if (status)
		return status;
	td->keyed = true;
	cpus_read_lock();
	status = td_call_packages(td, td_configure_key);
	cpus_read_unlock();
	return status;
}

static int td_add_root(struct td *td, u64 *status)
{
	unsigned long pfn;
	int hkid;

	hkid = td_hkid_alloc();
	if (hkid < 0)
		return hkid == -ENOSPC ? -EBUSY : hkid;
	pfn = td_alloc_page();
	if (!pfn) {
		ida_free(&td_hkids, hkid);
		return -ENOMEM;
	}
	td->tdr = pfn;
	td->hkid = hkid;
	td->sept.tdr = pfn;
	td->sept.hkid = hkid;
	*status = td_make_root(td);
	return td_errno(*status);
}

static int td_add_tdcx(struct td *td, u64 *status)
{
	unsigned long pfn = td_alloc_page();

	if (!pfn)
		return -ENOMEM;
	*status = td_try(tdh_mng_addcx(td->tdr, pfn));
	if (*status) {
		td_free_page(pfn);
		return td_errno(*status);
	}
	td->tdcx[td->nr_tdcx++] = pfn;
	return 0;
}

static int td_build(struct td *td, unsigned long params, u64 *status)
{
	int nr = min(tdx_sysinfo()->nr_tdcx, TD_MAX_CONTROL_PAGES), r;
	u64 leaf;

	r = td_add_root(td, status);
	while (!r && td->nr_tdcx < nr)
		r = td_add_tdcx(td, status);
	if (r)
		return r;
	*status = td_try(tdh_mng_init(td->tdr, params, &leaf));
	return td_errno(*status);
}

/**
 * td_create - make a TD
 * @td: zeroed
 * @ops: of whoever will run its vCPUs
 * @root_level: level of the entries in the root of its S-EPT, as @params says
 * @params: pfn of a page that begins with TD_PARAMS
 * @status: of the last call of the module
 *
 * Context: Process context, may sleep.
 * Return: 0; -EBUSY if all keys are in use; -EINVAL if the module does not take the
 * parameters; -ENOMEM; -EIO if it refuses for another reason.  Nothing is left then.
 */
int td_create(struct td *td, const struct sept_ops *ops, int root_level,
	      unsigned long params, u64 *status)
{
	int r;

	*status = 0;
	mutex_init(&td->lock);
	INIT_LIST_HEAD(&td->vcpus);
	r = td_watch_cpus();
	if (r)
		return r;
	if (!zalloc_cpumask_var(&td->packages, GFP_KERNEL_ACCOUNT))
		return -ENOMEM;
	r = sept_init(&td->sept, 0, 0, root_level, ops);
	if (r) {
		free_cpumask_var(td->packages);
		return r;
	}
	td_list_add(td);
	r = td_build(td, params, status);
	if (r) {
		td_destroy(td);
		td_free(td);
	}
	return r;
}

static int td_add_vcpu_pages(struct td *td, struct td_vcpu *vcpu, u64 *status)
{
	int nr = min(tdx_sysinfo()->nr_tdvpx, TD_MAX_CONTROL_PAGES);
	unsigned long pfn;

	while (vcpu->nr_pages < nr) {
		pfn = td_alloc_page();
		if (!pfn)
			return -ENOMEM;
		*status = td_try(tdh_vp_addcx(vcpu->tdvpr, pfn));
		if (*status) {
			td_free_page(pfn);
			return td_errno(*status);
		}
		vcpu->pages[vcpu->nr_pages++] = pfn;
	}
	return 0;
}

static u64 td_init_vcpu(struct td *td, struct td_vcpu *vcpu, u64 initial)
{
	u64 status;

	/* the module associates the vCPU with the CPU that the call is made on */
	migrate_disable();
	status = td_try(tdh_vp_init(vcpu->tdvpr, initial));
	if (!status)
		vcpu->cpu = smp_processor_id();
	migrate_enable();
	return status;
}

/**
 * td_add_vcpu - make a vCPU
 * @td: the TD
 * @vcpu: zeroed
 * @initial: what the guest finds in RCX and R8
 * @status: of the last call of the module
 *
 * A vCPU that cannot be completed stays with the TD until that is destroyed, because the
 * module gives its pages back no earlier.
 *
 * Context: Process context, may sleep.
 * Return: 0, -ENOMEM, -EIO, ...
 */
int td_add_vcpu(struct td *td, struct td_vcpu *vcpu, u64 initial, u64 *status)
{
	int r;

	/* it must not be associated with a CPU that is going offline */
	guard(cpus_read_lock)();
	guard(mutex)(&td->lock);
	if (!vcpu->tdvpr) {
		unsigned long pfn = td_alloc_page();

		if (!pfn)
			return -ENOMEM;
		*status = td_try(tdh_vp_create(td->tdr, pfn));
		if (*status) {
			td_free_page(pfn);
			return td_errno(*status);
		}
		vcpu->tdvpr = pfn;
		vcpu->cpu = -1;
		list_add_tail(&vcpu->node, &td->vcpus);
	}
	r = td_add_vcpu_pages(td, vcpu, status);
	if (r)
		return r;
	*status = td_init_vcpu(td, vcpu, initial);
	return td_errno(*status);
}

/* what the module measures at once, in bytes */
#define TD_CHUNK	256

/**
 * td_measure_page - make the content of a page part of the measurement
 * @td: the TD
 * @gfn: the page, which the TD has
 * @status: of the last call of the module
 *
 * Context: Process context, may sleep.
 * Return: 0 or -EIO.
 */
int td_measure_page(struct td *td, gfn_t gfn, u64 *status)
{
	u64 gpa = PFN_PHYS(gfn), end = gpa + PAGE_SIZE;

	for (; gpa < end; gpa += TD_CHUNK) {
		*status = td_try(tdh_mr_extend(td->tdr, gpa));
		if (*status)
			return -EIO;
	}
	return 0;
}

/**
 * td_finalize - the measurement is complete
 * @td: the TD
 * @status: what the module says
 *
 * Context: Process context, may sleep.
 * Return: 0; -EBUSY if the TD is busy; -EIO.
 */
int td_finalize(struct td *td, u64 *status)
{
	guard(mutex)(&td->lock);
	*status = td_try(tdh_mr_finalize(td->tdr));
	return td_errno(*status);
}

/* --- down ----------------------------------------------------------------- */

static int td_flush_here(void *arg)
{
	struct td_vcpu *vcpu = arg;

	/* it may never have been initialised; FREEID tells if it was, and was not flushed */
	tdh_vp_flush(vcpu->tdvpr);
	return 0;
}

static void td_flush_vcpus(struct td *td)
{
	struct td_vcpu *vcpu;

	lockdep_assert_cpus_held();
	list_for_each_entry(vcpu, &td->vcpus, node) {
		if (vcpu->cpu >= 0)
			smp_call_on_cpu(vcpu->cpu, td_flush_here, vcpu, false);
		vcpu->cpu = -1;
	}
}

/*
 * TDs that die at the same time do not write back caches for each other: the module
 * clears the bits of those keys that were flushed when a write-back began.
 */
static u64 td_take_key(struct td *td)
{
	static DEFINE_MUTEX(one_at_a_time);
	u64 status;

	guard(mutex)(&one_at_a_time);
	status = sept_must(&td->sept, tdh_mng_vpflushdone(td->tdr));
	if (!status)
		status = td_call_packages(td, td_write_back);
	if (!tdx_failed(status))
		status = sept_must(&td->sept, tdh_mng_key_freeid(td->tdr));
	return status;
}

static void td_reclaim_vcpus(struct td *td)
{
	struct td_vcpu *vcpu, *next;

	list_for_each_entry_safe(vcpu, next, &td->vcpus, node) {
		while (vcpu->nr_pages)
			td_reclaim_page(td, vcpu->pages[--vcpu->nr_pages], td->hkid);
		td_reclaim_page(td, vcpu->tdvpr, td->hkid);
		vcpu->tdvpr = 0;
		list_del(&vcpu->node);
	}
}

static void td_reclaim(struct td *td)
{
	sept_reclaim(&td->sept);
	td_reclaim_vcpus(td);
	while (td->nr_tdcx)
		td_reclaim_page(td, td->tdcx[--td->nr_tdcx], td->hkid);
	/* the module writes it with its own key, which is the one before the first */
	td_reclaim_page(td, td->tdr, tdx_sysinfo()->hkid_first - 1);
}

/* Between the loss of the key and the last page nobody must find a page. */
static void td_destroy_keyed(struct td *td)
{
	u64 status;

	WRITE_ONCE(td->sept.dying, true);
	/* moving pages of other memory takes the lock of the S-EPT inside of this one */
	cpus_read_lock();
	down_write(&td->sept.lock);
	td_flush_vcpus(td);
	status = td_take_key(td);
	cpus_read_unlock();
	/* without the key, or the module gives back nothing of it */
	td_reclaim(td);
	up_write(&td->sept.lock);
	if (tdx_failed(status))
		pr_err("tdx: key %u is lost: status 0x%llx\n", td->hkid, status);
	else
		ida_free(&td_hkids, td->hkid);
}

static void td_destroy_root(struct td *td)
{
	if (td->keyed) {
		td_destroy_keyed(td);
		return;
	}
	td_free_page(td->tdr);
	ida_free(&td_hkids, td->hkid);
}

/**
 * td_destroy - take a TD down, in whatever state it is
 * @td: the TD
 *
 * All of its pages are the host's on return.  The S-EPT is empty, and those who still want
 * to take pages from it find none; see td_free().
 *
 * Context: Process context, may sleep.  No vCPU runs or is made.
 */
void td_destroy(struct td *td)
{
	td_list_del(td);
	if (td->tdr)
		td_destroy_root(td);
	td->tdr = 0;
}

/**
 * td_free - the end of a TD that has been destroyed
 * @td: the TD
 *
 * Context: Process context.  Nobody else knows of the TD any more.
 */
void td_free(struct td *td)
{
	sept_destroy(&td->sept);
	free_cpumask_var(td->packages);
}
