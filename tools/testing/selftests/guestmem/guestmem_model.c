// SPDX-License-Identifier: GPL-2.0
/*
 * The model of a guest's memory, see guestmem_model.h.
 */
#include <stdatomic.h>
#include <stdio.h>

#include "guestmem_model.h"

#define SEED		0x30de1000
#define MAGIC		0x9a9a9a9a
#define PIECE		(16 * PAGE)
/* of one round */
#define OPERATIONS	24

int model_open(struct model *m, struct vm *vm, int fd, __u64 gpa, off_t size, char *shared)
{
	*m = (struct model) {
		.vm = vm, .fd = fd, .gpa = gpa, .pages = size / PAGE, .shared = shared,
		.random = 4242,
	};
	m->private = calloc(m->pages, sizeof(*m->private));
	m->punched = calloc(m->pages, sizeof(*m->punched));
	return m->private && m->punched ? 0 : -1;
}

void model_close(struct model *m)
{
	free(m->private);
	free(m->punched);
}

/* ---- the guest ---- */

/**
 * struct toucher - a vCPU that touches everything, with the stamps that are there
 * @model: of that guest
 * @cpu: number of the vCPU
 * @stop: set to end it
 * @bad: first result that must not be, or 0
 * @thread: runs it
 */
struct toucher {
	struct model *model;
	int cpu;
	atomic_bool stop;
	int bad;
	pthread_t thread;
};

/* A conversion may come between a fault and its handling: the VMM tries again. */
static int touch(struct toucher *t, enum guest_op op, __u64 gpa)
{
	struct vm *vm = t->model->vm;
	int ret = guest_do(vm, t->cpu, op, gpa, PIECE, SEED);

	if (ret == -EFAULT && vm->run[t->cpu]->exit_reason == KVM_EXIT_MEMORY_FAULT)
		return 0;
	return ret;
}

static void *touch_all(void *arg)
{
	struct toucher *t = arg;
	unsigned int step = t->cpu * 7, pieces = t->model->pages * PAGE / PIECE;
	__u64 gpa;

	while (!t->bad && !atomic_load(&t->stop)) {
		gpa = t->model->gpa + step++ * 13 % pieces * PIECE;
		/* Shared memory was zero at first, too. */
		t->bad = touch(t, GUEST_VERIFY_OR_ZERO, gpa);
		if (!t->bad)
			t->bad = touch(t, GUEST_STAMP, gpa);
	}
	return NULL;
}

/* ---- the VMM ---- */

static unsigned int any(struct model *m, unsigned int below)
{
	m->random = m->random * 1103515245 + 12345;
	return (m->random >> 16) % below;
}

static int convert(struct model *m, int from, int nr, bool private)
{
	memset(m->private + from, private, nr);
	return vm_set_attributes(m->vm, m->gpa + from * PAGE, nr * PAGE,
				 private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0);
}

/* A split may be refused, and then nothing has happened. */
static int punch_some(struct model *m, int from, int nr)
{
	int err = ERRNO(punch(m->fd, from * PAGE, nr * PAGE));

	m->punches++;
	if (err == EAGAIN || err == ENOMEM) {
		m->refused++;
		return 0;
	}
	memset(m->punched + from, true, nr);
	errno = err;
	return err ? -1 : 0;
}

/* On a range of pages: any, or pieces of 64K, or whole huge pages */
static int operate(struct model *m)
{
	static const int unit[] = { 1, 16, PAGES_2M };
	int u = unit[any(m, 3)];
	int from = any(m, m->pages / u) * u;
	int nr = (1 + any(m, u == PAGES_2M ? 2 : 32)) * u;

	if (from + nr > m->pages)
		nr = m->pages - from;
	switch (any(m, 4)) {
	case 0:
		return convert(m, from, nr, false);
	case 1:
		return convert(m, from, nr, true);
	case 2:
		return punch_some(m, from, nr);
	default:
		return populate(m->fd, from * PAGE, nr * PAGE);
	}
}

/* ---- what has to be ---- */

static enum guest_op expected(const struct model *m, int page)
{
	if (!m->private[page])
		return GUEST_CHECK;
	return m->punched[page] ? GUEST_VERIFY_OR_ZERO : GUEST_VERIFY;
}

static int run_end(const struct model *m, int from)
{
	int to = from + 1;

	while (to < m->pages && expected(m, to) == expected(m, from))
		to++;
	return to;
}

/* Runs of pages of which the same is expected, by the vCPUs in turn */
static void check(struct model *m)
{
	int from, to, cpu = 0, ret;
	enum guest_op op;

	memset(m->shared, MAGIC & 0xff, m->pages * PAGE);
	for (from = 0; from < m->pages && !*m->bad; from = to) {
		to = run_end(m, from);
		op = expected(m, from);
		cpu ^= 1;
		ret = guest_do(m->vm, cpu, op, m->gpa + from * PAGE, (to - from) * PAGE,
			       op == GUEST_CHECK ? MAGIC : SEED);
		if (ret)
			snprintf(m->bad, sizeof(m->bad),
				 "pages %d to %d, operation %d: %d at %#llx", from, to, op, ret,
				 m->vm->bad_gpa[cpu]);
	}
	memset(m->shared, 0, m->pages * PAGE);
}

static void begin(struct model *m, bool new_folios)
{
	memset(m->punched, false, m->pages * sizeof(*m->punched));
	if (convert(m, 0, m->pages, true) ||
	    (new_folios && punch_patiently(m->fd, 0, m->pages * PAGE)) ||
	    populate(m->fd, 0, m->pages * PAGE) ||
	    guest_do(m->vm, 0, GUEST_STAMP, m->gpa, m->pages * PAGE, SEED))
		snprintf(m->bad, sizeof(m->bad), "no start: %s", strerror(errno));
}

static void stop(struct model *m, struct toucher *t)
{
	atomic_store(&t->stop, true);
	pthread_join(t->thread, NULL);
	if (t->bad && !*m->bad)
		snprintf(m->bad, sizeof(m->bad), "vCPU %d: %d, exit reason %u, at %#llx", t->cpu,
			 t->bad, m->vm->run[t->cpu]->exit_reason, m->vm->bad_gpa[t->cpu]);
}

/*
 * All private, filled and stamped; then some operations beside the vCPUs; then a look at
 * every page. @new_folios: what was split before is whole again. Returns what was wrong,
 * "" if nothing was.
 */
const char *model_round(struct model *m, bool new_folios)
{
	struct toucher t[2];
	int i, err = 0;

	m->bad[0] = '\0';
	begin(m, new_folios);
	if (*m->bad)
		return m->bad;
	for (i = 0; i < 2; i++) {
		t[i] = (struct toucher) { .model = m, .cpu = i };
		if (pthread_create(&t[i].thread, NULL, touch_all, &t[i]))
			return "no thread";
	}
	for (i = 0; i < OPERATIONS && !err; i++)
		err = ERRNO(operate(m));
	if (err)
		snprintf(m->bad, sizeof(m->bad), "an operation failed: %s", strerror(err));
	for (i = 0; i < 2; i++)
		stop(m, &t[i]);
	if (!*m->bad)
		check(m);
	return m->bad;
}
