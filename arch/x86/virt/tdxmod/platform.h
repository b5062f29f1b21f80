/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TDXMOD_PLATFORM_H
#define _TDXMOD_PLATFORM_H

/*
 * All that the software TDX module needs from its surroundings.  No other file
 * includes a header that is not of this directory.
 *
 * There are two sides: the kernel, and a program with simulated memory
 * (tools/testing/guestmem/tdxmod).  Each provides
 *
 *   - the kernel's names for fixed size integers, bit masks, READ_ONCE(),
 *     try_cmpxchg(), atomic64_t, spinlock_t, and the functions of string.h;
 *
 *   - <asm/tdxmod.h>, what the surroundings know of the module;
 *
 *   - tdxmod_map(pa), tdxmod_unmap(va): the 4K page of physical memory that holds
 *     @pa, for a short time and on this CPU; NULL if there is no memory.  What other
 *     CPUs and the page walker of a CPU see of it is coherent;
 *
 *   - tdxmod_map_shared(pa): the same for memory of the host, as an operand, and as the
 *     host sees it: NULL also where it cannot look;
 *
 *   - tdxmod_page_taken(pa, size): private memory of a TD from now on, which the host must
 *     not touch.  May sleep.
 *     tdxmod_page_returned(pa, size): memory that has left a TD, private or other.  The
 *     host can have it, but not its content, which would have been encrypted with the
 *     key of the TD.  May sleep.
 *     Both are called with the metadata of the page locked, so not for a page at a time;
 *
 *   - tdxmod_alloc(size), tdxmod_free(p): zeroed memory for bookkeeping.  May sleep;
 *     called by the leaves that create something, and by no other.
 *     tdxmod_alloc_pamt(size): the same, for metadata: without pointers, and on nobody's
 *     account;
 *
 *   - tdxmod_sha384_new(), _start(), _add(), _end(), _delete(): one digest under way.
 *     Only _new() can fail, and returns NULL;
 *
 *   - tdxmod_interrupt_pending(): is an interrupt waiting that a long operation
 *     must give way to?
 *
 *   - tdxmod_this_lp(), tdxmod_this_package(): where the caller runs.  It must not
 *     move during a call, as it cannot with a real module;
 *
 *   - tdxmod_now(): nanoseconds, monotonic;
 *
 *   - tdxmod_complain(format...): print a line for the developer.
 */
#ifdef __KERNEL__
#include "platform_kernel.h"
#else
#include <platform_user.h>
#endif

#endif /* _TDXMOD_PLATFORM_H */
