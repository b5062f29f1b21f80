// SPDX-License-Identifier: GPL-2.0
/*
 * A guest file stays with the process that made it (C16): what a forked or
 * executed process, a process that shares the descriptor table, a socket,
 * pidfd_getfd, /proc/PID/fd, seccomp and file handles can do with it.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "guestmem_util.h"
#include "../kselftest_harness.h"

#define NR	4L
#define SIZE	(NR * PAGE)
#define EXEC_FD	"GUESTMEM_TEST_FD"

/* Number of the first rule that does not hold for a foreign process, or 0. */
static int foreign_rule_broken(int fd)
{
	struct guestmem_info info;
	struct stat st;
	char byte;

	if (fstat(fd, &st) || st.st_size != (off_t)SIZE || file_pages(fd) != NR)
		return 1;
	if (ERRNO(fallocate(fd, 0, 0, PAGE)) != EPERM)
		return 2;
	if (ERRNO(populate(fd, 0, PAGE)) != EPERM)
		return 3;
	if (ERRNO(punch(fd, 0, PAGE)) != EPERM)
		return 4;
	if (ERRNO(ftruncate(fd, 2 * SIZE)) != EPERM || ERRNO(ftruncate(fd, 0)) != EPERM)
		return 5;
	if (ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_GUEST)) != EPERM)
		return 6;
	if (ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK)) != EPERM ||
	    ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)) != EPERM)
		return 7;
	if (ERRNO(fcntl(fd, F_GET_SEALS)) != EPERM)
		return 8;
	if (ERRNO(guest_get_info(fd, &info)) != EPERM)
		return 9;
	if (ERRNO(proc_open(fd, O_RDWR)) != EPERM || ERRNO(proc_open(fd, O_RDONLY)) != EPERM)
		return 10;
	if (ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0)) != EPERM)
		return 11;
	if (ERRNO(pread(fd, &byte, 1, 0)) != EPERM || ERRNO(pwrite(fd, "x", 1, 0)) != EPERM)
		return 12;
	if (ERRNO(close(fd)))
		return 13;
	return 0;
}

/* The program that this one executes is itself. */
static __attribute__((constructor)) void after_exec(void)
{
	const char *fd = getenv(EXEC_FD);

	if (fd)
		_exit(foreign_rule_broken(atoi(fd)));
}

FIXTURE(owner) {
	int fd;
};

FIXTURE_SETUP(owner)
{
	self->fd = guest_create(MFD_ALLOW_SEALING, SIZE);
	ASSERT_LE(0, self->fd);
	ASSERT_OK(populate(self->fd, 0, SIZE));
}

/* Whatever others tried, the owner's file is whole and the owner's. */
FIXTURE_TEARDOWN(owner)
{
	struct guestmem_info info;

	EXPECT_OK(guest_get_info(self->fd, &info));
	EXPECT_EQ(NR, info.pages_4k);
	EXPECT_OK(punch(self->fd, 0, PAGE));
	EXPECT_OK(populate(self->fd, 0, PAGE));
	close(self->fd);
}

TEST_F(owner, c16_fork)
{
	pid_t pid = fork();

	if (!pid)
		_exit(foreign_rule_broken(self->fd));
	EXPECT_EQ(0, wait_child(pid));
}

TEST_F(owner, c16_fork_of_fork)
{
	pid_t pid = fork();

	if (!pid) {
		pid = fork();
		if (!pid)
			_exit(foreign_rule_broken(self->fd));
		_exit(wait_child(pid));
	}
	EXPECT_EQ(0, wait_child(pid));
}

TEST_F(owner, c16_exec)
{
	char fd[16];
	pid_t pid;

	snprintf(fd, sizeof(fd), "%d", self->fd);
	pid = fork();
	if (!pid) {
		setenv(EXEC_FD, fd, 1);
		execl("/proc/self/exe", "file_owner", NULL);
		_exit(100);
	}
	EXPECT_EQ(0, wait_child(pid));
}

/* The owner itself executes a program: the mm is another one afterwards. */
TEST_F(owner, c16_exec_by_owner)
{
	char text[16];
	pid_t pid = fork();
	int fd;

	if (!pid) {
		fd = guest_create(0, SIZE);
		if (fd < 0 || populate(fd, 0, SIZE))
			_exit(101);
		snprintf(text, sizeof(text), "%d", fd);
		setenv(EXEC_FD, text, 1);
		execl("/proc/self/exe", "file_owner", NULL);
		_exit(100);
	}
	EXPECT_EQ(0, wait_child(pid));
}

/* Closed in the child only: a descriptor table of its own */
TEST_F(owner, c16_child_close_is_its_own)
{
	pid_t pid = fork();

	if (!pid)
		_exit(close(self->fd) != 0);
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(NR, file_pages(self->fd));
}

/* C16, C19: one descriptor table, another mm */
TEST_F(owner, c16_clone_files)
{
	int fd = dup(self->fd);
	pid_t pid;

	ASSERT_LE(0, fd);
	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (!pid)
		_exit(foreign_rule_broken(fd));
	ASSERT_LT(0, pid);
	EXPECT_EQ(0, wait_child(pid));
	/* and the child has closed it in the table of both */
	EXPECT_ERRNO(EBADF, fcntl(fd, F_GETFD));
}

/* A guest file made by the other one, in the shared table */
TEST_F(owner, c16_clone_files_made_by_child)
{
	int fds[2], done[2], fd = -1;
	pid_t pid;
	char c;

	ASSERT_OK(pipe(fds));
	ASSERT_OK(pipe(done));
	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (!pid) {
		fd = guest_create(0, SIZE);
		if (fd < 0 || populate(fd, 0, SIZE) ||
		    write(fds[1], &fd, sizeof(fd)) != sizeof(fd))
			_exit(1);
		_exit(read(done[0], &c, 1) != 1 || close(fds[0]) || close(fds[1]));
	}
	ASSERT_LT(0, pid);
	ASSERT_EQ((ssize_t)sizeof(fd), read(fds[0], &fd, sizeof(fd)));
	EXPECT_EQ(0, foreign_rule_broken(fd));
	ASSERT_EQ(1, write(done[1], "x", 1));
	EXPECT_EQ(0, wait_child(pid));
	close(done[0]);
	close(done[1]);
}

/* A thread has the same mm: it is the owner. */
static void *owner_thread(void *arg)
{
	struct guestmem_info info;
	int fd = *(int *)arg;
	long broken = 0;

	broken |= punch(fd, 0, SIZE) ? 1 : 0;
	broken |= populate(fd, 0, SIZE) ? 2 : 0;
	broken |= guest_get_info(fd, &info) ? 4 : 0;
	broken |= fcntl(fd, F_GET_SEALS) < 0 ? 8 : 0;
	broken |= ftruncate(fd, SIZE) ? 16 : 0;
	return (void *)broken;
}

TEST_F(owner, c16_thread_is_owner)
{
	pthread_t thread;
	void *broken;

	ASSERT_EQ(0, pthread_create(&thread, NULL, owner_thread, &self->fd));
	pthread_join(thread, &broken);
	EXPECT_EQ(NULL, broken);
}

/* Another process with the same mm, as after vfork */
static int populate_page(void *arg)
{
	return populate(*(int *)arg, 0, PAGE) != 0;
}

TEST_F(owner, c16_clone_vm_is_owner)
{
	char *stack = shared_alloc(16 * PAGE);
	pid_t pid;

	ASSERT_NE(MAP_FAILED, (void *)stack);
	pid = clone(populate_page, stack + 16 * PAGE, CLONE_VM | CLONE_VFORK | SIGCHLD, &self->fd);
	ASSERT_LT(0, pid);
	EXPECT_EQ(0, wait_child(pid));
}

/* dup is the same open file, for the same owner. */
TEST_F(owner, dup_works)
{
	int fd = dup(self->fd);

	ASSERT_LE(0, fd);
	EXPECT_OK(populate(fd, 0, SIZE));
	EXPECT_OK(fcntl(fd, F_GET_SEALS));
	close(fd);
	fd = fcntl(self->fd, F_DUPFD_CLOEXEC, 100);
	EXPECT_LE(100, fd);
	EXPECT_OK(populate(fd, 0, SIZE));
	close(fd);
}

static ssize_t send_fds(int sock, int *fds, int nr)
{
	char control[CMSG_SPACE(4 * sizeof(int))] = "", c = 'c';
	struct iovec iov = { .iov_base = &c, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = CMSG_SPACE(nr * sizeof(int)),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(nr * sizeof(int));
	memcpy(CMSG_DATA(cmsg), fds, nr * sizeof(int));
	return sendmsg(sock, &msg, MSG_DONTWAIT);
}

static void expect_not_sent(struct __test_metadata *_metadata, int type, int fd)
{
	int sv[2], ordinary = open("/dev/null", O_RDWR), mixed[3];
	char c;

	ASSERT_LE(0, ordinary);
	ASSERT_OK(socketpair(AF_UNIX, type, 0, sv));
	EXPECT_ERRNO(EPERM, send_fds(sv[0], &fd, 1));
	mixed[0] = ordinary;
	mixed[1] = fd;
	mixed[2] = ordinary;
	EXPECT_ERRNO(EPERM, send_fds(sv[0], mixed, 3));
	EXPECT_ERRNO(EAGAIN, recv(sv[1], &c, 1, MSG_DONTWAIT));
	EXPECT_EQ(1, send_fds(sv[0], &ordinary, 1));
	close(ordinary);
	close(sv[0]);
	close(sv[1]);
}

TEST_F(owner, c16_scm_rights_stream)
{
	expect_not_sent(_metadata, SOCK_STREAM, self->fd);
}

TEST_F(owner, c16_scm_rights_dgram)
{
	expect_not_sent(_metadata, SOCK_DGRAM, self->fd);
}

TEST_F(owner, c16_scm_rights_seqpacket)
{
	expect_not_sent(_metadata, SOCK_SEQPACKET, self->fd);
}

TEST_F(owner, c16_scm_rights_by_child)
{
	int sv[2];
	pid_t pid;

	ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	pid = fork();
	if (!pid)
		_exit(ERRNO(send_fds(sv[0], &self->fd, 1)));
	EXPECT_EQ(EPERM, wait_child(pid));
	close(sv[0]);
	close(sv[1]);
}

static int getfd(pid_t pid, int fd)
{
	int pidfd = syscall(SYS_pidfd_open, pid, 0), ret, err;

	if (pidfd < 0)
		return -1;
	ret = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	err = errno;
	close(pidfd);
	errno = err;
	return ret;
}

TEST_F(owner, c16_pidfd_getfd)
{
	pid_t pid, parent = getpid();
	int ordinary;

	/* what works for another file */
	ordinary = getfd(parent, 0);
	ASSERT_LE(0, ordinary);
	close(ordinary);
	EXPECT_ERRNO(EPERM, getfd(parent, self->fd));
	pid = fork();
	if (!pid) {
		if (ERRNO(close(getfd(parent, 0))))
			_exit(101);
		_exit(ERRNO(getfd(parent, self->fd)));
	}
	EXPECT_EQ(EPERM, wait_child(pid));
}

TEST_F(owner, c16_proc_pid_fd)
{
	static const int flags[] = { O_RDONLY, O_RDWR, O_WRONLY, O_RDWR | O_TRUNC };
	pid_t pid, parent = getpid();
	char path[64];
	unsigned int i;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", parent, self->fd);
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		EXPECT_ERRNO(EPERM, open(path, flags[i]));
	pid = fork();
	if (!pid) {
		for (i = 0; i < ARRAY_SIZE(flags); i++) {
			if (ERRNO(open(path, flags[i])) != EPERM)
				_exit(1 + i);
		}
		_exit(ERRNO(truncate(path, 2 * SIZE)) == EPERM ? 0 : 100);
	}
	EXPECT_EQ(0, wait_child(pid));
}

/* An O_PATH descriptor refers to the name only, and leads nowhere else. */
TEST_F(owner, c16_o_path)
{
	int fd = proc_open(self->fd, O_PATH);

	if (fd < 0) {
		EXPECT_EQ(EPERM, errno);
		return;
	}
	EXPECT_ERRNO(EBADF, populate(fd, 0, PAGE));
	EXPECT_ERRNO(EBADF, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
	EXPECT_ERRNO(EPERM, proc_open(fd, O_RDWR));
	close(fd);
}

/* The pages go with the last descriptor, though an O_PATH one is left. */
TEST_F(owner, c5_o_path_holds_no_memory)
{
	int fd = guest_create(0, SIZE), path;

	ASSERT_LE(0, fd);
	ASSERT_OK(populate(fd, 0, SIZE));
	path = proc_open(fd, O_PATH);
	ASSERT_LE(0, path);
	close(fd);
	EXPECT_EQ(0, file_pages(path));
	EXPECT_NE(0, ERRNO(proc_open(path, O_RDWR)));
	close(path);
}

/* C16: a handle opens no second file */
TEST_F(owner, c16_open_by_handle)
{
	union {
		struct file_handle handle;
		char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} h = { .handle.handle_bytes = MAX_HANDLE_SZ };
	int mount;

	if (name_to_handle_at(self->fd, "", &h.handle, &mount, AT_EMPTY_PATH)) {
		EXPECT_NE(EFAULT, errno);
		return;
	}
	EXPECT_NE(0, ERRNO(open_by_handle_at(self->fd, &h.handle, O_RDWR)));
	EXPECT_NE(0, ERRNO(open_by_handle_at(self->fd, &h.handle, O_RDONLY)));
}

/*
 * C19: a seccomp supervisor adds a descriptor to the process it supervises. The
 * child installs the filter and waits in getppid() for the answer.
 */
static int install_filter(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = ARRAY_SIZE(code), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		       SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
}

static int add_fd(int listener, __u64 id, int fd, int flags)
{
	struct seccomp_notif_addfd add = { .id = id, .srcfd = fd, .flags = flags };

	if (flags & SECCOMP_ADDFD_FLAG_SETFD)
		add.newfd = 200;
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
}

static void expect_not_added(struct __test_metadata *_metadata, int listener, int fd)
{
	struct seccomp_notif notif = { };
	struct seccomp_notif_resp resp = { };

	ASSERT_OK(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notif));
	EXPECT_OK(add_fd(listener, notif.id, 0, 0));
	EXPECT_ERRNO(EPERM, add_fd(listener, notif.id, fd, 0));
	EXPECT_ERRNO(EPERM, add_fd(listener, notif.id, fd, SECCOMP_ADDFD_FLAG_SETFD));
	EXPECT_ERRNO(EPERM, add_fd(listener, notif.id, fd, SECCOMP_ADDFD_FLAG_SEND));
	resp.id = notif.id;
	EXPECT_OK(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp));
}

TEST_F(owner, c19_seccomp_addfd)
{
	int fds[2], listener;
	pid_t pid;

	ASSERT_OK(pipe(fds));
	pid = fork();
	if (!pid) {
		listener = install_filter();
		if (write(fds[1], &listener, sizeof(listener)) != sizeof(listener))
			_exit(101);
		_exit(listener < 0 ? 102 : syscall(SYS_getppid));
	}
	ASSERT_EQ((ssize_t)sizeof(listener), read(fds[0], &listener, sizeof(listener)));
	ASSERT_LE(0, listener);
	listener = getfd(pid, listener);
	ASSERT_LE(0, listener);
	expect_not_added(_metadata, listener, self->fd);
	EXPECT_EQ(0, wait_child(pid));
	close(listener);
	close(fds[0]);
	close(fds[1]);
}

/* kcmp compares without looking inside; it must not trip over the file. */
TEST_F(owner, kcmp)
{
	int fd = dup(self->fd);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, syscall(SYS_kcmp, getpid(), getpid(), 0, self->fd, fd));
	close(fd);
}

/* The owner is gone, a child still holds the descriptor: nobody owns the file. */
TEST_F(owner, c16_orphan)
{
	int fd, fds[2], broken = -1;
	pid_t pid, maker;

	ASSERT_OK(pipe(fds));
	pid = fork();
	if (!pid) {
		maker = getpid();
		fd = guest_create(0, SIZE);
		if (fd < 0 || populate(fd, 0, SIZE))
			_exit(1);
		if (fork())
			_exit(0);
		while (getppid() == maker)
			usleep(1000);
		broken = foreign_rule_broken(fd);
		_exit(write(fds[1], &broken, sizeof(broken)) != sizeof(broken));
	}
	EXPECT_EQ(0, wait_child(pid));
	ASSERT_EQ((ssize_t)sizeof(broken), read(fds[0], &broken, sizeof(broken)));
	EXPECT_EQ(0, broken);
	close(fds[0]);
	close(fds[1]);
}

TEST_HARNESS_MAIN
