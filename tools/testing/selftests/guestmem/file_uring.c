// SPDX-License-Identifier: GPL-2.0
/*
 * io_uring and guest files (C16, C19): a ring reads, writes, splices, fills and
 * resizes nothing, takes a guest file neither as a registered file nor as a
 * message to another ring, and no fixed buffer can be made of one.
 *
 * A ring may be driven by another process than the one that made it, its
 * workers run with the maker's mm: so what only the owner may do is refused to
 * a ring altogether.
 */
#include <linux/io_uring.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "guestmem_util.h"
#include "../kselftest_harness.h"

#define NR	4L
#define SIZE	(NR * PAGE)
#define ENTRIES	8
#define DISABLED	"/proc/sys/kernel/io_uring_disabled"

struct ring {
	int fd;
	unsigned int flags;
	void *map;
	size_t map_size;
	struct io_uring_sqe *sqes;
	unsigned int *sq_tail, *sq_flags, *cq_head, *cq_tail, mask;
	struct io_uring_cqe *cqes;
};

static int ring_map(struct ring *ring, struct io_uring_params *p)
{
	size_t sq = p->sq_off.array + p->sq_entries * sizeof(unsigned int);
	size_t cq = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
	unsigned int *array, i;
	char *map;

	ring->map_size = sq > cq ? sq : cq;
	map = mmap(NULL, ring->map_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		   ring->fd, IORING_OFF_SQ_RING);
	ring->map = map;
	ring->sqes = mmap(NULL, p->sq_entries * sizeof(*ring->sqes), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQES);
	if (ring->map == MAP_FAILED || ring->sqes == MAP_FAILED)
		return -1;
	array = (void *)(map + p->sq_off.array);
	for (i = 0; i < p->sq_entries; i++)
		array[i] = i;
	ring->mask = p->sq_entries - 1;
	ring->sq_tail = (void *)(map + p->sq_off.tail);
	ring->sq_flags = (void *)(map + p->sq_off.flags);
	ring->cq_head = (void *)(map + p->cq_off.head);
	ring->cq_tail = (void *)(map + p->cq_off.tail);
	ring->cqes = (void *)(map + p->cq_off.cqes);
	return 0;
}

static int ring_create(struct ring *ring, unsigned int flags)
{
	struct io_uring_params p = { .flags = flags, .sq_thread_idle = 100 };

	memset(ring, 0, sizeof(*ring));
	ring->flags = flags;
	ring->fd = syscall(SYS_io_uring_setup, ENTRIES, &p);
	return ring->fd < 0 ? -1 : ring_map(ring, &p);
}

static void ring_destroy(struct ring *ring)
{
	munmap(ring->sqes, ENTRIES * sizeof(*ring->sqes));
	munmap(ring->map, ring->map_size);
	close(ring->fd);
}

/* Submit one request and wait: its result, or -1000 if there is none. */
static int ring_do(struct ring *ring, const struct io_uring_sqe *sqe)
{
	unsigned int tail = *ring->sq_tail, head, flags = IORING_ENTER_GETEVENTS;
	int submit = 1, res;

	ring->sqes[tail & ring->mask] = *sqe;
	__atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_SEQ_CST);
	if (ring->flags & IORING_SETUP_SQPOLL) {
		submit = 0;
		if (__atomic_load_n(ring->sq_flags, __ATOMIC_SEQ_CST) & IORING_SQ_NEED_WAKEUP)
			flags |= IORING_ENTER_SQ_WAKEUP;
	}
	if (syscall(SYS_io_uring_enter, ring->fd, submit, 1, flags, NULL, 0) < 0)
		return -1000;
	head = *ring->cq_head;
	if (head == __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE))
		return -1000;
	res = ring->cqes[head & (2 * ring->mask + 1)].res;
	__atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
	return res;
}

static int ring_register(struct ring *ring, unsigned int op, void *arg, unsigned int nr)
{
	return syscall(SYS_io_uring_register, ring->fd, op, arg, nr);
}

FIXTURE(uring) {
	struct ring ring;
	int fd;
	char buf[256];
	struct iovec iov;
	bool none;
};

FIXTURE_VARIANT(uring) {
	unsigned int flags;
	unsigned int sqe_flags;
};

FIXTURE_VARIANT_ADD(uring, plain) { };
FIXTURE_VARIANT_ADD(uring, async) { .sqe_flags = IOSQE_ASYNC };
FIXTURE_VARIANT_ADD(uring, sqpoll) { .flags = IORING_SETUP_SQPOLL };

FIXTURE_SETUP(uring)
{
	self->fd = guest_create(0, SIZE);
	ASSERT_LE(0, self->fd);
	ASSERT_OK(populate(self->fd, 0, SIZE));
	memset(self->buf, 'x', sizeof(self->buf));
	self->iov.iov_base = self->buf;
	self->iov.iov_len = sizeof(self->buf);
	self->none = access(DISABLED, F_OK);
	if (self->none)
		SKIP(return, "no io_uring");
	ASSERT_OK(write_file(DISABLED, "0"));
	ASSERT_OK(ring_create(&self->ring, variant->flags));
}

FIXTURE_TEARDOWN(uring)
{
	EXPECT_EQ(NR, file_pages(self->fd));
	EXPECT_EQ('x', self->buf[0]);
	if (!self->none)
		ring_destroy(&self->ring);
	close(self->fd);
}

#define REQUEST(...) \
	(&(struct io_uring_sqe) { .flags = variant->sqe_flags, __VA_ARGS__ })

/* The rings work: what is refused below is refused for the file's sake. */
TEST_F(uring, works_on_ordinary_memfd)
{
	int fd = memfd(0);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, ring_do(&self->ring, REQUEST(.opcode = IORING_OP_FALLOCATE, .fd = fd,
						  .addr = 2 * PAGE)));
	EXPECT_EQ(256, ring_do(&self->ring, REQUEST(.opcode = IORING_OP_WRITE, .fd = fd,
						    .addr = (uintptr_t)self->buf, .len = 256)));
	EXPECT_EQ(256, ring_do(&self->ring, REQUEST(.opcode = IORING_OP_READ, .fd = fd,
						    .addr = (uintptr_t)self->buf, .len = 256)));
	EXPECT_EQ(0, ring_do(&self->ring, REQUEST(.opcode = IORING_OP_FTRUNCATE, .fd = fd,
						  .off = PAGE)));
	close(fd);
}

TEST_F(uring, read)
{
	EXPECT_EQ(-EPERM, ring_do(&self->ring, REQUEST(.opcode = IORING_OP_READ, .fd = self->fd,
						       .addr = (uintptr_t)self->buf,
						       .len = 256)));
	EXPECT_EQ(-EPERM, ring_do(&self->ring, REQUEST(.opcode = IORING_OP_READV,
						       .fd = self->fd,
						       .addr = (uintptr_t)&self->iov,
						       .len = 1)));
}

TEST_F(uring, write)
{
	EXPECT_EQ(-EPERM, ring_do(&self->ring, REQUEST(.opcode = IORING_OP_WRITE, .fd = self->fd,
						       .addr = (uintptr_t)self->buf,
						       .len = 256)));
	EXPECT_EQ(-EPERM, ring_do(&self->ring, REQUEST(.opcode = IORING_OP_WRITEV,
						       .fd = self->fd,
						       .addr = (uintptr_t)&self->iov,
						       .len = 1)));
}

/* Registered memory as the other side changes nothing. */
TEST_F(uring, read_fixed_write_fixed)
{
	ASSERT_OK(ring_register(&self->ring, IORING_REGISTER_BUFFERS, &self->iov, 1));
	EXPECT_EQ(-EPERM, ring_do(&self->ring, REQUEST(.opcode = IORING_OP_READ_FIXED,
						       .fd = self->fd,
						       .addr = (uintptr_t)self->buf,
						       .len = 256)));
	EXPECT_EQ(-EPERM, ring_do(&self->ring, REQUEST(.opcode = IORING_OP_WRITE_FIXED,
						       .fd = self->fd,
						       .addr = (uintptr_t)self->buf,
						       .len = 256)));
}

TEST_F(uring, splice)
{
	int fds[2];

	ASSERT_OK(pipe(fds));
	ASSERT_EQ(16, write(fds[1], self->buf, 16));
	EXPECT_EQ(-EPERM, ring_do(&self->ring, REQUEST(.opcode = IORING_OP_SPLICE,
						       .splice_fd_in = self->fd,
						       .splice_off_in = 0,
						       .fd = fds[1], .off = -1, .len = PAGE)));
	EXPECT_EQ(-EPERM, ring_do(&self->ring, REQUEST(.opcode = IORING_OP_SPLICE,
						       .splice_fd_in = fds[0],
						       .splice_off_in = -1,
						       .fd = self->fd, .off = 0, .len = 16)));
	close(fds[0]);
	close(fds[1]);
}

/* C16: not even for the owner's own ring */
TEST_F(uring, c16_fallocate)
{
	EXPECT_EQ(-EPERM, ring_do(&self->ring, REQUEST(.opcode = IORING_OP_FALLOCATE,
						       .fd = self->fd, .addr = PAGE)));
	EXPECT_EQ(-EPERM, ring_do(&self->ring,
				  REQUEST(.opcode = IORING_OP_FALLOCATE, .fd = self->fd,
					  .addr = SIZE,
					  .len = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)));
}

TEST_F(uring, c16_ftruncate)
{
	int fd = memfd(MFD_GUEST);
	struct stat st;

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EPERM, ring_do(&self->ring, REQUEST(.opcode = IORING_OP_FTRUNCATE,
						       .fd = fd, .off = SIZE)));
	ASSERT_OK(fstat(fd, &st));
	EXPECT_EQ(0, st.st_size);
	EXPECT_EQ(-EPERM, ring_do(&self->ring, REQUEST(.opcode = IORING_OP_FTRUNCATE,
						       .fd = self->fd, .off = 2 * SIZE)));
	close(fd);
}

/* C16: opened again by a ring, as a descriptor or into a slot of the ring */
TEST_F(uring, c16_openat)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->fd);
	EXPECT_EQ(-EPERM, ring_do(&self->ring, REQUEST(.opcode = IORING_OP_OPENAT,
						       .fd = AT_FDCWD, .open_flags = O_RDWR,
						       .addr = (uintptr_t)path)));
	ASSERT_OK(ring_register(&self->ring, IORING_REGISTER_FILES, (int []) { -1 }, 1));
	EXPECT_EQ(-EPERM, ring_do(&self->ring, REQUEST(.opcode = IORING_OP_OPENAT,
						       .fd = AT_FDCWD, .open_flags = O_RDWR,
						       .addr = (uintptr_t)path,
						       .file_index = 1)));
}

/* C16: registered files, in all four ways */
TEST_F(uring, c16_register_files)
{
	int mixed[2] = { 0, self->fd };

	EXPECT_ERRNO(EPERM, ring_register(&self->ring, IORING_REGISTER_FILES, &self->fd, 1));
	EXPECT_ERRNO(EPERM, ring_register(&self->ring, IORING_REGISTER_FILES, mixed, 2));
	/* Nothing was registered: what is not there cannot be taken back. */
	EXPECT_ERRNO(ENXIO, ring_register(&self->ring, IORING_UNREGISTER_FILES, NULL, 0));
}

TEST_F(uring, c16_register_files2)
{
	struct io_uring_rsrc_register reg = { .nr = 1, .data = (uintptr_t)&self->fd };

	EXPECT_ERRNO(EPERM, ring_register(&self->ring, IORING_REGISTER_FILES2, &reg, sizeof(reg)));
}

TEST_F(uring, c16_files_update)
{
	struct io_uring_files_update update = { .fds = (uintptr_t)&self->fd };
	struct io_uring_rsrc_update2 update2 = { .data = (uintptr_t)&self->fd, .nr = 1 };

	ASSERT_OK(ring_register(&self->ring, IORING_REGISTER_FILES, (int []) { -1, -1 }, 2));
	EXPECT_ERRNO(EPERM, ring_register(&self->ring, IORING_REGISTER_FILES_UPDATE, &update, 1));
	EXPECT_ERRNO(EPERM, ring_register(&self->ring, IORING_REGISTER_FILES_UPDATE2, &update2,
					  sizeof(update2)));
	EXPECT_EQ(-EPERM, ring_do(&self->ring, REQUEST(.opcode = IORING_OP_FILES_UPDATE,
						       .fd = -1, .len = 1,
						       .addr = (uintptr_t)&self->fd)));
	EXPECT_EQ(-EPERM, ring_do(&self->ring, REQUEST(.opcode = IORING_OP_FILES_UPDATE,
						       .fd = -1, .len = 1,
						       .off = IORING_FILE_INDEX_ALLOC,
						       .addr = (uintptr_t)&self->fd)));
	/* The slots are as empty as they were. */
	EXPECT_EQ(-EBADF, ring_do(&self->ring, &(struct io_uring_sqe) {
					.opcode = IORING_OP_READ, .fd = 0,
					.flags = IOSQE_FIXED_FILE | variant->sqe_flags,
					.addr = (uintptr_t)self->buf, .len = 1 }));
}

/* C1: a registered file is a reference: it cannot be sealed behind the ring. */
TEST_F(uring, c1_seal_registered_file)
{
	int fd = memfd(MFD_ALLOW_SEALING);

	ASSERT_LE(0, fd);
	ASSERT_OK(ring_register(&self->ring, IORING_REGISTER_FILES, &fd, 1));
	EXPECT_ERRNO(EBUSY, fcntl(fd, F_ADD_SEALS, F_SEAL_GUEST));
	EXPECT_EQ(1, ring_do(&self->ring, &(struct io_uring_sqe) {
				.opcode = IORING_OP_WRITE, .fd = 0,
				.flags = IOSQE_FIXED_FILE | variant->sqe_flags,
				.addr = (uintptr_t)self->buf, .len = 1 }));
	close(fd);
}

/* C16: a socket is no way out either when a ring does the sending. */
TEST_F(uring, c16_sendmsg)
{
	char control[CMSG_SPACE(sizeof(int))] = "";
	struct msghdr msg = {
		.msg_iov = &self->iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int sv[2];

	ASSERT_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv));
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &self->fd, sizeof(int));
	EXPECT_EQ(-EPERM, ring_do(&self->ring, REQUEST(.opcode = IORING_OP_SENDMSG,
						       .fd = sv[0], .len = 1,
						       .addr = (uintptr_t)&msg)));
	EXPECT_ERRNO(EAGAIN, recv(sv[1], control, 1, MSG_DONTWAIT));
	close(sv[0]);
	close(sv[1]);
}

/* C19: a fixed buffer is made of mapped memory, and nothing maps the file. */
TEST_F(uring, c19_register_buffers)
{
	char *hole = shared_alloc(PAGE);
	struct iovec iov = { .iov_base = hole, .iov_len = PAGE };

	ASSERT_NE(MAP_FAILED, (void *)hole);
	ASSERT_OK(munmap(hole, PAGE));
	EXPECT_ERRNO(EPERM, mmap(hole, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
				 self->fd, 0));
	EXPECT_ERRNO(EFAULT, ring_register(&self->ring, IORING_REGISTER_BUFFERS, &iov, 1));
}

/* C16: a ring that a child inherits works with the maker's workers. */
static int broken_by_child(struct ring *ring, const struct io_uring_sqe *fill,
			   const struct io_uring_sqe *resize)
{
	if (ring_do(ring, fill) != -EPERM)
		return 1;
	return ring_do(ring, resize) != -EPERM ? 2 : 0;
}

TEST_F(uring, c16_ring_driven_by_child)
{
	pid_t pid = fork();

	if (!pid)
		_exit(broken_by_child(&self->ring,
				      REQUEST(.opcode = IORING_OP_FALLOCATE, .fd = self->fd,
					      .addr = PAGE),
				      REQUEST(.opcode = IORING_OP_FTRUNCATE, .fd = self->fd)));
	EXPECT_EQ(0, wait_child(pid));
}

TEST_HARNESS_MAIN
