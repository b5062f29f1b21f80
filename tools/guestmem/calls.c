// SPDX-License-Identifier: GPL-2.0
/*
 * Checks that the guest asks for, through its mailbox: what it found itself, and
 * what only the host can tell.  The mailbox is shared memory that the guest can
 * change at any time, so it is copied before it is looked at.
 */
#include <string.h>

#include "vmm.h"

/* Every word of the shared half of [gpa, gpa + size) against pattern @seed. */
static void compare_shared(const __u64 *at, __u64 gpa, __u64 size, __u64 seed,
			   struct compared *c)
{
	__u64 i, want;

	for (i = 0; i < size / sizeof(*at); i++) {
		want = guest_pattern(seed, gpa + i * sizeof(*at));
		if (at[i] == want)
			continue;
		if (!c->wrong) {
			c->gpa = gpa + i * sizeof(*at);
			c->want = want;
			c->seen = at[i];
		}
		c->wrong += sizeof(*at);
	}
	c->bytes += size;
}

static void write_shared(__u64 *at, __u64 gpa, __u64 size, __u64 seed)
{
	__u64 i;

	for (i = 0; i < size / sizeof(*at); i++)
		at[i] = guest_pattern(seed, gpa + i * sizeof(*at));
}

/* What the host finds of pattern @seed, of which nothing should be there. */
static __u64 count_pattern(const __u64 *at, __u64 gpa, __u64 size, __u64 seed)
{
	struct compared c = {};

	compare_shared(at, gpa, size, seed, &c);
	return c.bytes - c.wrong;
}

static void host_write(struct vm *vm, const struct guest_mailbox *box)
{
	__u64 gpa = box->arg[0], size = box->arg[1];
	__u64 *at = memory_shared(&vm->mem, gpa, size);

	shared_populate(at, size);
	check_count(SECTION_GUEST, box->text, "private", size,
		    count_pattern(at, gpa, size, box->arg[2]));
	write_shared(at, gpa, size, box->arg[3]);
}

static void host_read(struct vm *vm, const struct guest_mailbox *box)
{
	__u64 gpa = box->arg[0], size = box->arg[1];
	struct compared c = {};

	compare_shared(memory_shared(&vm->mem, gpa, size), gpa, size, box->arg[2], &c);
	check_compared(SECTION_GUEST, box->text, &c);
}

static void report(const struct guest_mailbox *box)
{
	struct compared c = {
		.bytes = box->arg[0],
		.wrong = box->arg[1],
		.gpa = box->arg[2],
		.want = box->arg[3],
		.seen = box->arg[4],
	};

	check_compared(SECTION_GUEST, box->text, &c);
}

static void keep_secret(struct vm *vm, const struct guest_mailbox *box)
{
	if (!vm->opt->quiet)
		printf("vmm: the guest holds a secret at %#llx, trying to get at it\n",
		       box->arg[0]);
	move_pause(vm);
	try_paths(vm, box->arg[0], box->arg[1], box->arg[2]);
	held_check_peak(vm, box->arg[3]);
	move_resume(vm);
}

static void done(struct vcpu *vcpu, const struct guest_mailbox *box)
{
	struct vm *vm = vcpu->vm;

	vcpu->done = true;
	pthread_mutex_lock(&vm->lock);
	vm->reported++;
	vm->granted += box->arg[0];
	vm->used = box->arg[1];
	pthread_mutex_unlock(&vm->lock);
}

static bool names_range(__u32 nr)
{
	return nr == GUEST_CALL_HOST_WRITE || nr == GUEST_CALL_HOST_READ ||
		nr == GUEST_CALL_SECRET || nr == GUEST_CALL_CLAIM;
}

/* The range that the guest speaks of must be memory, in one slot. */
static bool bad_range(struct vm *vm, const struct guest_mailbox *box)
{
	return !box->arg[1] || (box->arg[0] | box->arg[1]) % PAGE ||
		!memory_shared(&vm->mem, box->arg[0], box->arg[1]);
}

/* What a guest prints must not control the terminal. */
static void take_mailbox(struct vcpu *vcpu, struct guest_mailbox *box)
{
	unsigned int i;

	memcpy(box, memory_shared(&vcpu->vm->mem, BOOT_MAILBOX + vcpu->id * PAGE, PAGE),
	       sizeof(*box));
	box->text[GUEST_TEXT_SIZE - 1] = 0;
	for (i = 0; box->text[i]; i++)
		if (box->text[i] < ' ' || box->text[i] > '~')
			box->text[i] = '?';
}

bool guest_call(struct vcpu *vcpu, __u32 nr)
{
	struct vm *vm = vcpu->vm;
	struct guest_mailbox box;

	take_mailbox(vcpu, &box);
	if (names_range(nr) && bad_range(vm, &box)) {
		snprintf(vcpu->error, sizeof(vcpu->error), "speaks of %#llx + %#llx, no memory",
			 box.arg[0], box.arg[1]);
		return false;
	}

	switch (nr) {
	case GUEST_CALL_REPORT:
		report(&box);
		return true;
	case GUEST_CALL_HOST_WRITE:
		host_write(vm, &box);
		return true;
	case GUEST_CALL_HOST_READ:
		host_read(vm, &box);
		return true;
	case GUEST_CALL_SECRET:
		keep_secret(vm, &box);
		return true;
	case GUEST_CALL_CLAIM:
		memory_claim(&vm->mem, box.arg[0], box.arg[1]);
		return true;
	case GUEST_CALL_DONE:
		done(vcpu, &box);
		return false;
	default:
		snprintf(vcpu->error, sizeof(vcpu->error), "makes the unknown call %u", nr);
		return false;
	}
}
