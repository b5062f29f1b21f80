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

/* struct guestmem_info.flags */
#define GUESTMEM_INFO_MOVABLE		(1U << 0)
#define GUESTMEM_INFO_NOHUGEPAGE	(1U << 1)

/**
 * struct guestmem_info - what a guest file is and holds (GUESTMEM_GET_INFO)
 * @size: sizeof(struct guestmem_info), set by the caller
 * @flags: GUESTMEM_INFO_* on return; no other bit may be set on entry
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

#define GUESTMEM_GET_INFO	_IO(GUESTMEM_IOC_MAGIC, 0x00)

/* KVM_CHECK_EXTENSION: stores and features of guestmem, 0 on other kernels */
#define KVM_CAP_GUESTMEM	0x474d

#define KVM_GUESTMEM_STORE_SHMEM	(1U << 0)
#define KVM_GUESTMEM_STORE_HUGETLB_2M	(1U << 1)
#define KVM_GUESTMEM_STORE_HUGETLB_1G	(1U << 2)

#endif /* _UAPI_LINUX_GUESTMEM_H */
