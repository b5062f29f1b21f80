// SPDX-License-Identifier: GPL-2.0
/*
 * The default guest: what a confidential guest does with its memory, checked
 * from the inside.
 *
 * Memory:	slot 0:  image | one area per vCPU | still, 4M | spare | edge, 2M
 *		slot 1:  edge, 2M | mix, 2M | one area per vCPU | still, 4M | spare
 *
 * An area is 6M of private memory.  Its vCPU fills it with a pattern, converts
 * pieces from the middle of it to shared and back, and after each step compares
 * every byte that had no part in it.  In the mix area neighbouring pages belong
 * to different vCPUs, which convert them all at once.  The two edges are what
 * lies before and behind the hole between the slots: one request converts the
 * end of slot 0, the hole and the start of slot 1.  Still memory is private, and
 * nothing happens to it while all of this goes on.  Spare memory is private and
 * never touched.
 *
 * Invariant: outside of the function that converts it, every page of the areas,
 * the edges, the mix and still memory is private and holds its pattern.
 */
#include <stdarg.h>
#include <stddef.h>

#include "guest.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define PAGE		4096ULL
#define K(n)		((n) * 1024ULL)
#define M(n)		((n) * 1024ULL * 1024)

/* Attributes of KVM_HC_MAP_GPA_RANGE, see Documentation/virt/kvm/x86/hypercalls.rst */
#define MAP_GPA_SHARED	0
#define MAP_GPA_PRIVATE	0x10

#define EDGE_SIZE	M(2)
#define MIX_SIZE	M(2)
#define STILL_SIZE	M(4)
/* What the guest leaves shared when it ends */
#define WINDOW_SIZE	K(64)

struct range {
	__u64 start;
	__u64 end;
};

struct tally {
	__u64 compared;
	__u64 wrong;
	__u64 gpa;
	__u64 want;
	__u64 seen;
};

static const struct guest_boot *boot;
static struct range area[GUEST_SLOTS][GUEST_MAX_VCPUS];
static struct range edge[GUEST_SLOTS];
static struct range mix;
static struct range still[GUEST_SLOTS];
static struct range spare[GUEST_SLOTS];
/* Conversions asked for and got, by vCPU */
static __u64 converted[GUEST_MAX_VCPUS];
/* Bytes of private memory written at least once and not given back */
static __u64 used;
/* Set when all of the above is */
static __u32 ready;

/* The compiler may ask for it wherever it likes. */
void *memset(void *to, int c, unsigned long n)
{
	void *at = to;

	asm volatile("rep stosb" : "+D"(at), "+c"(n) : "a"(c) : "memory");
	return to;
}

/* --- talking to the VMM ------------------------------------------------- */

static struct guest_mailbox *mailbox(__u64 cpu)
{
	return (struct guest_mailbox *)(boot->mailbox + cpu * PAGE);
}

static void put(const char *s)
{
	while (*s)
		vmm_putc(*s++);
}

static void put_number(__u64 n)
{
	char digits[21];
	unsigned int first = sizeof(digits) - 1;

	digits[first] = 0;
	do
		digits[--first] = '0' + n % 10;
	while (n /= 10);
	put(digits + first);
}

/* Text and numbers in turn, ended by NULL in the place of a text. */
static void say(const char *text, ...)
{
	va_list args;

	va_start(args, text);
	while (text) {
		put(text);
		put_number(va_arg(args, __u64));
		text = va_arg(args, const char *);
	}
	va_end(args);
	vmm_putc('\n');
}

static void set_text(__u64 cpu, const char *a, const char *b)
{
	struct guest_mailbox *box = mailbox(cpu);
	unsigned int n = 0;

	while (*a && n < GUEST_TEXT_SIZE - 1)
		box->text[n++] = *a++;
	while (*b && n < GUEST_TEXT_SIZE - 1)
		box->text[n++] = *b++;
	box->text[n] = 0;
}

static void call(__u64 cpu, enum guest_call nr, __u64 a0, __u64 a1, __u64 a2, __u64 a3)
{
	struct guest_mailbox *box = mailbox(cpu);

	box->arg[0] = a0;
	box->arg[1] = a1;
	box->arg[2] = a2;
	box->arg[3] = a3;
	vmm_call(nr);
}

static void report(__u64 cpu, const char *size, const char *what, const struct tally *t)
{
	set_text(cpu, size, what);
	mailbox(cpu)->arg[4] = t->seen;
	call(cpu, GUEST_CALL_REPORT, t->compared, t->wrong, t->gpa, t->want);
}

/* --- memory ------------------------------------------------------------- */

/* One access each, which the compiler neither drops nor invents. */
static __u64 load(__u64 gpa)
{
	return __atomic_load_n((__u64 *)gpa, __ATOMIC_RELAXED);
}

static void store(__u64 gpa, __u64 value)
{
	__atomic_store_n((__u64 *)gpa, value, __ATOMIC_RELAXED);
}

static void compare_word(struct tally *t, __u64 gpa, __u64 want)
{
	__u64 seen = load(gpa);

	if (seen == want)
		return;
	if (!t->wrong) {
		t->gpa = gpa;
		t->want = want;
		t->seen = seen;
	}
	t->wrong += sizeof(seen);
}

static void compare_pattern(struct tally *t, struct range r, __u64 seed)
{
	__u64 gpa;

	for (gpa = r.start; gpa < r.end; gpa += sizeof(__u64))
		compare_word(t, gpa, guest_pattern(seed, gpa));
	t->compared += r.end - r.start;
}

static void compare_zero(struct tally *t, struct range r)
{
	__u64 gpa;

	for (gpa = r.start; gpa < r.end; gpa += sizeof(__u64))
		compare_word(t, gpa, 0);
	t->compared += r.end - r.start;
}

static void fill(struct range r, __u64 seed)
{
	__u64 gpa;

	for (gpa = r.start; gpa < r.end; gpa += sizeof(__u64))
		store(gpa, guest_pattern(seed, gpa));
}

static void convert(__u64 cpu, struct range r, __u64 attributes)
{
	struct tally t = { .compared = PAGE, .gpa = r.start };

	t.seen = map_gpa_range(r.start, (r.end - r.start) / PAGE, attributes);
	if (!t.seen) {
		converted[cpu]++;
		return;
	}
	t.wrong = PAGE;
	report(cpu, "", "conversion granted", &t);
}

/* Wait until every vCPU is here. */
static void barrier(void)
{
	static __u32 arrived, turn;
	__u32 mine = __atomic_load_n(&turn, __ATOMIC_ACQUIRE);

	if (__atomic_add_fetch(&arrived, 1, __ATOMIC_ACQ_REL) == boot->vcpus) {
		__atomic_store_n(&arrived, 0, __ATOMIC_RELAXED);
		__atomic_add_fetch(&turn, 1, __ATOMIC_RELEASE);
		return;
	}
	while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) == mine)
		asm volatile("pause");
}

/* --- the tests ---------------------------------------------------------- */

/*
 * One conversion of @hole to shared and back, @hole lying in @whole: shared
 * memory works in both directions, and no other byte of @whole changes.
 */
static void convert_and_compare(__u64 cpu, const char *size, struct range whole,
				struct range hole, __u64 seed)
{
	struct range before = { whole.start, hole.start };
	struct range behind = { hole.end, whole.end };
	struct tally near = {}, heard = {}, zero = {};
	__u64 bytes = hole.end - hole.start;

	convert(cpu, hole, MAP_GPA_SHARED);
	compare_pattern(&near, before, seed);
	compare_pattern(&near, behind, seed);

	set_text(cpu, size, ": host finds no private bytes");
	call(cpu, GUEST_CALL_HOST_WRITE, hole.start, bytes, seed, ~seed);
	compare_pattern(&heard, hole, ~seed);

	fill(hole, seed + 1);
	set_text(cpu, size, ": guest writes, host reads");
	call(cpu, GUEST_CALL_HOST_READ, hole.start, bytes, seed + 1, 0);

	convert(cpu, hole, MAP_GPA_PRIVATE);
	compare_zero(&zero, hole);
	compare_pattern(&near, before, seed);
	compare_pattern(&near, behind, seed);
	fill(hole, seed);

	report(cpu, size, ": neighbours keep every byte", &near);
	report(cpu, size, ": host writes, guest reads", &heard);
	report(cpu, size, ": back to private, reads as zero", &zero);
}

/* A page-aligned place for @bytes with a page or more of @whole on both sides. */
static struct range place(struct range whole, __u64 bytes, __u64 random)
{
	__u64 room = (whole.end - whole.start - bytes) / PAGE - 1;
	__u64 start = whole.start + PAGE * (1 + random % room);

	return (struct range){ start, start + bytes };
}

static void test_area(__u64 cpu, struct range r, __u64 seed)
{
	static const struct {
		const char *name;
		__u64 bytes;
	} sizes[] = { { "4K", K(4) }, { "64K", K(64) }, { "2M", M(2) } };
	struct range aligned;
	struct tally all = {};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		aligned.start = r.start + M(2);
		aligned.end = aligned.start + sizes[i].bytes;
		convert_and_compare(cpu, sizes[i].name, r, aligned, seed);
		convert_and_compare(cpu, sizes[i].name, r,
				    place(r, sizes[i].bytes, guest_pattern(seed, i)), seed);
	}
	compare_pattern(&all, r, seed);
	report(cpu, "", "private areas after each round", &all);
}

/*
 * The other vCPUs convert the neighbours of every page of this one at the same
 * time.  A page has the pattern of its owner's number.
 */
static void test_mix(__u64 cpu)
{
	struct tally heard = {}, zero = {}, own = {};
	__u64 step = boot->vcpus * PAGE;
	struct range page;

	for (page.start = mix.start + cpu * PAGE; page.start < mix.end; page.start += step) {
		page.end = page.start + PAGE;
		convert(cpu, page, MAP_GPA_SHARED);
		fill(page, ~cpu);
		compare_pattern(&heard, page, ~cpu);
		convert(cpu, page, MAP_GPA_PRIVATE);
		compare_zero(&zero, page);
		fill(page, cpu);
	}
	for (page.start = mix.start + cpu * PAGE; page.start < mix.end; page.start += step) {
		page.end = page.start + PAGE;
		compare_pattern(&own, page, cpu);
	}
	report(cpu, "race", ": shared pages hold what is written", &heard);
	report(cpu, "race", ": back to private, reads as zero", &zero);
	report(cpu, "race", ": neighbours keep every byte", &own);
}

/* Both edges hold the pattern @seed, compared but for @hole. */
static void compare_edges(struct tally *t, struct range hole, __u64 seed)
{
	compare_pattern(t, (struct range){ edge[0].start, hole.start }, seed);
	compare_pattern(t, (struct range){ hole.end, edge[1].end }, seed);
}

/* One request that begins in slot 0 and ends in slot 1. */
static void test_edges(__u64 cpu, __u64 seed)
{
	struct range wide = { edge[0].end - K(64), edge[1].start + K(64) };
	struct range low = { wide.start, edge[0].end };
	struct range high = { edge[1].start, wide.end };
	struct tally near = {}, zero = {};

	convert(cpu, wide, MAP_GPA_SHARED);
	compare_edges(&near, wide, seed);
	set_text(cpu, "edge", ": host finds no private bytes");
	call(cpu, GUEST_CALL_HOST_WRITE, low.start, low.end - low.start, seed, ~seed);
	call(cpu, GUEST_CALL_HOST_WRITE, high.start, high.end - high.start, seed, ~seed);
	fill(low, seed + 1);
	fill(high, seed + 1);
	set_text(cpu, "edge", ": guest writes, host reads");
	call(cpu, GUEST_CALL_HOST_READ, low.start, low.end - low.start, seed + 1, 0);
	call(cpu, GUEST_CALL_HOST_READ, high.start, high.end - high.start, seed + 1, 0);

	convert(cpu, wide, MAP_GPA_PRIVATE);
	compare_zero(&zero, low);
	compare_zero(&zero, high);
	compare_edges(&near, wide, seed);
	fill(low, seed);
	fill(high, seed);

	/* The last page of slot 0 and the first of slot 1, each by itself */
	convert_and_compare(cpu, "edge", edge[0],
			    (struct range){ edge[0].end - PAGE, edge[0].end }, seed);
	convert_and_compare(cpu, "edge", edge[1],
			    (struct range){ edge[1].start, edge[1].start + PAGE }, seed);
	report(cpu, "edge", ": neighbours keep every byte", &near);
	report(cpu, "edge", ": back to private, reads as zero", &zero);
}

/* A request that the VMM must refuse: memory that does not exist. */
static void test_refusal(__u64 cpu)
{
	__u64 top = boot->slot[1].start + boot->slot[1].size;
	struct tally t = { .compared = PAGE, .gpa = top, .want = -22 };

	t.seen = map_gpa_range(top, 1, MAP_GPA_PRIVATE);
	if (t.seen != t.want)
		t.wrong = PAGE;
	report(cpu, "", "conversion outside of memory refused", &t);
}

/* The host does what it can to read and write @r while it holds a secret. */
static void test_secret(__u64 cpu, struct range r, __u64 seed)
{
	struct tally t = {};

	call(cpu, GUEST_CALL_SECRET, r.start, r.end - r.start, seed, used);
	compare_pattern(&t, r, seed);
	report(cpu, "", "secret unchanged by the host's attempts", &t);
}

/* --- set-up and course -------------------------------------------------- */

static void lay_out(void)
{
	const struct guest_slot *low = &boot->slot[0], *high = &boot->slot[1];
	__u64 at[GUEST_SLOTS];
	unsigned int i, cpu;

	edge[0].end = low->start + low->size;
	edge[0].start = edge[0].end - EDGE_SIZE;
	edge[1].start = high->start;
	edge[1].end = edge[1].start + EDGE_SIZE;
	mix.start = edge[1].end;
	mix.end = mix.start + MIX_SIZE;

	at[0] = GUEST_IMAGE_END;
	at[1] = mix.end;
	for (i = 0; i < GUEST_SLOTS; i++) {
		for (cpu = 0; cpu < boot->vcpus; cpu++, at[i] += GUEST_AREA_SIZE)
			area[i][cpu] = (struct range){ at[i], at[i] + GUEST_AREA_SIZE };
		still[i] = (struct range){ at[i], at[i] + STILL_SIZE };
		spare[i].start = still[i].end;
	}
	spare[0].end = edge[0].start;
	spare[1].end = high->start + high->size;
}

/* Memory that was written while private, and is in use from now on. */
static void note_claim(__u64 cpu, struct range r)
{
	call(cpu, GUEST_CALL_CLAIM, r.start, r.end - r.start, 0, 0);
	__atomic_add_fetch(&used, r.end - r.start, __ATOMIC_RELAXED);
}

/* Account for what guest/head.S did. */
static void claim_home(void)
{
	struct range home = { (__u64)home_start, (__u64)home_start + (__u64)home_size };

	converted[0] = 1;
	note_claim(0, home);
}

/* Make @r private, compare that it arrives zeroed, fill it. */
static void claim(__u64 cpu, struct range r, __u64 seed)
{
	struct tally zero = {};

	convert(cpu, r, MAP_GPA_PRIVATE);
	compare_zero(&zero, r);
	fill(r, seed);
	note_claim(cpu, r);
	report(cpu, "", "new private memory reads as zero", &zero);
}

static void claim_common(__u64 cpu)
{
	struct range page = { mix.start, mix.start };
	unsigned int i;

	for (i = 0; i < GUEST_SLOTS; i++) {
		claim(cpu, edge[i], 0);
		claim(cpu, still[i], 0);
		if (spare[i].start < spare[i].end)
			convert(cpu, spare[i], MAP_GPA_PRIVATE);
	}
	claim(cpu, mix, 0);
	for (i = 0; page.start < mix.end; i++, page.start += PAGE) {
		page.end = page.start + PAGE;
		fill(page, i % boot->vcpus);
	}
}

static void compare_still(__u64 cpu)
{
	struct tally t = {};
	unsigned int i;

	for (i = 0; i < GUEST_SLOTS; i++)
		compare_pattern(&t, still[i], 0);
	report(cpu, "", "memory that is never converted", &t);
}

/* Leave something for the map to show: a shared window in private memory. */
static void open_window(__u64 cpu)
{
	struct range r = { area[0][cpu].start + M(2), area[0][cpu].start + M(2) + WINDOW_SIZE };

	convert(cpu, r, MAP_GPA_SHARED);
	fill(r, ~cpu);
	set_text(cpu, "window", ": left shared, host reads");
	call(cpu, GUEST_CALL_HOST_READ, r.start, WINDOW_SIZE, ~cpu, 0);
	__atomic_sub_fetch(&used, WINDOW_SIZE, __ATOMIC_RELAXED);
}

static void run_round(__u64 cpu, __u64 round)
{
	__u64 seed = (round * GUEST_MAX_VCPUS + cpu) << 8;
	unsigned int i;

	for (i = 0; i < GUEST_SLOTS; i++) {
		fill(area[i][cpu], seed + i);
		test_area(cpu, area[i][cpu], seed + i);
	}
	barrier();
	test_mix(cpu);
	barrier();
	if (cpu == round % boot->vcpus) {
		fill(edge[0], seed);
		fill(edge[1], seed);
		test_edges(cpu, seed);
	}
	barrier();
}

static void run_secrets(__u64 cpu)
{
	unsigned int i;

	test_refusal(cpu);
	for (i = 0; i < GUEST_SLOTS; i++) {
		fill(area[i][cpu], ~0ULL);
		test_secret(cpu, area[i][cpu], ~0ULL);
	}
}

void guest_main(const struct guest_boot *data, __u64 cpu)
{
	__u64 round;
	unsigned int i;

	if (!cpu) {
		boot = data;
		lay_out();
		claim_home();
		__atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
		say("code, data and stacks moved to private memory, bytes: ", used, NULL);
	}
	while (!__atomic_load_n(&ready, __ATOMIC_ACQUIRE))
		asm volatile("pause");

	for (i = 0; i < GUEST_SLOTS; i++)
		claim(cpu, area[i][cpu], i);
	if (!cpu)
		claim_common(cpu);
	barrier();

	for (round = 1; round <= boot->rounds; round++) {
		if (!cpu)
			say("round ", round, " of ", (__u64)boot->rounds, NULL);
		run_round(cpu, round);
	}
	if (!cpu) {
		run_secrets(cpu);
		compare_still(cpu);
	}
	barrier();
	open_window(cpu);
	barrier();
	call(cpu, GUEST_CALL_DONE, converted[cpu], used, 0, 0);
}
