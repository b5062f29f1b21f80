/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What guestmem-vmm and a guest program agree on.  Included by both.
 *
 * A guest program is a static x86-64 ELF file.  Its PT_LOAD segments are put at
 * their physical addresses, in shared memory: nobody but the guest can write
 * private memory.  Every vCPU then starts at the entry point
 *
 *	in long mode, ring 0, paging on: guest physical memory from 0 to the end
 *	of the last slot is mapped 1:1, writable and executable
 *	with interrupts off, no IDT and no stack
 *	%rdi = address of struct guest_boot, %rsi = number of the vCPU
 *
 * and asks for memory of its own with KVM_HC_MAP_GPA_RANGE.
 *
 * KVM reads instructions and page tables that it has to interpret through the
 * host's mapping, that is from shared memory.  Where a processor does not
 * report the length of VMCALL or VMMCALL that includes these instructions: a
 * guest program keeps them in a page that it never converts.
 */
#ifndef GUESTMEM_GUEST_ABI_H
#define GUESTMEM_GUEST_ABI_H

#define GUEST_MAX_VCPUS		16
#define GUEST_SLOTS		2

/* Shared memory below this address is the VMM's: boot data, page tables, mailboxes */
#define GUEST_IMAGE_START	0x100000
/* The guest's image and whatever it needs at fixed addresses ends here */
#define GUEST_IMAGE_END		0x400000

/* What the default guest needs of each slot: this, and an area for each vCPU */
#define GUEST_FIXED_SIZE	0xa00000
#define GUEST_AREA_SIZE		0x600000

/* outb: a character for the console.  outl: one of enum guest_call */
#define GUEST_PORT_CONSOLE	0x3f8
#define GUEST_PORT_CALL		0x510

#ifndef __ASSEMBLY__

#include <linux/types.h>

struct guest_slot {
	__u64 start;
	__u64 size;
};

struct guest_boot {
	struct guest_slot slot[GUEST_SLOTS];
	__u64 mailbox;
	__u32 vcpus;
	__u32 rounds;
};

/**
 * enum guest_call - requests to the VMM, with arguments in the mailbox
 * @GUEST_CALL_REPORT: a check of the guest's own: text = its name,
 *	arg = bytes compared, bytes wrong, and of the first wrong word its
 *	address, what it should be and what it is
 * @GUEST_CALL_HOST_WRITE: memory just became shared: arg = gpa, length, pattern
 *	that was there while it was private, pattern to write.  The host must
 *	find nothing of the first and then writes the second.
 * @GUEST_CALL_HOST_READ: arg = gpa, length, pattern: the host must read it
 * @GUEST_CALL_SECRET: private memory holds a secret: arg = gpa, length,
 *	pattern, bytes of private memory that the guest uses.  The host must not
 *	find it by any means; all other vCPUs leave memory alone.
 * @GUEST_CALL_DONE: this vCPU is finished, which HLT would say too: arg =
 *	conversions that it asked for and got, bytes of private memory that all
 *	vCPUs together still use
 * @GUEST_CALL_CLAIM: the guest has written this private memory: arg = gpa,
 *	length.  It uses what it has claimed, while that is private; it writes
 *	all of a piece again that was shared meanwhile.
 */
enum guest_call {
	GUEST_CALL_REPORT	= 1,
	GUEST_CALL_HOST_WRITE	= 2,
	GUEST_CALL_HOST_READ	= 3,
	GUEST_CALL_SECRET	= 4,
	GUEST_CALL_DONE		= 5,
	GUEST_CALL_CLAIM	= 6,
};

#define GUEST_TEXT_SIZE		48
#define GUEST_ARGS		5

/* One page of shared memory per vCPU, the first at guest_boot.mailbox */
struct guest_mailbox {
	__u64 arg[GUEST_ARGS];
	char text[GUEST_TEXT_SIZE];
};

/*
 * The word that belongs at address @gpa in pattern @seed.  Never zero, so that
 * zeroed memory is no pattern; it differs with address and seed.  Cheap, because
 * the default guest does little else than to compare memory with it.
 */
static inline __u64 guest_pattern(__u64 seed, __u64 gpa)
{
	__u64 x = ((gpa >> 3) + seed * 0x9e3779b97f4a7c15ULL) * 0xbf58476d1ce4e5b9ULL;

	return (x ^ (x >> 32)) | 1;
}

#endif /* __ASSEMBLY__ */

#endif /* GUESTMEM_GUEST_ABI_H */
