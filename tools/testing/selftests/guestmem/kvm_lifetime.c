// SPDX-License-Identifier: GPL-2.0
/*
 * Descriptor, memslot and VM end in any order (C5): a binding keeps the file
 * and its memory, a descriptor keeps the memory without a VM, and with the last
 * of both it goes.
 */
#include <signal.h>
#include <stdio.h>

#include "guestmem_util.h"
#include "../kselftest_harness.h"

#define NR	64L
#define SIZE	(NR * PAGE)
#define GPA	VM_DATA_GPA
#define SEED	0x11fe0000
#define STATS	"/sys/kernel/debug/guestmem/stats"

static long files(void)
{
	return file_number(STATS, "files");
}

static long folios(void)
{
	return file_number(STATS, "folios");
}

static long bindings(void)
{
	return file_number(STATS, "bindings");
}

FIXTURE(lifetime) {
	struct vm vm;
	int fd;
	void *shared;
	long files, folios, bindings;
};

FIXTURE_SETUP(lifetime)
{
	mount_debugfs();
	self->files = files();
	self->folios = folios();
	self->bindings = bindings();
	ASSERT_LE(0, self->files);
	ASSERT_OK(vm_create(&self->vm, 1));
	self->fd = guest_create(0, SIZE);
	ASSERT_LE(0, self->fd);
	self->shared = shared_alloc(SIZE);
	ASSERT_NE(MAP_FAILED, self->shared);
	ASSERT_OK(vm_bind(&self->vm, 1, GPA, SIZE / 2, self->shared, self->fd, 0));
	ASSERT_OK(vm_bind(&self->vm, 2, GPA + SIZE / 2, SIZE / 2, self->shared, self->fd,
			  SIZE / 2));
	ASSERT_OK(vm_set_private(&self->vm, GPA, SIZE));
	ASSERT_EQ(0, guest_do(&self->vm, 0, GUEST_STAMP, GPA, SIZE, SEED));
	ASSERT_EQ(self->files + 1, files());
	ASSERT_EQ(self->folios + NR, folios());
	ASSERT_EQ(self->bindings + 2, bindings());
}

FIXTURE_TEARDOWN(lifetime)
{
	vm_destroy(&self->vm);
	if (self->fd >= 0)
		close(self->fd);
	EXPECT_EQ(self->files, files());
	EXPECT_EQ(self->folios, folios());
	EXPECT_EQ(self->bindings, bindings());
}

#define GUEST(op, gpa, size, value) guest_do(&self->vm, 0, op, gpa, size, value)

/* C5: closing a bound descriptor loses nothing, further faults work */
TEST_F(lifetime, c5_close_bound)
{
	ASSERT_OK(punch(self->fd, SIZE - PAGE, PAGE));
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(self->files + 1, files());
	EXPECT_EQ(self->folios + NR - 1, folios());
	EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA, SIZE - PAGE, SEED));
	EXPECT_EQ(0, GUEST(GUEST_CHECK, GPA + SIZE - PAGE, PAGE, 0));
	EXPECT_EQ(0, GUEST(GUEST_STAMP, GPA, SIZE, ~SEED));
	EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA, SIZE, ~SEED));
	EXPECT_EQ(self->folios + NR, folios());
}

/* C5: then the last slot takes the memory with it */
TEST_F(lifetime, c5_close_then_delete)
{
	close(self->fd);
	self->fd = -1;
	ASSERT_OK(vm_unbind(&self->vm, 1));
	EXPECT_EQ(self->folios + NR, folios());
	EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA + SIZE / 2, SIZE / 2, SEED));
	ASSERT_OK(vm_unbind(&self->vm, 2));
	EXPECT_EQ(self->files, files());
	EXPECT_EQ(self->folios, folios());
	EXPECT_EQ(self->bindings, bindings());
	EXPECT_EQ(-EFAULT, GUEST(GUEST_VERIFY, GPA, PAGE, SEED));
}

/* C5: the VM takes it with it: no cycle of references */
TEST_F(lifetime, c5_close_then_destroy)
{
	close(self->fd);
	self->fd = -1;
	vm_destroy(&self->vm);
	EXPECT_EQ(self->files, files());
	EXPECT_EQ(self->folios, folios());
	EXPECT_EQ(self->bindings, bindings());
}

/* C5: the file outlives the VM, with its pages, and works as before */
TEST_F(lifetime, c5_destroy_then_use)
{
	vm_destroy(&self->vm);
	EXPECT_EQ(0, guest_bound(self->fd));
	EXPECT_EQ(0, fdinfo_number(self->fd, "guest_bound"));
	EXPECT_EQ(NR, file_pages(self->fd));
	EXPECT_EQ(self->bindings, bindings());
	EXPECT_OK(punch(self->fd, 0, SIZE / 2));
	EXPECT_EQ(NR / 2, file_pages(self->fd));
	EXPECT_OK(populate(self->fd, 0, SIZE));
	EXPECT_EQ(NR, file_pages(self->fd));
}

/* C5: the VM's descriptor goes first; the vCPU's holds the VM. */
TEST_F(lifetime, c5_vm_fd_before_vcpu_fd)
{
	close(self->vm.fd);
	self->vm.fd = -1;
	EXPECT_EQ(2, guest_bound(self->fd));
	EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA, SIZE, SEED));
	vm_destroy(&self->vm);
	EXPECT_EQ(0, guest_bound(self->fd));
}

/* C5: a slot deleted and bound again keeps the data: it is the file's. */
TEST_F(lifetime, c5_rebind_keeps_data)
{
	ASSERT_OK(vm_unbind(&self->vm, 1));
	ASSERT_OK(vm_unbind(&self->vm, 2));
	EXPECT_EQ(NR, file_pages(self->fd));
	ASSERT_OK(vm_bind(&self->vm, 3, GPA, SIZE, self->shared, self->fd, 0));
	EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA, SIZE, SEED));
}

/* C5: two descriptors; the first close is not the last. */
TEST_F(lifetime, c5_dup)
{
	int fd = dup(self->fd);

	ASSERT_LE(0, fd);
	close(self->fd);
	self->fd = fd;
	vm_destroy(&self->vm);
	EXPECT_EQ(NR, file_pages(fd));
	EXPECT_OK(populate(fd, 0, SIZE));
}

/* C5, C16: the owner dies, a child holds the descriptor: the file stays his. */
TEST_F(lifetime, c5_owner_killed)
{
	int fds[2], fd;
	struct vm vm;
	pid_t pid;
	char c;

	ASSERT_OK(pipe(fds));
	pid = fork();
	if (!pid) {
		/* The parent's VM and file are not this process's. */
		vm_destroy(&self->vm);
		close(self->fd);
		fd = guest_create(0, SIZE);
		if (fd < 0 || vm_create(&vm, 1) ||
		    vm_bind(&vm, 1, GPA, SIZE, self->shared, fd, 0) ||
		    vm_set_private(&vm, GPA, SIZE) ||
		    guest_do(&vm, 0, GUEST_STAMP, GPA, SIZE, SEED) ||
		    write(fds[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			guest_do(&vm, 0, GUEST_VERIFY, GPA, SIZE, SEED);
	}
	ASSERT_EQ(1, read(fds[0], &c, 1));
	EXPECT_EQ(self->bindings + 3, bindings());
	kill(pid, SIGKILL);
	EXPECT_EQ(128 + SIGKILL, wait_child(pid));
	EXPECT_EQ(self->files + 1, files());
	EXPECT_EQ(self->bindings + 2, bindings());
	EXPECT_EQ(self->folios + NR, folios());
	EXPECT_EQ(0, GUEST(GUEST_VERIFY, GPA, SIZE, SEED));
	close(fds[0]);
	close(fds[1]);
}

/* C5: a child that has inherited VM and file is the last to hold them. */
TEST_F_TIMEOUT(lifetime, c5_inherited_by_child, SLOW)
{
	pid_t pid = fork();

	if (!pid) {
		/* holds VM and file until the parent has let go */
		usleep(200000);
		_exit(0);
	}
	vm_destroy(&self->vm);
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(self->files, files());
}

TEST_HARNESS_MAIN
