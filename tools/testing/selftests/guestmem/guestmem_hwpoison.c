// SPDX-License-Identifier: GPL-2.0
/*
 * Helpers of the guestmem selftests on memory errors, see guestmem_hwpoison.h.
 */
#include <stdio.h>
#include <sys/prctl.h>

#include "guestmem_hwpoison.h"

/* ---- page frames ---- */

/*
 * MADV_HWPOISON needs a mapping, and there is none. mce-inject is of no use: "sw" does
 * not reach the handler, because it cannot say how severe the error is; "hw" counts as an
 * error of the hardware, and after one of these the kernel heals no page any more.
 */
#define INJECT		"/sys/kernel/debug/hwpoison/corrupt-pfn"
#define HEAL		"/sys/kernel/debug/hwpoison/unpoison-pfn"
#define SOFT_OFFLINE	"/sys/devices/system/memory/soft_offline_page"
#define PAGE_FLAGS	"/proc/kpageflags"

/* Bits of /proc/kpageflags */
#define KPF_BUDDY	10
#define KPF_HUGE	17
#define KPF_HWPOISON	19

/*
 * -1 if the kernel has no means to make memory errors. This process asks to be killed
 * for every error in memory that it maps: guest memory is none of that.
 */
int hwpoison_prepare(void)
{
	if (mount_debugfs() || access(INJECT, W_OK) || access(HEAL, W_OK) ||
	    access(SOFT_OFFLINE, W_OK) || access(PAGE_FLAGS, R_OK))
		return -1;
	return prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0);
}

/* Of a page of a guest file; 0 if there is none: no file has that frame. */
unsigned long frame_of(int fd, off_t offset)
{
	unsigned long index = offset / PAGE, pfn = 0;
	const struct frame *frame;
	struct frames frames;

	if (!frames_read(fd, &frames)) {
		frame = frames_find(&frames, index);
		if (frame)
			pfn = frame->pfn + index - frame->index;
	}
	frames_free(&frames);
	return pfn;
}

static int tell(const char *path, unsigned long number)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", number);
	return write_file(path, text);
}

/* Fails if the handler has not mastered the error; the frame has it all the same. */
int frame_poison(unsigned long pfn)
{
	return tell(INJECT, pfn);
}

/* A page of hugetlb has one mark for all of it: its first frame is to be given. */
int frame_unpoison(unsigned long pfn)
{
	return tell(HEAL, pfn);
}

int frame_soft_offline(unsigned long pfn)
{
	return tell(SOFT_OFFLINE, pfn * PAGE);
}

static bool frame_is(unsigned long pfn, int bit)
{
	int fd = open(PAGE_FLAGS, O_RDONLY | O_CLOEXEC);
	__u64 flags = 0;

	if (fd < 0)
		return false;
	if (pread(fd, &flags, sizeof(flags), pfn * sizeof(flags)) != sizeof(flags))
		flags = 0;
	close(fd);
	return flags >> bit & 1;
}

/* Has an error, or is of a page of hugetlb that has one somewhere */
bool frame_bad(unsigned long pfn)
{
	return frame_is(pfn, KPF_HWPOISON);
}

bool frame_hugetlb(unsigned long pfn)
{
	return frame_is(pfn, KPF_HUGE);
}

/*
 * Have the kernel empty the lists of free pages of the CPUs, as every error does for the
 * zone that it is in.
 */
static void drain_lists(int node, unsigned int flags)
{
	unsigned long pfn;
	int fd;

	allocate_on(node);
	fd = guest_create(MFD_GUEST_NOHUGEPAGE | flags, PAGE);
	populate(fd, 0, PAGE);
	pfn = frame_of(fd, 0);
	allocate_on(-1);
	frame_poison(pfn);
	close(fd);
	frame_unpoison(pfn);
}

/*
 * Can the frame be allocated by somebody? What is in the list of a CPU does not look like
 * it, so these are emptied. With it goes the policy of the calling thread.
 */
bool frame_free(unsigned long pfn)
{
	int node[MAX_TEST_NODES], nr = memory_nodes(node);

	while (nr--) {
		drain_lists(node[nr], 0);
		drain_lists(node[nr], MFD_GUEST_MOVABLE);
	}
	return frame_is(pfn, KPF_BUDDY);
}

/* ---- a guest with memory of which pages go bad ---- */

const char *const place_name[NR_PLACES] = { "first page", "in the middle", "last page" };

bool victim_1g(const struct victim *v)
{
	return v->store->huge == SZ_1G;
}

static int victim_create(struct victim *v)
{
	v->stamped = false;
	v->nr_bad = 0;
	v->fd = guest_create(v->store->flags | v->flags, v->size);
	return v->fd < 0 ? -1 : 0;
}

/* @spare: pages of the pool that the file does not need. -1: the pool gets too few. */
int victim_init(struct victim *v, const struct store *store, unsigned int flags, long spare)
{
	v->store = store;
	v->flags = flags;
	v->size = victim_1g(v) ? SZ_1G : 3 * SZ_2M;
	v->gpa = victim_1g(v) ? SZ_1G : VM_DATA_GPA;
	v->fd = -1;
	v->vm.fd = -1;
	return pool_grow(&v->pool, store->granule, v->size / store->granule + spare);
}

static void victim_empty(struct victim *v)
{
	if (v->fd < 0)
		return;
	if (v->vm.fd >= 0)
		vm_unbind(&v->vm, 1);
	close(v->fd);
	v->fd = -1;
}

static int victim_start(struct victim *v)
{
	v->shared = shared_alloc(v->size);
	if ((void *)v->shared == MAP_FAILED || vm_create(&v->vm, 2))
		return -1;
	/* the code page is mapped by the first thing that runs */
	return guest_do(&v->vm, 0, GUEST_CHECK, 0, 4, 0) < 0 ? -1 : 0;
}

/* A page of the pool that has an error when it is free is broken up. */
static void victim_refill_pool(struct victim *v)
{
	if (is_hugetlb(v->store))
		pool_set(v->pool.size, "nr_hugepages",
			 v->pool.before.total - v->pool.before.surplus);
}

/* A new file, not bound. The frames of the old one are healed. */
int victim_renew(struct victim *v)
{
	victim_empty(v);
	if (victim_heal(v) || (!v->shared && victim_start(v)))
		return -1;
	victim_refill_pool(v);
	return victim_create(v);
}

/* Fails if a frame could not be healed. */
int victim_close(struct victim *v)
{
	int ret;

	if (v->vm.fd >= 0)
		vm_destroy(&v->vm);
	victim_empty(v);
	ret = victim_heal(v);
	victim_refill_pool(v);
	pool_restore(&v->pool);
	return ret;
}

/* The huge page that goes bad; of three of 2M it is the one in the middle. */
off_t victim_place(const struct victim *v, enum place place)
{
	off_t start = victim_1g(v) ? 0 : SZ_2M, size = victim_1g(v) ? SZ_1G : SZ_2M;

	if (place == FIRST)
		return start;
	if (place == LAST)
		return start + size - PAGE;
	return start + size / 2 + (victim_1g(v) ? SZ_1M : 0);
}

off_t victim_granule(const struct victim *v, off_t offset)
{
	return offset / v->store->granule * v->store->granule;
}

/**
 * struct part - a part of the file
 * @from: first byte
 * @to: first byte after it
 */
struct part {
	off_t from, to;
};

#define PART	((off_t)(2 * SZ_2M))

/* The parts that are looked at; returns how many. */
static int victim_parts(const struct victim *v, struct part part[3])
{
	if (!victim_1g(v)) {
		part[0] = (struct part) { 0, v->size };
		return 1;
	}
	part[0] = (struct part) { 0, PART };
	part[1] = (struct part) { SZ_1G / 2, SZ_1G / 2 + PART };
	part[2] = (struct part) { SZ_1G - PART, SZ_1G };
	return 3;
}

static bool victim_is_bad(const struct victim *v, off_t offset)
{
	int i;

	for (i = 0; i < v->nr_bad; i++) {
		if (v->bad[i] == offset)
			return true;
	}
	return false;
}

/* The first bad page from @from on, or @to if there is none before that */
static off_t victim_next_bad(const struct victim *v, off_t from, off_t to)
{
	int i;

	for (i = 0; i < v->nr_bad; i++) {
		if (v->bad[i] >= from && v->bad[i] < to)
			to = v->bad[i];
	}
	return to;
}

/**
 * typedef part_fn - what is done to a part
 * @v: of this victim
 * @from: first byte
 * @size: bytes
 * @arg: of the caller
 */
typedef int (*part_fn)(struct victim *v, off_t from, off_t size, const void *arg);

/* The good pages of a part, run by run, up to the first failure */
static int part_do(struct victim *v, const struct part *part, part_fn fn, const void *arg)
{
	off_t from, stop;
	int ret = 0;

	for (from = part->from; from < part->to && !ret; from = stop + PAGE) {
		stop = victim_next_bad(v, from, part->to);
		if (stop > from)
			ret = fn(v, from, stop - from, arg);
	}
	return ret;
}

/* Those of all parts that are looked at */
static int parts_do(struct victim *v, part_fn fn, const void *arg)
{
	struct part part[3];
	int i, ret = 0, nr = victim_parts(v, part);

	for (i = 0; i < nr && !ret; i++)
		ret = part_do(v, &part[i], fn, arg);
	return ret;
}

/* All of it is private, or what is looked at. */
int victim_bind(struct victim *v)
{
	struct part part[3] = { { 0, v->size } };
	int i, nr = v->whole ? 1 : victim_parts(v, part);

	if (vm_bind(&v->vm, 1, v->gpa, v->size, v->shared, v->fd, 0))
		return -1;
	for (i = 0; i < nr; i++) {
		if (vm_set_private(&v->vm, v->gpa + part[i].from, part[i].to - part[i].from))
			return -1;
	}
	return 0;
}

static int part_populate(struct victim *v, off_t from, off_t size, const void *arg)
{
	(void)arg;
	return populate(v->fd, from, size);
}

/* By fallocate(), of good pages; what is not looked at is left out. */
int victim_populate(struct victim *v)
{
	return parts_do(v, part_populate, NULL);
}

static int part_prefault(struct victim *v, off_t from, off_t size, const void *arg)
{
	(void)arg;
	return prefault_all(&v->vm, 0, v->gpa + from, size);
}

/* Map all that is private and good. */
int victim_prefault(struct victim *v)
{
	const struct part all = { 0, v->size };

	return v->whole ? part_do(v, &all, part_prefault, NULL) :
			  parts_do(v, part_prefault, NULL);
}

/**
 * struct order - what a vCPU is told
 * @cpu: its number
 * @op: to do what
 */
struct order {
	int cpu;
	enum guest_op op;
};

static int part_guest(struct victim *v, off_t from, off_t size, const void *arg)
{
	const struct order *order = arg;

	return guest_do(&v->vm, order->cpu, order->op, v->gpa + from, size,
			order->op == GUEST_CHECK ? 0 : BAD_SEED);
}

/* On all good pages that are looked at: the first result that is not 0 */
int victim_guest(struct victim *v, int cpu, enum guest_op op)
{
	const struct order order = { cpu, op };

	return parts_do(v, part_guest, &order);
}

/* Mapped, and stamped by the guest. */
int victim_fill(struct victim *v)
{
	if (victim_prefault(v) || victim_guest(v, 0, GUEST_STAMP))
		return -1;
	v->stamped = true;
	return 0;
}

static void victim_hurt(struct victim *v, unsigned long pfn, unsigned long head, bool handled)
{
	if (v->nr_hurt < MAX_BAD)
		v->hurt[v->nr_hurt++] = (struct hurt) { pfn, head, handled };
}

/*
 * Returns the errno of the handler, or -1 if the page is not there. It is bad whatever
 * the handler has made of it.
 */
int victim_poison(struct victim *v, off_t offset)
{
	unsigned long pfn = frame_of(v->fd, offset), head = 0;
	int err;

	if (!pfn || v->nr_bad == MAX_BAD)
		return -1;
	if (is_hugetlb(v->store))
		head = pfn - (offset - victim_granule(v, offset)) / PAGE;
	err = ERRNO(frame_poison(pfn));
	if (!victim_is_bad(v, offset)) {
		v->bad[v->nr_bad++] = offset;
		victim_hurt(v, pfn, head, !err);
	}
	return err;
}

/* The page is not bad any more: another frame is behind it now. */
void victim_forget(struct victim *v, off_t offset)
{
	int i;

	for (i = 0; i < v->nr_bad; i++) {
		if (v->bad[i] == offset)
			v->bad[i--] = v->bad[--v->nr_bad];
	}
}

static bool frame_in(const struct frame *folio, unsigned long pfn)
{
	return pfn >= folio->pfn && pfn - folio->pfn < 1UL << folio->order;
}

/* Memory has moved: the pages that have errors are those that now are in bad frames. */
int victim_follow(struct victim *v)
{
	const struct frame *folio;
	struct frames frames;
	int i, ret;

	ret = frames_read(v->fd, &frames);
	v->nr_bad = 0;
	for (folio = frames.at; folio < frames.at + frames.nr; folio++) {
		for (i = 0; i < v->nr_hurt; i++) {
			if (frame_in(folio, v->hurt[i].pfn))
				v->bad[v->nr_bad++] = PAGE * (folio->index + v->hurt[i].pfn -
							      folio->pfn);
		}
	}
	frames_free(&frames);
	return ret;
}

/*
 * Does not touch a frame that has an error which was not mastered: who knows whose it is.
 * A page of hugetlb is never anybody else's.
 */
static int heal(const struct hurt *hurt)
{
	if (!frame_bad(hurt->pfn))
		return 0;
	if (frame_hugetlb(hurt->pfn))
		return frame_unpoison(hurt->head);
	return hurt->handled ? frame_unpoison(hurt->pfn) : 0;
}

/* Frames that have left the file */
int victim_heal(struct victim *v)
{
	int i, ret = 0;

	for (i = 0; i < v->nr_hurt; i++)
		ret |= heal(&v->hurt[i]);
	v->nr_hurt = 0;
	return ret;
}

/* ---- is everything as it has to be? ---- */

static enum guest_op op_of(const struct victim *v)
{
	return v->stamped ? GUEST_VERIFY : GUEST_CHECK;
}

static __u32 value_of(const struct victim *v)
{
	return v->stamped ? BAD_SEED : 0;
}

/* An access that starts at @from hits the error in the page at @bad. */
static bool is_lost(struct victim *v, int cpu, enum guest_op op, off_t from, off_t bad)
{
	struct kvm_run *run = v->vm.run[cpu];
	int ret;

	ret = guest_do(&v->vm, cpu, op, v->gpa + from, bad + PAGE - from, value_of(v));
	return ret == -EHWPOISON && run->exit_reason == KVM_EXIT_MEMORY_FAULT &&
	       run->memory_fault.flags == KVM_MEMORY_EXIT_FLAG_PRIVATE &&
	       run->memory_fault.gpa == v->gpa + bad && run->memory_fault.size == PAGE;
}

/* R19: a page that is lost is lost to all, with the reason and the place. */
static const char *page_state(struct victim *v, off_t bad)
{
	bool good_before = bad && !victim_is_bad(v, bad - PAGE);
	int cpu;

	for (cpu = 0; cpu < 2; cpu++) {
		if (!is_lost(v, cpu, op_of(v), bad, bad))
			return "a vCPU can read it, or is told something else";
		if (!is_lost(v, cpu, GUEST_FILL, bad, bad))
			return "a vCPU can write it, or is told something else";
		if (good_before && !is_lost(v, cpu, op_of(v), bad - PAGE, bad))
			return "the page before it is not read, or not this one hit";
	}
	if (ERRNO(vm_prefault(&v->vm, 0, v->gpa + bad, PAGE, NULL)) != EHWPOISON)
		return "KVM_PRE_FAULT_MEMORY does not say EHWPOISON";
	if (ERRNO(populate(v->fd, bad, PAGE)) != EHWPOISON)
		return "fallocate() does not say EHWPOISON";
	return NULL;
}

/* Bad pages are lost, all others have what they had. */
const char *victim_state(struct victim *v)
{
	static char text[160];
	const char *why;
	int i, cpu;

	for (i = 0; i < v->nr_bad; i++) {
		why = page_state(v, v->bad[i]);
		if (why) {
			snprintf(text, sizeof(text), "bad page at %#llx: %s",
				 (long long)v->bad[i], why);
			return text;
		}
	}
	for (cpu = 0; cpu < 2; cpu++) {
		i = victim_guest(v, cpu, op_of(v));
		if (i) {
			snprintf(text, sizeof(text), "vCPU %d: %d, exit %u, at %#llx", cpu, i,
				 v->vm.run[cpu]->exit_reason,
				 (long long)(v->vm.bad_gpa[cpu] - v->gpa));
			return text;
		}
	}
	return "fine";
}

/* How many aligned 2M have a bad page */
static long bad_blocks(const struct victim *v)
{
	long blocks = 0;
	off_t block;

	for (block = 0; block < v->size; block += SZ_2M)
		blocks += victim_next_bad(v, block, block + SZ_2M) < block + (off_t)SZ_2M;
	return blocks;
}

/* What mapped() is after victim_prefault(): all as huge as errors allow */
const char *victim_levels(const struct victim *v)
{
	long small = bad_blocks(v), bytes = 0;
	struct part part[3];
	int nr;

	for (nr = victim_parts(v, part); nr; nr--)
		bytes += part[nr - 1].to - part[nr - 1].from;
	if (v->store->huge == PAGE)
		return counts(CODE + bytes / PAGE - v->nr_bad, 0, 0);
	if (v->whole && !small)
		return counts(CODE, 0, v->size / SZ_1G);
	if (v->whole)
		bytes = v->size;
	return counts(CODE + small * PAGES_2M - v->nr_bad, bytes / SZ_2M - small, 0);
}

/* What held() is: bad pages are in the file; folios of shmem have been split. */
const char *victim_folios(const struct victim *v)
{
	long small = is_hugetlb(v->store) ? 0 : bad_blocks(v);

	if (v->store->huge == PAGE)
		return counts(v->size / PAGE, 0, 0);
	if (victim_1g(v))
		return counts(0, 0, v->size / SZ_1G);
	return counts(small * PAGES_2M, v->size / SZ_2M - small, 0);
}
