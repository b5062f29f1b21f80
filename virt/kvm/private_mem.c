// SPDX-License-Identifier: GPL-2.0
/*
 * KVM as a consumer of guest files (mm/guestmem).
 *
 * guest_memfd.c hands over here when the file that user space gives for a
 * memslot is a guest file.  One memslot is one binding; the VM, not the file,
 * holds the reference: a memslot keeps its file, and a file knows nothing of
 * the VM but its number once the last memslot is gone.
 *
 * A file page is mapped at one gfn:
 *
 *	index - binding->node.start == gfn - slot->base_gfn
 *
 * Faults follow "mapping and invalidation" in mm/guestmem/bind.c, with mmu_lock
 * as the lock of the page table and mmu_invalidate_seq as the sequence.
 */
#include <linux/file.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/string.h>
#include <trace/events/guestmem.h>

#include "kvm_mm.h"
#include "private_mem.h"

/* KVM's page tables know three sizes. */
#define KVM_ORDER_2M	(PMD_SHIFT - PAGE_SHIFT)
#define KVM_ORDER_1G	(PUD_SHIFT - PAGE_SHIFT)

static struct kvm *to_kvm(struct guestmem_consumer *consumer)
{
	return container_of(consumer, struct kvm, guestmem);
}

/*
 * The slot as vCPUs see it, or NULL.  Protected by kvm->srcu.
 *
 * A file is bound before its memslot is published.  Such a slot has no mapping,
 * and its arch part is not there yet.  The caller has mmu_lock, and has added
 * the range to the invalidation: whoever sees the slot from now on and faults
 * in it finds the invalidation in progress.
 *
 * A slot that is being deleted is replaced by a copy that is marked invalid, and
 * that is what is found until its mappings are gone.
 */
static struct kvm_memory_slot *kvm_guestmem_published(struct kvm *kvm,
						      struct kvm_memory_slot *slot)
{
	return id_to_memslot(__kvm_memslots(kvm, slot->as_id), slot->id);
}

static bool kvm_guestmem_unmap(struct kvm *kvm, struct guestmem_binding *binding,
			       const struct guestmem_invalidation *inv)
{
	struct kvm_gfn_range range = {
		.start = guestmem_addr_first(binding, inv),
		.end = guestmem_addr_end(binding, inv),
		.may_block = true,
		.attr_filter = KVM_FILTER_PRIVATE,
	};
	gfn_t around = inv->moving ? 1 : 1UL << KVM_ORDER_1G;

	/*
	 * A fault beside the range may be about to map a huge page that reaches into
	 * it: it has to be retried as well.  Most would have to wait for the file's
	 * invalidate_lock anyway.  What moves are whole folios, and none reaches in.
	 */
	kvm_mmu_invalidate_range_add(kvm, round_down(range.start, around),
				     round_up(range.end, around));
	range.slot = kvm_guestmem_published(kvm, binding->priv);
	return range.slot && kvm_unmap_gfn_range(kvm, &range);
}

static void kvm_guestmem_invalidate_start(struct guestmem_consumer *consumer,
					  const struct guestmem_invalidation *inv)
{
	struct kvm *kvm = to_kvm(consumer);
	struct guestmem_binding *binding;
	bool flush = false;
	int idx;

	idx = srcu_read_lock(&kvm->srcu);
	KVM_MMU_LOCK(kvm);
	kvm_mmu_invalidate_begin(kvm);
	for (binding = guestmem_first_binding(inv); binding;
	     binding = guestmem_next_binding(inv, binding))
		flush |= kvm_guestmem_unmap(kvm, binding, inv);
	if (flush)
		kvm_flush_remote_tlbs(kvm);
	KVM_MMU_UNLOCK(kvm);
	srcu_read_unlock(&kvm->srcu, idx);
}

static void kvm_guestmem_invalidate_end(struct guestmem_consumer *consumer,
					const struct guestmem_invalidation *inv)
{
	struct kvm *kvm = to_kvm(consumer);

	KVM_MMU_LOCK(kvm);
	kvm_mmu_invalidate_end(kvm);
	KVM_MMU_UNLOCK(kvm);
}

/* The guest is unmapped, and faults the pages in again where they are then. */
static int kvm_guestmem_migrate(struct guestmem_consumer *consumer,
				const struct guestmem_invalidation *inv, pgoff_t index,
				unsigned long dst, unsigned long src, unsigned long nr)
{
	return guestmem_copy(dst, src, nr);
}

#ifdef CONFIG_HAVE_KVM_ARCH_GMEM_PREPARE
static int kvm_guestmem_prepare(struct guestmem_binding *binding, u64 addr,
				unsigned long pfn, unsigned int order)
{
	unsigned int step = min(order, KVM_ORDER_2M);
	struct kvm *kvm = to_kvm(binding->consumer);
	unsigned long i;
	int r = 0;

	/* SNP's page states know 4K and 2M */
	for (i = 0; i < 1UL << order && !r; i += 1UL << step)
		r = kvm_arch_gmem_prepare(kvm, addr + i, pfn + i, step);
	if (r)
		pr_warn_ratelimited("guestmem: cannot prepare GFN %llx PFN %lx order %u: error %d\n",
				    addr, pfn, order, r);
	return r;
}
#endif

#ifdef CONFIG_HAVE_KVM_ARCH_GMEM_INVALIDATE
static void kvm_guestmem_release(unsigned long pfn, unsigned long nr)
{
	kvm_arch_gmem_invalidate(pfn, pfn + nr);
}
#endif

#define KVM_GUESTMEM_OPS						\
	.orders			= BIT(0) | BIT(KVM_ORDER_2M) | BIT(KVM_ORDER_1G), \
	.invalidate_start	= kvm_guestmem_invalidate_start,	\
	.invalidate_end		= kvm_guestmem_invalidate_end

/*
 * Guests whose memory the host can read.  @owner, here and below, is the vendor module,
 * which the arch hooks lead to; it pins this one.
 */
static struct guestmem_consumer_ops kvm_guestmem_ops = {
	KVM_GUESTMEM_OPS,
	.migrate		= kvm_guestmem_migrate,
};

#ifdef CONFIG_HAVE_KVM_ARCH_GMEM_PREPARE
/* SEV-SNP: what a copy would show is not what the guest has written. */
static struct guestmem_consumer_ops kvm_guestmem_snp_ops = {
	KVM_GUESTMEM_OPS,
	.prepare		= kvm_guestmem_prepare,
#ifdef CONFIG_HAVE_KVM_ARCH_GMEM_INVALIDATE
	.release		= kvm_guestmem_release,
#endif
};
#endif

static struct module *kvm_guestmem_module;

void kvm_guestmem_init(struct module *module)
{
	kvm_guestmem_module = module;
	kvm_guestmem_ops.owner = module;
#ifdef CONFIG_HAVE_KVM_ARCH_GMEM_PREPARE
	kvm_guestmem_snp_ops.owner = module;
#endif
}

/* The arch knows the type of the VM by now. */
void kvm_guestmem_init_vm(struct kvm *kvm)
{
	kvm->guestmem.ops = kvm_arch_guestmem_ops(kvm, kvm_guestmem_module) ?:
			    &kvm_guestmem_ops;
#ifdef CONFIG_HAVE_KVM_ARCH_GMEM_PREPARE
	if (kvm->arch.vm_type == KVM_X86_SNP_VM)
		kvm->guestmem.ops = &kvm_guestmem_snp_ops;
#endif
	kvm->guestmem.id = guestmem_new_consumer_id();
}

/*
 * Nobody can run a vCPU of the VM any more, but user space may still have the
 * guest files, and may punch holes into them.  Let go of them before the
 * MMU that an invalidation would work on is taken down.
 */
void kvm_guestmem_destroy_vm(struct kvm *kvm)
{
	struct kvm_memory_slot *slot;
	bool zapped = false;
	int bkt, i;

	kvm_arch_guestmem_destroy_vm(kvm);
	for (i = 0; i < kvm_arch_nr_memslot_as_ids(kvm); i++) {
		kvm_for_each_memslot(slot, bkt, __kvm_memslots(kvm, i)) {
			if (!kvm_slot_has_guestmem(slot))
				continue;
			if (!zapped)
				kvm_arch_flush_shadow_all(kvm);
			zapped = true;
			kvm_guestmem_unbind(slot);
		}
	}
	kvm_arch_guestmem_free_vm(kvm);
}

int kvm_guestmem_check_cap(struct kvm *kvm)
{
	int stores;

	if (kvm && !kvm_arch_has_private_mem(kvm))
		return 0;
	stores = KVM_GUESTMEM_STORE_SHMEM;
	if (guestmem_has_granule(KVM_ORDER_2M))
		stores |= KVM_GUESTMEM_STORE_HUGETLB_2M;
	if (guestmem_has_granule(KVM_ORDER_1G))
		stores |= KVM_GUESTMEM_STORE_HUGETLB_1G;
	return stores;
}

/* The attributes of [@start, @end) were changed. */
void kvm_guestmem_converted(struct kvm *kvm, gfn_t start, gfn_t end, bool private)
{
	trace_guestmem_convert(kvm->guestmem.id, start, end, private);
}

int kvm_guestmem_bind(struct kvm *kvm, struct kvm_memory_slot *slot,
		      struct file *file, u64 offset)
{
	struct guestmem_binding *binding;

	lockdep_assert_held(&kvm->slots_lock);
	binding = guestmem_bind(file, &kvm->guestmem, offset, slot->npages,
				slot->base_gfn, slot);
	if (IS_ERR(binding))
		return PTR_ERR(binding);
	slot->gmem.pgoff = binding->node.start;
	slot->gmem.binding = binding;
	return 0;
}

/* The slot has not been published, and is not going to be. */
void kvm_guestmem_abort_bind(struct kvm_memory_slot *slot)
{
	if (!kvm_slot_has_guestmem(slot))
		return;
	guestmem_abort_bind(slot->gmem.binding);
	slot->gmem.binding = NULL;
}

/* The slot is not visible any more, or has no vCPU to see it. */
void kvm_guestmem_unbind(struct kvm_memory_slot *slot)
{
	kvm_arch_guestmem_unmap_slot(to_kvm(slot->gmem.binding->consumer), slot);
	guestmem_unbind(slot->gmem.binding);
	slot->gmem.binding = NULL;
}

/*
 * The largest block around @gfn that is private as a whole.  Only to decide how much
 * to zero and how much to ask for; what is mapped is decided under mmu_lock.
 */
static unsigned int kvm_guestmem_private_order(struct kvm *kvm, gfn_t gfn)
{
	/* a fault that comes too late, and will be retried: no more than one page */
	if (!kvm_mem_is_private(kvm, gfn))
		return 0;
	if (!kvm_mem_attributes_mixed(kvm, gfn, 1UL << KVM_ORDER_1G))
		return KVM_ORDER_1G;
	if (!kvm_mem_attributes_mixed(kvm, gfn, 1UL << KVM_ORDER_2M))
		return KVM_ORDER_2M;
	return 0;
}

/* The memslot, and with it the binding, is protected by kvm->srcu. */
int kvm_guestmem_get_pfn(struct kvm *kvm, struct kvm_memory_slot *slot, gfn_t gfn,
			 kvm_pfn_t *pfn, int *max_order)
{
	unsigned int order = max_order ? kvm_guestmem_private_order(kvm, gfn) : 0;
	unsigned long page;
	int r;

	r = guestmem_get_pfn(slot->gmem.binding, gfn, &page, &order);
	if (r)
		return r;
	*pfn = page;
	if (max_order)
		*max_order = order;
	return 0;
}

#ifdef CONFIG_KVM_GENERIC_PRIVATE_MEM
struct kvm_guestmem_populate_args {
	kvm_gmem_populate_cb post_populate;
	void *opaque;
};

static int kvm_guestmem_populate_one(struct guestmem_binding *binding, u64 addr,
				     unsigned long pfn, void __user *src,
				     unsigned int order, void *arg)
{
	struct kvm *kvm = to_kvm(binding->consumer);
	struct kvm_guestmem_populate_args *args = arg;

	if (!kvm_range_has_memory_attributes(kvm, addr, addr + (1ULL << order),
					     KVM_MEMORY_ATTRIBUTE_PRIVATE,
					     KVM_MEMORY_ATTRIBUTE_PRIVATE))
		return -EINVAL;
	return args->post_populate(kvm, addr, pfn, src, order, args->opaque);
}

long kvm_guestmem_populate(struct kvm *kvm, struct kvm_memory_slot *slot,
			   gfn_t gfn, void __user *src, long npages,
			   kvm_gmem_populate_cb post_populate, void *opaque)
{
	struct kvm_guestmem_populate_args args = {
		.post_populate = post_populate,
		.opaque = opaque,
	};

	lockdep_assert_held(&kvm->slots_lock);
	return guestmem_populate(slot->gmem.binding, gfn, src, npages,
				 kvm_guestmem_populate_one, &args);
}
#endif

/*
 * What KVM_CREATE_GUEST_MEMFD makes, so that a VMM which knows nothing of guest
 * files can be run on them.
 */
static const char * const kvm_guestmem_stores[] = {
	"native", "shmem", "hugetlb-2M", "hugetlb-1G",
};

enum { KVM_STORE_NATIVE, KVM_STORE_SHMEM, KVM_STORE_2M, KVM_STORE_1G };

static const unsigned int kvm_guestmem_orders[] = {
	[KVM_STORE_2M]	= KVM_ORDER_2M,
	[KVM_STORE_1G]	= KVM_ORDER_1G,
};

static int kvm_guestmem_store = KVM_STORE_NATIVE;

static int kvm_guestmem_store_set(const char *val, const struct kernel_param *kp)
{
	int store = sysfs_match_string(kvm_guestmem_stores, val);

	if (store < 0)
		return store;
	WRITE_ONCE(kvm_guestmem_store, store);
	return 0;
}

static int kvm_guestmem_store_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%s\n",
			  kvm_guestmem_stores[READ_ONCE(kvm_guestmem_store)]);
}

static const struct kernel_param_ops kvm_guestmem_store_ops = {
	.set = kvm_guestmem_store_set,
	.get = kvm_guestmem_store_get,
};

module_param_cb(guest_memfd_store, &kvm_guestmem_store_ops, NULL, 0644);
MODULE_PARM_DESC(guest_memfd_store,
		 "what KVM_CREATE_GUEST_MEMFD makes: native (default), shmem, hugetlb-2M, hugetlb-1G");

/* Some VMs have no other memory than guest files. */
bool kvm_guestmem_is_default(struct kvm *kvm)
{
	return READ_ONCE(kvm_guestmem_store) != KVM_STORE_NATIVE ||
	       kvm_arch_guestmem_only(kvm);
}

/* KVM_CREATE_GUEST_MEMFD, arguments checked, in the store of the parameter */
int kvm_guestmem_create(struct kvm *kvm, loff_t size)
{
	unsigned int order = kvm_guestmem_orders[READ_ONCE(kvm_guestmem_store)];
	struct file *file;
	int fd;

	/* a VMM that knows nothing of granules must not fail for one */
	if (!IS_ALIGNED(size, PAGE_SIZE << order))
		order = 0;
	fd = get_unused_fd_flags(0);
	if (fd < 0)
		return fd;
	file = guestmem_create("[kvm-gmem]", size, order, &kvm->guestmem);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	fd_install(fd, file);
	return fd;
}
