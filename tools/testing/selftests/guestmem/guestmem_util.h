/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the guestmem selftests share: making and inspecting guest files, small
 * system call wrappers that Debian 12's C library lacks, a guest of a few
 * instructions on KVM_X86_SW_PROTECTED_VM, memory cgroups and fault injection.
 *
 * R1.. and C1.. in the tests are the requirements and the races of
 * Documentation/mm/guestmem.rst that a test covers.
 *
 * Helpers return what a system call returns (-1 and errno) unless said
 * otherwise. They never print and never end the test: judging is the test's.
 */
#ifndef GUESTMEM_UTIL_H
#define GUESTMEM_UTIL_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/guestmem.h>
#include <linux/kvm.h>
#include <linux/memfd.h>

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC	0x0020
#endif

#define PAGE	4096UL
#define SZ_1M	0x100000UL

/* The errno of a call, 0 if it did not fail. */
#define ERRNO(call) ({ errno = 0; (long)(call) == -1 ? errno : 0; })

#define EXPECT_ERRNO(err, call)	EXPECT_EQ(err, ERRNO(call))
#define ASSERT_ERRNO(err, call)	ASSERT_EQ(err, ERRNO(call))
#define EXPECT_OK(call)		EXPECT_ERRNO(0, call)
#define ASSERT_OK(call)		ASSERT_ERRNO(0, call)

/* Seconds a test may take on the debug kernel under emulation. */
#define SLOW	240

/* ---- guest files ---- */

int memfd(unsigned int flags);
int guest_create(unsigned int flags, off_t size);
int guest_get_info(int fd, struct guestmem_info *info);
long guest_bound(int fd);
long file_pages(int fd);
int populate(int fd, off_t offset, off_t length);
int punch(int fd, off_t offset, off_t length);
int proc_open(int fd, int flags);
int fdinfo_line(int fd, const char *key, char *value, size_t size);
long long fdinfo_number(int fd, const char *key);

/* ---- processes, files ---- */

int wait_child(pid_t pid);
int write_file(const char *path, const char *text);
int read_file(const char *path, char *text, size_t size);
long long file_number(const char *path, const char *key);
int mount_debugfs(void);

/* ---- races ---- */

/**
 * struct race - bounds of a race test
 * @left: rounds left
 * @end: CLOCK_MONOTONIC second at which the test ends
 */
struct race {
	long left;
	time_t end;
};

void race_start(struct race *race, long rounds, int seconds);
bool race_next(struct race *race);

/* ---- memory cgroups ---- */

/**
 * struct cgroup - a memory cgroup below the root
 * @path: its directory, empty if there is none
 */
struct cgroup {
	char path[128];
};

int cgroup_create(struct cgroup *cg, const char *name);
int cgroup_enter(struct cgroup *cg);
int cgroup_set(struct cgroup *cg, const char *file, const char *text);
long long cgroup_get(struct cgroup *cg, const char *file, const char *key);
void cgroup_destroy(struct cgroup *cg);

/* ---- fault injection ---- */

int fail_nth_setup(void);
int fail_nth_arm(unsigned int nth);
bool fail_nth_disarm(void);

/* ---- a guest ---- */

#define VM_MAX_VCPUS	2
/* Slot 0 holds the guest's code; tests use slots from 1 and addresses from here. */
#define VM_DATA_GPA	(16 * SZ_1M)

/**
 * struct vm - a virtual machine whose vCPUs run one command at a time
 * @fd: the VM
 * @vcpu: its vCPUs
 * @run: what they share with the kernel
 * @run_size: bytes mapped at @run
 * @nr_vcpus: how many
 * @code: slot 0
 * @bad_gpa: per vCPU, where the last GUEST_CHECK or GUEST_VERIFY differed
 */
struct vm {
	int fd;
	int vcpu[VM_MAX_VCPUS];
	struct kvm_run *run[VM_MAX_VCPUS];
	size_t run_size;
	int nr_vcpus;
	void *code;
	__u64 bad_gpa[VM_MAX_VCPUS];
};

/**
 * enum guest_op - what a vCPU can be told to do with a range of its memory
 * @GUEST_FILL: set every dword to the value
 * @GUEST_CHECK: every dword is the value
 * @GUEST_STAMP: set every dword to its own address ^ value
 * @GUEST_VERIFY: every dword is its own address ^ value
 * @GUEST_VERIFY_OR_ZERO: the same, or zero
 * @NR_GUEST_OPS: how many there are
 */
enum guest_op {
	GUEST_FILL,
	GUEST_CHECK,
	GUEST_STAMP,
	GUEST_VERIFY,
	GUEST_VERIFY_OR_ZERO,
	NR_GUEST_OPS
};

#define GUEST_DIFFERS	1

/* guestmem_guest.S */
extern const unsigned char guest_code[], guest_code_end[];
extern const unsigned char guest_fill[], guest_check[], guest_stamp[], guest_verify[];
extern const unsigned char guest_verify_or_zero[];

int vm_create(struct vm *vm, int nr_vcpus);
int vm_create_bare(unsigned long type);
void vm_destroy(struct vm *vm);
int vm_set_slot(int vm_fd, struct kvm_userspace_memory_region2 *region);
int vm_bind(struct vm *vm, int slot, __u64 gpa, __u64 size, void *shared,
	    int fd, __u64 offset);
int vm_unbind(struct vm *vm, int slot);
int vm_set_attributes(struct vm *vm, __u64 gpa, __u64 size, __u64 attributes);
int vm_set_private(struct vm *vm, __u64 gpa, __u64 size);
int vm_set_shared(struct vm *vm, __u64 gpa, __u64 size);
int vm_prefault(struct vm *vm, int cpu, __u64 gpa, __u64 size, __u64 *left);
long long vm_stat(struct vm *vm, const char *name);
int guest_do(struct vm *vm, int cpu, enum guest_op op, __u64 gpa, __u64 size,
	     __u32 value);
void *shared_alloc(size_t size);

#endif /* GUESTMEM_UTIL_H */
