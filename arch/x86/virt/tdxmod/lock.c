// SPDX-License-Identifier: GPL-2.0
/*
 * Locks of the module: many readers or one writer, never waited for.
 *
 * A call that fails to get a lock fails as a whole, with a status that names the lock;
 * the caller repeats it.  So that a guest which takes the same locks cannot starve the
 * host, a host that fails leaves a mark (TDXMOD_LOCK_HOST): guests are refused as long
 * as it is there, and the next host that succeeds wipes it away.
 */
#include "internal.h"

/* May be taken as it is; *@next is what it becomes. */
static bool may_lock(u16 old, enum tdxmod_lock_mode mode, u16 *next)
{
	old &= ~TDXMOD_LOCK_HOST;
	if (mode == EXCLUSIVE) {
		*next = TDXMOD_LOCK_EXCLUSIVE;
		return !old;
	}
	*next = old + TDXMOD_LOCK_SHARED;
	return !(old & TDXMOD_LOCK_EXCLUSIVE) && *next;
}

bool tdxmod_trylock(u16 *lock, enum tdxmod_lock_mode mode, enum tdxmod_lock_kind kind)
{
	u16 old = READ_ONCE(*lock), next;
	bool locked;

	do {
		locked = may_lock(old, mode, &next);
		if (!locked) {
			if (kind == PLAIN)
				return false;
			next = old | TDXMOD_LOCK_HOST;
		}
	} while (!try_cmpxchg(lock, &old, next));
	return locked;
}

void tdxmod_unlock(u16 *lock, enum tdxmod_lock_mode mode)
{
	u16 old = READ_ONCE(*lock), next;

	do {
		next = mode == EXCLUSIVE ? old & ~TDXMOD_LOCK_EXCLUSIVE :
					   old - TDXMOD_LOCK_SHARED;
	} while (!try_cmpxchg(lock, &old, next));
}

/* Get @lock for as long as the call lasts. */
bool call_lock(struct tdxmod_call *call, u16 *lock, enum tdxmod_lock_mode mode,
	       enum tdxmod_lock_kind kind)
{
	if (call->nr_held == TDXMOD_MAX_HELD) {
		tdxmod_broken(call->mod, "too many locks, leaf", call->leaf);
		return false;
	}
	if (!tdxmod_trylock(lock, mode, kind))
		return false;
	call->held[call->nr_held].lock = lock;
	call->held[call->nr_held].mode = mode;
	call->nr_held++;
	return true;
}

/* Drop @lock, the last that the call has got. */
void call_unlock(struct tdxmod_call *call, u16 *lock)
{
	call->nr_held--;
	if (call->held[call->nr_held].lock != lock)
		tdxmod_broken(call->mod, "locks dropped out of order, leaf", call->leaf);
	tdxmod_unlock(call->held[call->nr_held].lock, call->held[call->nr_held].mode);
}

void call_unlock_all(struct tdxmod_call *call)
{
	if (call->entry)
		sept_unlock_entry(call->mod, call->entry);
	call->entry = 0;
	while (call->nr_held)
		call_unlock(call, call->held[call->nr_held - 1].lock);
}
