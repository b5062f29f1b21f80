// SPDX-License-Identifier: GPL-2.0
/*
 * For how long a guest waits for its memory while that moves to another NUMA node.
 *
 * The guest touches memory in a loop and takes the longest time between two touches, by
 * its time stamp counter, while another CPU moves all of it by one call; and then in a
 * time as long in which nothing moves.  The guest also counts in each word that it
 * touches: memory that loses something ends the program.
 *
 * Time here is real time, of an emulated CPU on a machine that may have other work.  A
 * pause is at least what copying a folio takes: that is measured before and after, by
 * words, as the kernel does it where the processor has no fast string instructions.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>

#include "bench.h"

#define MAX_SIZE	(32 * MIB)
#define TOUCHES		512
#define NSEC		1000000000ULL
/* Moves of seconds each are repeated less. */
#define FEW_RUNS	3
#define ENOUGH		(5 * NSEC)
#define COPY_SIZE	(2 * MIB)

/* What the guest and this program tell each other, at GUEST_DATA: see guest.S */
struct touched {
	__u64 longest;
	__u64 passes;
	__u64 wrong;
	__u64 stop;
};

/**
 * struct toucher - a guest that touches its memory, in a thread
 * @m: its machine
 * @touched: what it says
 * @khz: of its time stamp counter
 * @thread: runs it
 * @buffer: what is copied for comparison, twice COPY_SIZE
 */
struct toucher {
	struct machine m;
	struct touched *touched;
	__u64 khz;
	pthread_t thread;
	__u64 *buffer;
};

static __u64 now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NSEC + t.tv_nsec;
}

static void use_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die(STATUS_ENVIRONMENT, "CPU %d: %s", cpu, strerror(errno));
}

static void copy_word(__u64 *to, const __u64 *from)
{
	__atomic_store_n(to, __atomic_load_n(from, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
}

/* At most COPY_SIZE; nothing that the compiler could do in another way. */
static void copy_words(__u64 *to, const __u64 *from, __u64 bytes)
{
	const __u64 *end = from + bytes / sizeof(*from);

	for (; from < end; from += 4, to += 4) {
		copy_word(&to[0], &from[0]);
		copy_word(&to[1], &from[1]);
		copy_word(&to[2], &from[2]);
		copy_word(&to[3], &from[3]);
	}
}

static void measure_copy(struct toucher *t, __u64 bytes)
{
	__u64 piece = bytes < COPY_SIZE ? bytes : COPY_SIZE, done, start = now();

	for (done = 0; done < bytes; done += piece)
		copy_words(t->buffer + COPY_SIZE / sizeof(*t->buffer), t->buffer, piece);
	report_sample("cpu", "copying-time", bytes, "words", now() - start, "ns");
}

/* While no guest runs: it sleeps when what it wants is being copied. */
static void measure_copying(struct toucher *t, __u64 bytes)
{
	unsigned int run, runs = bytes < GIB ? FEW_RUNS : 1;

	for (run = 0; run < runs; run++)
		measure_copy(t, bytes);
}

/* --- the guest ---------------------------------------------------------- */

static void *toucher_thread(void *data)
{
	struct toucher *t = data;

	use_cpu(1);
	machine_run(&t->m);
	return NULL;
}

static void start(struct toucher *t, char *low)
{
	const struct kvm_regs regs = {
		.rdi = PRIVATE_GPA,
		.rsi = t->m.slot.size / TOUCHES,
		.r12 = TOUCHES,
		.r8 = GUEST_DATA,
	};
	int khz = ioctl(t->m.vm.vcpu[0].fd, KVM_GET_TSC_KHZ, 0), err;

	if (khz <= 0)
		die(STATUS_ENVIRONMENT, "KVM_GET_TSC_KHZ: %s", strerror(errno));
	t->khz = khz;
	t->touched = (struct touched *)(low + GUEST_DATA);
	machine_start(&t->m, &regs);
	use_cpu(0);
	err = pthread_create(&t->thread, NULL, toucher_thread, t);
	if (err)
		die(STATUS_FAILED, "thread of the guest: %s", strerror(err));
}

static __u64 get(const __u64 *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void set(__u64 *word, __u64 value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* Until the guest has been everywhere since this was called. */
static void let_pass(struct toucher *t)
{
	__u64 passes = get(&t->touched->passes), wrong;

	while (get(&t->touched->passes) < passes + 2)
		usleep(1000);
	wrong = get(&t->touched->wrong);
	if (wrong)
		die(STATUS_FAILED, "the guest found %llu words changed", wrong);
}

static void stop(struct toucher *t)
{
	set(&t->touched->stop, 1);
	pthread_join(t->thread, NULL);
}

/* --- measuring ---------------------------------------------------------- */

static void report_longest(struct toucher *t, const struct folios *folios, const char *variant)
{
	report_sample(t->m.backing->name, "pause", folios->size, variant,
		      get(&t->touched->longest) * 1000000 / t->khz, "ns");
}

/* To the other node.  Returns how long it took. */
static __u64 measure_moving(struct toucher *t, const struct folios *folios)
{
	__u64 start, took;

	let_pass(t);
	set(&t->touched->longest, 0);
	start = now();
	machine_move_all(&t->m, OTHER_NODE);
	took = now() - start;
	let_pass(t);
	report_longest(t, folios, "moving");
	report_sample(t->m.backing->name, "move-time", folios->size, "many",
		      took / (t->m.slot.size / folios->size), "ns");
	return took;
}

static void measure_still(struct toucher *t, const struct folios *folios, __u64 nsecs)
{
	const struct timespec wait = { .tv_sec = nsecs / NSEC, .tv_nsec = nsecs % NSEC };

	let_pass(t);
	set(&t->touched->longest, 0);
	nanosleep(&wait, NULL);
	let_pass(t);
	report_longest(t, folios, "still");
}

static void measure_pauses(struct toucher *t, const struct folios *folios, unsigned int runs)
{
	__u64 took, spent = 0;
	unsigned int run;

	measure_copying(t, folios->size);
	start(t, machine_load(&t->m, touch_code, touch_code_end));
	for (run = 0; run < runs && (run < FEW_RUNS || spent < ENOUGH); run++) {
		took = measure_moving(t, folios);
		measure_still(t, folios, took);
		machine_move_all(&t->m, HOME_NODE);
		spent += took;
	}
	stop(t);
	measure_copying(t, folios->size);
}

/* A touch for each folio, if that is not too much. */
static __u64 memory_size(const struct folios *folios)
{
	__u64 size = TOUCHES * folios->size;

	if (size > MAX_SIZE)
		size = MAX_SIZE;
	return size > folios->size ? size : folios->size;
}

int time_pause(const struct backing *backing, unsigned int runs)
{
	const struct folios *folios;
	struct toucher t = { .buffer = memory_alone(2 * COPY_SIZE) };
	__u64 size;
	int err;

	for (folios = backing_folios(backing); folios->size; folios++) {
		size = memory_size(folios);
		err = machine_create_movable(&t.m, backing, folios, size, GUEST_ENTRY);
		if (err) {
			report_absent(backing->name, "pause", folios->size, "moving", err);
			return backing->native ? STATUS_OK : STATUS_ABSENT;
		}
		measure_pauses(&t, folios, runs);
		machine_release(&t.m);
	}
	return STATUS_OK;
}
