/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TDXMOD_PLATFORM_USER_H
#define _TDXMOD_PLATFORM_USER_H

/*
 * The side of arch/x86/virt/tdxmod/platform.h for a program: simulated memory, a single
 * thread, and a machine whose interrupts and CPUs are what the program says.
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
/* as the kernel has them, so that one format fits */
typedef unsigned long long u64;
typedef long long s64;

#include "../../../../arch/x86/include/asm/tdxmod.h"

#define BIT(n)			(1UL << (n))
#define BIT_ULL(n)		(1ULL << (n))
#define GENMASK_ULL(h, l)	((~0ULL << (l)) & (~0ULL >> (63 - (h))))
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))

#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, value)	__atomic_store_n(&(x), value, __ATOMIC_RELAXED)
#define try_cmpxchg(p, old, new)							\
	__atomic_compare_exchange_n(p, old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

static inline void memset64(u64 *to, u64 value, size_t nr)
{
	while (nr--)
		*to++ = value;
}

typedef struct { s64 counter; } atomic64_t;

static inline s64 atomic64_read(const atomic64_t *v)
{
	return __atomic_load_n(&v->counter, __ATOMIC_RELAXED);
}

static inline void atomic64_add(s64 n, atomic64_t *v)
{
	__atomic_fetch_add(&v->counter, n, __ATOMIC_SEQ_CST);
}

static inline void atomic64_sub(s64 n, atomic64_t *v)
{
	atomic64_add(-n, v);
}

static inline void atomic64_inc(atomic64_t *v)
{
	atomic64_add(1, v);
}

static inline void atomic64_dec(atomic64_t *v)
{
	atomic64_add(-1, v);
}

static inline s64 atomic64_inc_return(atomic64_t *v)
{
	return __atomic_add_fetch(&v->counter, 1, __ATOMIC_SEQ_CST);
}

/* Locks are not contended, but they must be dropped as often as they are taken. */
struct sim_spinlock {
	bool held;
};

#define spinlock_t		struct sim_spinlock

void sim_lock(spinlock_t *lock);
void sim_unlock(spinlock_t *lock);

#define spin_lock_init(lock)	((lock)->held = false)
#define spin_lock_irqsave(lock, flags)		((flags) = 0, sim_lock(lock))
#define spin_unlock_irqrestore(lock, flags)	((void)(flags), sim_unlock(lock))

/**
 * struct sim_machine - what the program decides
 * @polls: looks for interrupts until one is there; SIM_NEVER: never
 * @lp: where the caller runs
 * @package: its socket
 * @now: nanoseconds
 * @allocations: until one fails; SIM_NEVER: never
 */
struct sim_machine {
	u32 polls;
	int lp;
	unsigned int package;
	u64 now;
	u32 allocations;
};

#define SIM_NEVER	0xffffffffu

extern struct sim_machine sim;

void *tdxmod_map(u64 pa);
static inline void tdxmod_unmap(void *va) { (void)va; }
static inline void *tdxmod_map_shared(u64 pa) { return tdxmod_map(pa); }
static inline void tdxmod_page_taken(u64 pa, u64 size) { (void)pa; (void)size; }
static inline void tdxmod_page_returned(u64 pa, u64 size) { (void)pa; (void)size; }

void *tdxmod_alloc(size_t size);
static inline void *tdxmod_alloc_pamt(size_t size) { return tdxmod_alloc(size); }
void tdxmod_free(const void *p);

struct tdxmod_sha384 {
	u64 state[8];
	u64 length;
	u8 block[128];
};

struct tdxmod_sha384 *tdxmod_sha384_new(void);
static inline void tdxmod_sha384_delete(struct tdxmod_sha384 *sha) { free(sha); }
void tdxmod_sha384_start(struct tdxmod_sha384 *sha);
void tdxmod_sha384_add(struct tdxmod_sha384 *sha, const void *data, size_t length);
void tdxmod_sha384_end(struct tdxmod_sha384 *sha, u8 *digest);

bool tdxmod_interrupt_pending(void);

static inline int tdxmod_this_lp(void) { return sim.lp; }
static inline unsigned int tdxmod_this_package(void) { return sim.package; }
static inline u64 tdxmod_now(void) { return sim.now; }

#define tdxmod_complain(...) fprintf(stderr, "tdxmod: " __VA_ARGS__)

/* Memory that a program looks at, and its end. */
#define SIM_MEMORY	(8ULL << 30)

u64 sim_read64(u64 pa);
void sim_write64(u64 pa, u64 value);
void sim_reset(void);

#endif /* _TDXMOD_PLATFORM_USER_H */
