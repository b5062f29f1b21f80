// SPDX-License-Identifier: GPL-2.0
/*
 * The clock.  Under QEMU's -icount shift=0 an instruction takes one nanosecond of
 * the machine's time, and the time stamp counter runs at 1 GHz: its difference is
 * the number of instructions that the CPU executed, in user space, kernel and
 * interrupts alike.  A string instruction counts once per element, and a walk of
 * page tables not at all.
 *
 * With sleep=off an idle CPU does not wait but moves the clock to the next timer.
 * The kernel knows for how long it was idle, to the nanosecond, and that is taken
 * off: a call that waits for a grace period costs what it executes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/syscall.h>
#include <linux/membarrier.h>
#include <x86intrin.h>

#include "bench.h"

#define SETTLE_USECS	100000

/* The sum of all "  .name   : N nsecs" of /proc/timer_list, which is text. */
static __u64 sum_nsecs(const char *text, const char *name)
{
	const char *at = text;
	__u64 sum = 0;

	while ((at = strstr(at, name))) {
		at = strchr(at, ':');
		if (!at)
			break;
		sum += strtoull(at + 1, NULL, 10);
	}
	return sum;
}

static __u64 idle_nsecs(void)
{
	static char text[64 * KIB];
	size_t used = 0;
	ssize_t n;
	int fd;

	fd = open("/proc/timer_list", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(STATUS_ENVIRONMENT, "/proc/timer_list: %s", strerror(errno));
	while ((n = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += n;
	close(fd);
	text[used] = 0;
	if (!strstr(text, ".idle_sleeptime"))
		die(STATUS_ENVIRONMENT, "/proc/timer_list does not say how long the CPU was idle");
	return sum_nsecs(text, ".idle_sleeptime") + sum_nsecs(text, ".iowait_sleeptime");
}

/* Let everything that earlier calls have left for later be done. */
void settle(void)
{
	syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	usleep(SETTLE_USECS);
	syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}

void meter_start(struct meter *meter)
{
	settle();
	meter->idle = idle_nsecs();
	meter->tsc = __rdtsc();
}

__u64 meter_stop(const struct meter *meter)
{
	__u64 now = __rdtsc();

	return now - meter->tsc - (idle_nsecs() - meter->idle);
}

/* With what the calls have left for later. */
__u64 meter_stop_settled(const struct meter *meter)
{
	settle();
	return meter_stop(meter);
}

/* What the counter says of a loop of that many instructions. */
__u64 loop_ticks(__u64 instructions)
{
	__u64 start = __rdtsc(), turns = instructions / 2;

	asm volatile("1: dec %0; jnz 1b" : "+r"(turns) : : "cc");
	return __rdtsc() - start;
}

void report_sample(const char *backing, const char *measure, __u64 bytes, const char *variant,
		   __u64 value, const char *unit)
{
	printf("sample %s %s %llu %s %llu %s\n", backing, measure, bytes, variant, value, unit);
}

void report_absent(const char *backing, const char *measure, __u64 bytes, const char *variant,
		   int err)
{
	printf("absent %s %s %llu %s %s\n", backing, measure, bytes, variant, strerror(err));
}
