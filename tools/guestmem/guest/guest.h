/* SPDX-License-Identifier: GPL-2.0 */
/* What the C and the assembly of the default guest know of each other. */
#ifndef GUESTMEM_GUEST_GUEST_H
#define GUESTMEM_GUEST_GUEST_H

#include "abi.h"

/* guest/guest.ld: their values are their addresses */
extern char home_start[];
extern char home_size[];

/* guest/head.S */
long map_gpa_range(__u64 gpa, __u64 pages, __u64 attributes);
void vmm_call(int call);
void vmm_putc(int c);

/* guest/main.c */
void guest_main(const struct guest_boot *data, __u64 cpu);
void *memset(void *to, int c, unsigned long n);

#endif /* GUESTMEM_GUEST_GUEST_H */
