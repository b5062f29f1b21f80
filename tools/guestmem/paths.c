// SPDX-License-Identifier: GPL-2.0
/*
 * What a host can try to get at private memory, or at the file that holds it.
 *
 * There are two kinds.  Paths through the guest file must be refused, each with
 * its error number.  Paths through the memory that KVM was given as this
 * slot's host address must work, and find none of the secret: they lead to the
 * shared half.  The last of them writes there; whether that reached private
 * memory is for the guest to say, and it compares its secret afterwards.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <linux/mempolicy.h>

#include "vmm.h"

/**
 * struct attempt - what is attacked, and with what
 * @vm: the VM whose memory it is
 * @fd: the guest file
 * @offset: of the secret in the file
 * @gpa: of the secret
 * @size: of the secret
 * @hva: of the secret's shared half
 * @buffer: @size bytes, for what is found and for what is to be written
 * @memfd: an ordinary file, @size bytes; in the same file system if the store is
 *	shmem
 */
struct attempt {
	struct vm *vm;
	int fd;
	off_t offset;
	__u64 gpa;
	__u64 size;
	char *hva;
	char *buffer;
	int memfd;
};

/* A system call's result as an error number, 0 for success. */
static int error_of(long result)
{
	return result < 0 ? errno : 0;
}

static void close_both(const int *fd)
{
	close(fd[0]);
	close(fd[1]);
}

/* --- through the guest file --------------------------------------------- */

static int map_file(struct attempt *a, int protection, int flags)
{
	void *at = mmap(NULL, a->size, protection, flags, a->fd, a->offset);

	if (at == MAP_FAILED)
		return errno;
	munmap(at, a->size);
	return 0;
}

static int try_mmap_shared(struct attempt *a)
{
	return map_file(a, PROT_READ | PROT_WRITE, MAP_SHARED);
}

static int try_mmap_private(struct attempt *a)
{
	return map_file(a, PROT_READ, MAP_PRIVATE);
}

static int try_read(struct attempt *a)
{
	return error_of(read(a->fd, a->buffer, a->size));
}

static int try_pread(struct attempt *a)
{
	return error_of(pread(a->fd, a->buffer, a->size, a->offset));
}

static int try_write(struct attempt *a)
{
	return error_of(write(a->fd, a->buffer, a->size));
}

static int try_pwrite(struct attempt *a)
{
	return error_of(pwrite(a->fd, a->buffer, a->size, a->offset));
}

static int try_splice_from(struct attempt *a)
{
	off_t offset = a->offset;
	int ends[2], err;

	if (pipe(ends))
		return errno;
	err = error_of(splice(a->fd, &offset, ends[1], NULL, PAGE, SPLICE_F_NONBLOCK));
	close_both(ends);
	return err;
}

static int try_splice_to(struct attempt *a)
{
	off_t offset = a->offset;
	char byte = 0;
	int ends[2], err;

	if (pipe(ends))
		return errno;
	err = error_of(write(ends[1], &byte, 1));
	if (!err)
		err = error_of(splice(ends[0], NULL, a->fd, &offset, 1, SPLICE_F_NONBLOCK));
	close_both(ends);
	return err;
}

static int try_sendfile(struct attempt *a)
{
	off_t offset = a->offset;

	return error_of(sendfile(a->memfd, a->fd, &offset, a->size));
}

static int try_copy_from(struct attempt *a)
{
	off_t from = a->offset, to = 0;

	return error_of(copy_file_range(a->fd, &from, a->memfd, &to, a->size, 0));
}

static int try_copy_to(struct attempt *a)
{
	off_t from = 0, to = a->offset;

	return error_of(copy_file_range(a->memfd, &from, a->fd, &to, a->size, 0));
}

static int try_resize(struct attempt *a)
{
	return error_of(ftruncate(a->fd, a->vm->mem.size - a->vm->opt->store->granule));
}

/* The VFS does not even ask to copy between file systems. */
static int copy_refusal(const struct attempt *a)
{
	return a->vm->opt->store->granule == PAGE ? EPERM : EXDEV;
}

static void try_copies(struct attempt *a)
{
	int want = copy_refusal(a);

	check_errno(SECTION_SECRET, "copy_file_range to another file", want, try_copy_from(a));
	check_errno(SECTION_SECRET, "copy_file_range from another file", want, try_copy_to(a));
}

/* --- to another file descriptor, process or VM -------------------------- */

static int try_reopen(struct attempt *a)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", a->fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int try_send(struct attempt *a)
{
	char control[CMSG_SPACE(sizeof(int))] = {}, byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
	int pair[2], err;

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &a->fd, sizeof(int));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return errno;
	err = error_of(sendmsg(pair[0], &msg, 0));
	close_both(pair);
	return err;
}

static int try_pidfd_getfd(struct attempt *a)
{
	int pidfd = syscall(SYS_pidfd_open, getpid(), 0), err;
	long fd;

	if (pidfd < 0)
		return errno;
	fd = syscall(SYS_pidfd_getfd, pidfd, a->fd, 0);
	err = error_of(fd);
	if (fd >= 0)
		close(fd);
	close(pidfd);
	return err;
}

static int bind_elsewhere(struct attempt *a, int vm_fd)
{
	struct slot slot = a->vm->mem.slot[0];

	slot.gpa = memory_end(&a->vm->mem);
	return vm_bind(vm_fd, GUEST_SLOTS, &slot, a->fd);
}

static int try_second_slot(struct attempt *a)
{
	return bind_elsewhere(a, a->vm->fd);
}

static int try_second_vm(struct attempt *a)
{
	int vm_fd = ioctl(a->vm->kvm_fd, KVM_CREATE_VM, KVM_X86_SW_PROTECTED_VM), err;

	if (vm_fd < 0)
		return errno;
	err = bind_elsewhere(a, vm_fd);
	close(vm_fd);
	return err;
}

/* What a forked child gets as its exit status when it tries @child. */
static int in_child(struct attempt *a, int (*child)(struct attempt *a))
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(child(a));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
}

static int child_info(struct attempt *a)
{
	struct guestmem_info info = { .size = sizeof(info) };

	return error_of(ioctl(a->fd, GUESTMEM_GET_INFO, &info));
}

static int child_punch(struct attempt *a)
{
	return error_of(fallocate(a->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				  a->offset, a->size));
}

static int child_migrate(struct attempt *a)
{
	struct guestmem_migrate range = { .size = sizeof(range), .length = PAGE };

	return error_of(ioctl(a->fd, GUESTMEM_MIGRATE, &range));
}

static int child_policy(struct attempt *a)
{
	struct guestmem_mempolicy policy = {
		.size = sizeof(policy),
		.length = a->vm->opt->store->granule,
		.mode = MPOL_DEFAULT,
	};

	return error_of(ioctl(a->fd, GUESTMEM_SET_MEMPOLICY, &policy));
}

static int child_stat(struct attempt *a)
{
	struct stat st;

	return error_of(fstat(a->fd, &st));
}

static int try_child_info(struct attempt *a)
{
	return in_child(a, child_info);
}

static int try_child_mmap(struct attempt *a)
{
	return in_child(a, try_mmap_shared);
}

static int try_child_punch(struct attempt *a)
{
	return in_child(a, child_punch);
}

static int try_child_migrate(struct attempt *a)
{
	return in_child(a, child_migrate);
}

static int try_child_policy(struct attempt *a)
{
	return in_child(a, child_policy);
}

static int try_child_stat(struct attempt *a)
{
	return in_child(a, child_stat);
}

static const struct {
	const char *name;
	int (*try)(struct attempt *a);
	int want;
} refusals[] = {
	{ "mmap, shared", try_mmap_shared, EPERM },
	{ "mmap, private", try_mmap_private, EPERM },
	{ "read", try_read, EPERM },
	{ "pread", try_pread, EPERM },
	{ "write", try_write, EPERM },
	{ "pwrite", try_pwrite, EPERM },
	{ "splice to a pipe", try_splice_from, EPERM },
	{ "splice from a pipe", try_splice_to, EPERM },
	{ "sendfile to another file", try_sendfile, EPERM },
	{ "ftruncate to another size", try_resize, EPERM },
	{ "open of /proc/self/fd/N", try_reopen, EPERM },
	{ "sending the file (SCM_RIGHTS)", try_send, EPERM },
	{ "pidfd_getfd", try_pidfd_getfd, EPERM },
	{ "forked child: GUESTMEM_GET_INFO", try_child_info, EPERM },
	{ "forked child: mmap", try_child_mmap, EPERM },
	{ "forked child: punching a hole", try_child_punch, EPERM },
	{ "forked child: GUESTMEM_MIGRATE", try_child_migrate, EPERM },
	{ "forked child: GUESTMEM_SET_MEMPOLICY", try_child_policy, EPERM },
	{ "forked child: fstat", try_child_stat, 0 },
	{ "binding the same pages a second time", try_second_slot, EEXIST },
	{ "binding the file to another VM", try_second_vm, EBUSY },
};

/* --- through the slot's host address ------------------------------------ */

static int read_by_load(struct attempt *a)
{
	memcpy(a->buffer, a->hva, a->size);
	return 0;
}

static int read_by_process_vm(struct attempt *a)
{
	struct iovec to = { .iov_base = a->buffer, .iov_len = a->size };
	struct iovec from = { .iov_base = a->hva, .iov_len = a->size };
	ssize_t n = process_vm_readv(getpid(), &to, 1, &from, 1, 0);

	return n == (ssize_t)a->size ? 0 : n < 0 ? errno : EIO;
}

static int read_by_proc_mem(struct attempt *a)
{
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC), err;
	ssize_t n;

	if (fd < 0)
		return errno;
	n = pread(fd, a->buffer, a->size, (off_t)a->hva);
	err = n == (ssize_t)a->size ? 0 : n < 0 ? errno : EIO;
	close(fd);
	return err;
}

static int pass_page(const int *ends, void *from, void *to)
{
	struct iovec iov = { .iov_base = from, .iov_len = PAGE };

	if (vmsplice(ends[1], &iov, 1, 0) < 0)
		return errno;
	return error_of(read(ends[0], to, PAGE));
}

static int read_by_vmsplice(struct attempt *a)
{
	int ends[2], err = 0;
	__u64 at;

	if (pipe(ends))
		return errno;
	for (at = 0; !err && at < a->size; at += PAGE)
		err = pass_page(ends, a->hva + at, a->buffer + at);
	close_both(ends);
	return err;
}

static const struct {
	const char *name;
	int (*read)(struct attempt *a);
} reads[] = {
	{ "slot's host address: load", read_by_load },
	{ "slot's host address: process_vm_readv", read_by_process_vm },
	{ "slot's host address: /proc/self/mem", read_by_proc_mem },
	{ "slot's host address: vmsplice", read_by_vmsplice },
};

/* --- all of them -------------------------------------------------------- */

static void prepare(struct attempt *a)
{
	a->buffer = malloc(a->size);
	a->memfd = memfd_create("another", MFD_CLOEXEC);
	if (!a->buffer || a->memfd < 0 || ftruncate(a->memfd, a->size))
		die(STATUS_ENVIRONMENT, "preparing the host's attempts: %s", strerror(errno));
	shared_populate(a->hva, a->size);
}

static void release(struct attempt *a)
{
	close(a->memfd);
	free(a->buffer);
}

/* Bytes of the secret in the buffer. */
static __u64 secret_bytes(const struct attempt *a, __u64 seed)
{
	const __u64 *word = (const __u64 *)a->buffer;
	__u64 i, found = 0;

	for (i = 0; i < a->size / sizeof(*word); i++)
		if (word[i] == guest_pattern(seed, a->gpa + i * sizeof(*word)))
			found += sizeof(*word);
	return found;
}

static void try_reads(struct attempt *a, __u64 seed)
{
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(reads); i++) {
		memset(a->buffer, 0, a->size);
		err = reads[i].read(a);
		if (err)
			check_errno(SECTION_SECRET, reads[i].name, 0, err);
		else
			check_count(SECTION_SECRET, reads[i].name, "secret", a->size,
				    secret_bytes(a, seed));
	}
}

/* Write to the shared half, and leave it as empty as it was. */
static void scribble(struct attempt *a)
{
	memset(a->hva, 0x5a, a->size);
	if (madvise(a->hva, a->size, MADV_DONTNEED))
		die(STATUS_ENVIRONMENT, "madvise(MADV_DONTNEED): %s", strerror(errno));
}

void try_paths(struct vm *vm, __u64 gpa, __u64 size, __u64 seed)
{
	struct attempt a = { .vm = vm, .fd = vm->mem.fd, .gpa = gpa, .size = size };
	struct piece piece;
	unsigned int i;

	memory_next(&vm->mem, &gpa, gpa + size, &piece);
	a.offset = piece.offset;
	a.hva = piece.hva;
	prepare(&a);
	for (i = 0; i < ARRAY_SIZE(refusals); i++)
		check_errno(SECTION_SECRET, refusals[i].name, refusals[i].want,
			    refusals[i].try(&a));
	try_copies(&a);
	try_reads(&a, seed);
	scribble(&a);
	release(&a);
}
