/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * ioctls on a guest file, that is a memfd made with MFD_GUEST or sealed with
 * F_SEAL_GUEST.  See Documentation/mm/guestmem.rst.
 *
 * Every argument starts with its own size, as the caller was compiled with it:
 *
 *  - smaller than the first published version: EINVAL
 *  - larger than the kernel knows, and the unknown tail is not zero: E2BIG
 *  - an unknown flag, or padding that is not zero: EINVAL
 *
 * The kernel writes back at most @size bytes, and zeroes what the caller has
 * beyond what the kernel knows.
 */
#ifndef _UAPI_LINUX_GUESTMEM_H
#define _UAPI_LINUX_GUESTMEM_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define GUESTMEM_IOC_MAGIC	0xBB

/* struct guestmem_info.flags; MOVABLE: made so, and the guest that has it can move it */
#define GUESTMEM_INFO_MOVABLE		(1U << 0)
#define GUESTMEM_INFO_NOHUGEPAGE	(1U << 1)
/* this is a struct guestmem_info_nodes */
#define GUESTMEM_INFO_NODES		(1U << 8)

/**
 * struct guestmem_info - what a guest file is and holds (GUESTMEM_GET_INFO)
 * @size: sizeof(struct guestmem_info), set by the caller
 * @flags: GUESTMEM_INFO_* on return; no other bit may be set on entry, where only NODES
 *	   counts
 * @file_size: size of the file in bytes
 * @granule: bytes that the size and the offsets of the file are multiples of
 * @pages_4k: folios of 4K held
 * @pages_2m: folios of 2M held
 * @pages_1g: folios of 1G held
 * @bound: number of bindings (memslots) that refer to the file
 *
 * All fields but @size and @flags are output; their value on input is ignored.
 */
struct guestmem_info {
	__u32 size;
	__u32 flags;
	__u64 file_size;
	__u64 granule;
	__u64 pages_4k;
	__u64 pages_2m;
	__u64 pages_1g;
	__u64 bound;
};

/**
 * struct guestmem_info_nodes - the same, and where it is (GUESTMEM_GET_INFO)
 * @info: with the size of this struct, and GUESTMEM_INFO_NODES
 * @nodes: address of an array of __u64: bytes held on each NUMA node, by number
 * @nr_nodes: entries of the array; on return how many node numbers there are, and
 *	      as many entries are written, if there is room for them
 * @reserved: 0
 */
struct guestmem_info_nodes {
	struct guestmem_info info;
	__u64 nodes;
	__u32 nr_nodes;
	__u32 reserved;
};

/**
 * struct guestmem_migrate - move memory to a NUMA node (GUESTMEM_MIGRATE)
 * @size: sizeof(struct guestmem_migrate), set by the caller
 * @flags: 0
 * @offset: first byte, a multiple of 4K
 * @length: bytes, a multiple of 4K, not 0; the range is inside of the file
 * @node: where to
 * @reserved: 0
 * @moved: on return, bytes of the range that have moved
 * @failed: on return, bytes that are still elsewhere
 *
 * Folios are moved as a whole, also those that reach out of the range, and in the size they
 * have, if there is memory of that size.  What is not there, or is on the node already, counts
 * nowhere.
 */
struct guestmem_migrate {
	__u32 size;
	__u32 flags;
	__u64 offset;
	__u64 length;
	__s32 node;
	__u32 reserved;
	__u64 moved;
	__u64 failed;
};

/* struct guestmem_mempolicy.flags: as MPOL_MF_MOVE of mbind(2), same value */
#define GUESTMEM_MEMPOLICY_MOVE		(1U << 1)

/**
 * struct guestmem_mempolicy - NUMA policy of a range (GUESTMEM_SET_MEMPOLICY)
 * @size: sizeof(struct guestmem_mempolicy), set by the caller
 * @flags: GUESTMEM_MEMPOLICY_MOVE: move what is on other nodes than the policy has
 * @offset: first byte, a multiple of the granule
 * @length: bytes, a multiple of the granule, not 0; the range is inside of the file
 * @mode: MPOL_* with MPOL_F_*, as for set_mempolicy(2); MPOL_DEFAULT takes the policy
 *	  of the task that populates
 * @maxnode: bits at @nodemask, as for set_mempolicy(2)
 * @nodemask: address of the mask
 */
struct guestmem_mempolicy {
	__u32 size;
	__u32 flags;
	__u64 offset;
	__u64 length;
	__u32 mode;
	__u32 maxnode;
	__u64 nodemask;
};

#define GUESTMEM_GET_INFO	_IO(GUESTMEM_IOC_MAGIC, 0x00)
#define GUESTMEM_MIGRATE	_IO(GUESTMEM_IOC_MAGIC, 0x01)
#define GUESTMEM_SET_MEMPOLICY	_IO(GUESTMEM_IOC_MAGIC, 0x02)

/* KVM_CHECK_EXTENSION: stores and features of guestmem, 0 on other kernels */
#define KVM_CAP_GUESTMEM	0x474d

#define KVM_GUESTMEM_STORE_SHMEM	(1U << 0)
#define KVM_GUESTMEM_STORE_HUGETLB_2M	(1U << 1)
#define KVM_GUESTMEM_STORE_HUGETLB_1G	(1U << 2)

#endif /* _UAPI_LINUX_GUESTMEM_H */
