// SPDX-License-Identifier: GPL-2.0
/*
 * Running the vCPUs: one thread each, which services the exits of its vCPU, and
 * the main thread as watchdog.
 *
 * The run ends when all threads have ended.  One that fails makes the others
 * stop: @stop is set, immediate_exit keeps them from entering the guest, and a
 * signal gets them out of it.  The watchdog does the same when no vCPU has left
 * the guest for as long as --timeout says.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <sys/ioctl.h>
#include <linux/kvm_para.h>

#include "vmm.h"

#define STOP_SIGNAL	SIGUSR1
/* Seconds */
#define STOP_PATIENCE	30
#define PROGRESS_PERIOD	5

/**
 * struct watch - what the watchdog remembers from one second to the next
 * @seconds: since the start
 * @exits: of all vCPUs, the last time
 * @idle: seconds without an exit
 * @kicks: seconds since vCPUs were told to stop
 */
struct watch {
	unsigned int seconds;
	__u64 exits;
	unsigned int idle;
	unsigned int kicks;
};

[[gnu::format(printf, 2, 3)]]
static void fail(struct vcpu *vcpu, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(vcpu->error, sizeof(vcpu->error), format, args);
	va_end(args);
}

static __u64 instruction_pointer(struct vcpu *vcpu)
{
	struct kvm_regs regs = {};

	ioctl(vcpu->fd, KVM_GET_REGS, &regs);
	return regs.rip;
}

/* --- exits -------------------------------------------------------------- */

static void console_flush(struct vcpu *vcpu)
{
	if (!vcpu->line_length)
		return;
	if (!vcpu->vm->opt->quiet)
		printf("guest cpu%u: %.*s\n", vcpu->id, vcpu->line_length, vcpu->line);
	vcpu->line_length = 0;
}

static void console_put(struct vcpu *vcpu, char c)
{
	if (c == '\n') {
		console_flush(vcpu);
		return;
	}
	if (vcpu->line_length == sizeof(vcpu->line))
		console_flush(vcpu);
	/* What a guest prints must not control the terminal. */
	vcpu->line[vcpu->line_length++] = c >= ' ' && c <= '~' ? c : '?';
}

/* Returns whether the vCPU goes on. */
static bool port_exit(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	const char *data = (const char *)run + run->io.data_offset;
	__u32 value = 0;

	if (run->io.direction != KVM_EXIT_IO_OUT || run->io.count != 1) {
		fail(vcpu, "uses port %#x in a way that no device here knows", run->io.port);
		return false;
	}
	memcpy(&value, data, run->io.size);
	switch (run->io.port) {
	case GUEST_PORT_CONSOLE:
		console_put(vcpu, value);
		return true;
	case GUEST_PORT_CALL:
		return guest_call(vcpu, value);
	default:
		fail(vcpu, "writes to port %#x, where there is no device", run->io.port);
		return false;
	}
}

static bool hypercall_exit(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	__u64 gpa = run->hypercall.args[0], pages = run->hypercall.args[1];
	bool private = run->hypercall.args[2] & KVM_MAP_GPA_RANGE_ENCRYPTED;
	int ret = -EINVAL;

	if (run->hypercall.nr != KVM_HC_MAP_GPA_RANGE) {
		fail(vcpu, "exited for hypercall %llu, which is not serviced", run->hypercall.nr);
		return false;
	}
	if (pages <= ~0ULL / PAGE)
		ret = memory_convert(vcpu->vm, gpa, pages * PAGE, private);
	if (vcpu->vm->opt->verbose)
		printf("vmm: cpu%u: %#llx + %#llx to %s: %s\n", vcpu->id, gpa, pages * PAGE,
		       private ? "private" : "shared", ret ? strerror(-ret) : "ok");
	run->hypercall.ret = (__s64)ret;
	return true;
}

/*
 * The guest met memory in another state than KVM had just looked up: a
 * conversion by another vCPU came between, and the access is repeated.  When
 * both agree, it is an access that cannot be satisfied.
 */
static bool memory_fault_exit(struct vcpu *vcpu)
{
	__u64 gpa = vcpu->run->memory_fault.gpa;
	bool private = vcpu->run->memory_fault.flags & KVM_MEMORY_EXIT_FLAG_PRIVATE;

	if (memory_shared(&vcpu->vm->mem, gpa & -PAGE, PAGE) &&
	    memory_is_private(&vcpu->vm->mem, gpa) != private)
		return true;
	fail(vcpu, "cannot access %s memory at %#llx (%s), at rip %#llx",
	     private ? "private" : "shared", gpa, strerror(errno), instruction_pointer(vcpu));
	return false;
}

static bool handle_exit(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		return port_exit(vcpu);
	case KVM_EXIT_HYPERCALL:
		return hypercall_exit(vcpu);
	case KVM_EXIT_HLT:
		vcpu->done = true;
		return false;
	case KVM_EXIT_SHUTDOWN:
		fail(vcpu, "shut down: a fault without handler");
		return false;
	case KVM_EXIT_MMIO:
		fail(vcpu, "accessed %#llx, where there is no memory", run->mmio.phys_addr);
		return false;
	default:
		fail(vcpu, "left the guest for reason %u, which is not handled, at rip %#llx",
		     run->exit_reason, instruction_pointer(vcpu));
		return false;
	}
}

/* --- threads ------------------------------------------------------------ */

static bool stopped(struct vm *vm)
{
	return __atomic_load_n(&vm->stop, __ATOMIC_ACQUIRE);
}

static void stop(struct vm *vm)
{
	unsigned int i;

	__atomic_store_n(&vm->stop, 1, __ATOMIC_RELEASE);
	for (i = 0; i < vm->opt->vcpus; i++)
		__atomic_store_n(&vm->vcpu[i].run->immediate_exit, 1, __ATOMIC_RELEASE);
}

/* One entry into the guest; returns whether there is to be another. */
static bool run_once(struct vcpu *vcpu)
{
	if (!ioctl(vcpu->fd, KVM_RUN, NULL)) {
		__atomic_add_fetch(&vcpu->exits, 1, __ATOMIC_RELAXED);
		return handle_exit(vcpu);
	}
	if (errno == EINTR || errno == EAGAIN)
		return true;
	if ((errno == EFAULT || errno == EHWPOISON) &&
	    vcpu->run->exit_reason == KVM_EXIT_MEMORY_FAULT)
		return memory_fault_exit(vcpu);
	fail(vcpu, "KVM_RUN: %s, at rip %#llx", strerror(errno), instruction_pointer(vcpu));
	return false;
}

static void *vcpu_thread(void *data)
{
	struct vcpu *vcpu = data;
	struct vm *vm = vcpu->vm;

	while (!stopped(vm) && run_once(vcpu))
		;
	console_flush(vcpu);
	if (!vcpu->done && !vcpu->error[0])
		fail(vcpu, "was stopped, at rip %#llx", instruction_pointer(vcpu));
	if (!vcpu->done)
		stop(vm);
	pthread_mutex_lock(&vm->lock);
	vm->running--;
	pthread_cond_signal(&vm->ended);
	pthread_mutex_unlock(&vm->lock);
	return NULL;
}

static __u64 total_exits(struct vm *vm)
{
	__u64 sum = 0;
	unsigned int i;

	for (i = 0; i < vm->opt->vcpus; i++)
		sum += __atomic_load_n(&vm->vcpu[i].exits, __ATOMIC_RELAXED);
	return sum;
}

static void kick(struct vm *vm)
{
	unsigned int i;

	for (i = 0; i < vm->opt->vcpus; i++)
		pthread_kill(vm->vcpu[i].thread, STOP_SIGNAL);
}

/* One second has gone by. */
static void tick(struct vm *vm, struct watch *w)
{
	__u64 exits = total_exits(vm);

	w->seconds++;
	w->idle = exits == w->exits ? w->idle + 1 : 0;
	w->exits = exits;
	if (!vm->opt->quiet && w->seconds % PROGRESS_PERIOD == 0)
		printf("vmm: %u s, %llu exits, %llu conversions\n", w->seconds, exits,
		       __atomic_load_n(&vm->mem.conversions, __ATOMIC_RELAXED));
	if (vm->opt->timeout && w->idle >= vm->opt->timeout && !stopped(vm)) {
		fprintf(stderr, "guestmem-vmm: the guest hangs: no vCPU left it for %u s\n",
			w->idle);
		stop(vm);
	}
	if (!stopped(vm))
		return;
	kick(vm);
	if (++w->kicks > STOP_PATIENCE)
		die(STATUS_FAILED, "%u vCPU threads do not come out of KVM_RUN", vm->running);
}

/* Until all threads have ended.  Called with vm->lock held, which waiting drops. */
static void watch(struct vm *vm)
{
	struct watch w = {};
	struct timespec t;
	int err;

	clock_gettime(CLOCK_REALTIME, &t);
	while (vm->running) {
		t.tv_sec++;
		do
			err = pthread_cond_timedwait(&vm->ended, &vm->lock, &t);
		while (vm->running && err != ETIMEDOUT);
		if (vm->running)
			tick(vm, &w);
	}
}

/* Its only purpose is to interrupt KVM_RUN. */
static void on_stop_signal(int signal)
{
	(void)signal;
}

void vcpus_run(struct vm *vm)
{
	struct sigaction action = { .sa_handler = on_stop_signal };
	unsigned int i;
	int err;

	sigaction(STOP_SIGNAL, &action, NULL);
	pthread_mutex_lock(&vm->lock);
	for (i = 0; i < vm->opt->vcpus; i++) {
		err = pthread_create(&vm->vcpu[i].thread, NULL, vcpu_thread, &vm->vcpu[i]);
		if (err)
			die(STATUS_ENVIRONMENT, "thread for vCPU %u: %s", i, strerror(err));
		vm->running++;
	}
	watch(vm);
	pthread_mutex_unlock(&vm->lock);
	for (i = 0; i < vm->opt->vcpus; i++) {
		pthread_join(vm->vcpu[i].thread, NULL);
		if (vm->vcpu[i].error[0])
			fprintf(stderr, "guestmem-vmm: vCPU %u %s\n", i, vm->vcpu[i].error);
	}
}
