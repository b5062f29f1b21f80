// SPDX-License-Identifier: GPL-2.0
/*
 * The parameter kvm.guest_memfd_store: what KVM_CREATE_GUEST_MEMFD makes, so
 * that a VMM that knows nothing of guest files runs on them, and that native
 * guest_memfd is what it was.
 */
#include <stdio.h>

#include "guestmem_huge.h"
#include "../kselftest_harness.h"

#define NR	16UL
#define SIZE	(NR * PAGE)
#define GPA	VM_DATA_GPA
#define SEED	0x57013000
#define STORE	"/sys/module/kvm/parameters/guest_memfd_store"

FIXTURE(store) {
	char saved[32];
	struct vm vm;
	void *shared;
};

FIXTURE_SETUP(store)
{
	ASSERT_OK(read_file(STORE, self->saved, sizeof(self->saved)));
	ASSERT_OK(vm_create(&self->vm, 1));
	self->shared = shared_alloc(SIZE);
	ASSERT_NE(MAP_FAILED, self->shared);
}

FIXTURE_TEARDOWN(store)
{
	vm_destroy(&self->vm);
	EXPECT_OK(write_file(STORE, self->saved));
}

static int guest_memfd(struct vm *vm, __u64 size, __u64 flags)
{
	struct kvm_create_guest_memfd create = { .size = size, .flags = flags };

	return ioctl(vm->fd, KVM_CREATE_GUEST_MEMFD, &create);
}

static bool store_is(const char *name)
{
	char text[32];

	if (read_file(STORE, text, sizeof(text)))
		return false;
	text[strcspn(text, "\n")] = '\0';
	return !strcmp(text, name);
}

static void expect_a_guest_runs(struct __test_metadata *_metadata, struct vm *vm, int fd,
				void *shared)
{
	ASSERT_OK(vm_bind(vm, 1, GPA, SIZE, shared, fd, 0));
	ASSERT_OK(vm_set_private(vm, GPA, SIZE));
	EXPECT_EQ(0, guest_do(vm, 0, GUEST_STAMP, GPA, SIZE, SEED));
	EXPECT_EQ(0, guest_do(vm, 0, GUEST_VERIFY, GPA, SIZE, SEED));
	EXPECT_OK(punch(fd, PAGE, PAGE));
	EXPECT_EQ(0, guest_do(vm, 0, GUEST_CHECK, GPA + PAGE, PAGE, 0));
	EXPECT_EQ(0, guest_do(vm, 0, GUEST_VERIFY, GPA, PAGE, SEED));
	EXPECT_EQ(0, guest_do(vm, 0, GUEST_VERIFY, GPA + 2 * PAGE, SIZE - 2 * PAGE, SEED));
}

TEST_F(store, shmem)
{
	char store[32] = "";
	int fd;

	ASSERT_OK(write_file(STORE, "shmem"));
	EXPECT_TRUE(store_is("shmem"));
	fd = guest_memfd(&self->vm, SIZE, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, fdinfo_line(fd, "guest_store", store, sizeof(store)));
	EXPECT_STREQ("shmem", store);
	EXPECT_EQ(SIZE, fdinfo_number(fd, "guest_size"));
	expect_a_guest_runs(_metadata, &self->vm, fd, self->shared);
	EXPECT_EQ(NR, fdinfo_number(fd, "guest_4k"));
	EXPECT_EQ(1, fdinfo_number(fd, "guest_bound"));
	close(fd);
}

TEST_F(store, native)
{
	int fd;

	ASSERT_OK(write_file(STORE, "native"));
	EXPECT_TRUE(store_is("native"));
	fd = guest_memfd(&self->vm, SIZE, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, fdinfo_number(fd, "guest_size"));
	expect_a_guest_runs(_metadata, &self->vm, fd, self->shared);
	close(fd);
}

/* A file is what the parameter was when it was made. */
TEST_F(store, changed_at_run_time)
{
	int native, shmem;

	ASSERT_OK(write_file(STORE, "native"));
	native = guest_memfd(&self->vm, SIZE, 0);
	ASSERT_OK(write_file(STORE, "shmem"));
	shmem = guest_memfd(&self->vm, SIZE, 0);
	ASSERT_LE(0, native);
	ASSERT_LE(0, shmem);
	EXPECT_OK(vm_bind(&self->vm, 1, GPA, SIZE, self->shared, native, 0));
	EXPECT_OK(vm_bind(&self->vm, 2, GPA + SIZE, SIZE, self->shared, shmem, 0));
	EXPECT_EQ(-1, fdinfo_number(native, "guest_size"));
	EXPECT_EQ(SIZE, fdinfo_number(shmem, "guest_size"));
	close(native);
	close(shmem);
}

/* Another name is EINVAL, and the parameter stays. */
TEST_F(store, unknown_names)
{
	static const char *const names[] = {
		"bogus", "shm", "shmemx", "hugetlb", "hugetlb-4K", "NATIVE", "1", "native shmem",
	};
	unsigned int i;

	ASSERT_OK(write_file(STORE, "native"));
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		EXPECT_ERRNO(EINVAL, write_file(STORE, names[i]))
			TH_LOG("%s", names[i]);
		EXPECT_TRUE(store_is("native"));
	}
}

/* A size that is no multiple of the granule gets the shmem store. */
static void expect_hugetlb(struct __test_metadata *_metadata, struct vm *vm,
			   const struct store *store)
{
	char name[32] = "";
	int small, fd;

	ASSERT_OK(write_file(STORE, store->name));
	EXPECT_TRUE(store_is(store->name));
	fd = guest_memfd(vm, store->granule, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, fdinfo_line(fd, "guest_store", name, sizeof(name)));
	EXPECT_STREQ(store->name, name);
	small = guest_memfd(vm, store->granule + SIZE, 0);
	ASSERT_LE(0, small);
	EXPECT_EQ(0, fdinfo_line(small, "guest_store", name, sizeof(name)));
	EXPECT_STREQ("shmem", name);
	EXPECT_EQ(store->granule + SIZE, fdinfo_number(small, "guest_size"));
	close(small);
	close(fd);
}

TEST_F(store, hugetlb_2m)
{
	struct pool pool;

	if (pool_grow(&pool, SZ_2M, 1))
		SKIP(return, "the system has no free huge page of 2M");
	expect_hugetlb(_metadata, &self->vm, &hugetlb_2m_store);
	EXPECT_STREQ(pool_is(0, 0, 0, 0), pool_now(&pool));
	pool_restore(&pool);
}

TEST_F(store, hugetlb_1g)
{
	struct pool pool;

	if (pool_grow(&pool, SZ_1G, 1))
		SKIP(return, "the system has no free huge page of 1G");
	expect_hugetlb(_metadata, &self->vm, &hugetlb_1g_store);
	EXPECT_STREQ(pool_is(0, 0, 0, 0), pool_now(&pool));
	pool_restore(&pool);
}

/* A VMM that knows nothing of guest files runs on huge pages. */
TEST_F(store, hugetlb_guest)
{
	void *shared = shared_alloc(SZ_2M);
	struct pool pool;
	int fd;

	ASSERT_NE(MAP_FAILED, shared);
	if (pool_grow(&pool, SZ_2M, 1))
		SKIP(return, "the system has no free huge page of 2M");
	ASSERT_OK(write_file(STORE, "hugetlb-2M"));
	fd = guest_memfd(&self->vm, SZ_2M, 0);
	ASSERT_LE(0, fd);
	expect_a_guest_runs(_metadata, &self->vm, fd, shared);
	EXPECT_STREQ(counts(0, 1, 0), held(fd));
	vm_destroy(&self->vm);
	close(fd);
	EXPECT_STREQ(pool_is(0, 0, 0, 0), pool_now(&pool));
	pool_restore(&pool);
}

/* R10: the pool has no page: ENOMEM at once, and nothing is left. */
TEST_F(store, hugetlb_pool_empty)
{
	struct pool_state now;

	if (pool_read(SZ_2M, &now))
		SKIP(return, "the system has no huge pages of 2M");
	ASSERT_OK(write_file(STORE, "hugetlb-2M"));
	EXPECT_ERRNO(ENOMEM, guest_memfd(&self->vm, (now.free - now.rsvd + 1) * SZ_2M, 0));
}

TEST_F(store, newline)
{
	EXPECT_OK(write_file(STORE, "shmem\n"));
	EXPECT_TRUE(store_is("shmem"));
	EXPECT_OK(write_file(STORE, "native\n"));
	EXPECT_TRUE(store_is("native"));
}

/* KVM_CREATE_GUEST_MEMFD's own errors are the same for all. */
FIXTURE(store_contract) {
	char saved[32];
	struct vm vm;
	void *shared;
};

FIXTURE_VARIANT(store_contract) {
	const char *store;
};

FIXTURE_VARIANT_ADD(store_contract, native) { .store = "native" };
FIXTURE_VARIANT_ADD(store_contract, shmem) { .store = "shmem" };
FIXTURE_VARIANT_ADD(store_contract, hugetlb_2m) { .store = "hugetlb-2M" };
FIXTURE_VARIANT_ADD(store_contract, hugetlb_1g) { .store = "hugetlb-1G" };

FIXTURE_SETUP(store_contract)
{
	ASSERT_OK(read_file(STORE, self->saved, sizeof(self->saved)));
	if (!strcmp(variant->store, "hugetlb-1G") &&
	    access("/sys/kernel/mm/hugepages/hugepages-1048576kB", F_OK))
		SKIP(return, "the system has no huge pages of 1G");
	ASSERT_OK(write_file(STORE, variant->store));
	ASSERT_OK(vm_create(&self->vm, 1));
	self->shared = shared_alloc(SIZE);
	ASSERT_NE(MAP_FAILED, self->shared);
}

FIXTURE_TEARDOWN(store_contract)
{
	vm_destroy(&self->vm);
	EXPECT_OK(write_file(STORE, self->saved));
}

TEST_F(store_contract, create_errors)
{
	EXPECT_ERRNO(EINVAL, guest_memfd(&self->vm, 0, 0));
	EXPECT_ERRNO(EINVAL, guest_memfd(&self->vm, 1, 0));
	EXPECT_ERRNO(EINVAL, guest_memfd(&self->vm, SIZE + 1, 0));
	EXPECT_ERRNO(EINVAL, guest_memfd(&self->vm, 1ULL << 63, 0));
	EXPECT_ERRNO(EINVAL, guest_memfd(&self->vm, -PAGE, 0));
	EXPECT_ERRNO(EINVAL, guest_memfd(&self->vm, SIZE, 1ULL << 40));
	EXPECT_ERRNO(EINVAL, guest_memfd(&self->vm, SIZE, 1ULL << 63));
}

TEST_F(store_contract, size_is_final)
{
	int fd = guest_memfd(&self->vm, SIZE, 0);
	struct stat st;

	ASSERT_LE(0, fd);
	EXPECT_NE(0, ERRNO(ftruncate(fd, 2 * SIZE)));
	EXPECT_NE(0, ERRNO(ftruncate(fd, 0)));
	ASSERT_OK(fstat(fd, &st));
	EXPECT_EQ(SIZE, st.st_size);
	close(fd);
}

/* The file is the VM's that made it, from the start. */
TEST_F(store_contract, r2_other_vm)
{
	int fd = guest_memfd(&self->vm, SIZE, 0);
	struct vm other;

	ASSERT_LE(0, fd);
	ASSERT_OK(vm_create(&other, 1));
	EXPECT_ERRNO(EINVAL, vm_bind(&other, 1, GPA, SIZE, self->shared, fd, 0));
	EXPECT_OK(vm_bind(&self->vm, 1, GPA, SIZE, self->shared, fd, 0));
	vm_destroy(&other);
	close(fd);
}

TEST_F(store_contract, r4_no_host_access)
{
	int fd = guest_memfd(&self->vm, SIZE, 0);
	char byte;

	ASSERT_LE(0, fd);
	EXPECT_NE(0, ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0)));
	EXPECT_NE(0, ERRNO(pread(fd, &byte, 1, 0)));
	EXPECT_NE(0, ERRNO(pwrite(fd, "x", 1, 0)));
	EXPECT_OK(populate(fd, 0, SIZE));
	close(fd);
}

/* Every VM may make such a file; one without private memory cannot bind it. */
TEST_F(store_contract, ordinary_vm)
{
	struct vm plain = { .fd = vm_create_bare(KVM_X86_DEFAULT_VM) };
	int fd;

	ASSERT_LE(0, plain.fd);
	fd = guest_memfd(&plain, SIZE, 0);
	ASSERT_LE(0, fd);
	EXPECT_ERRNO(EINVAL, vm_bind(&plain, 1, GPA, SIZE, self->shared, fd, 0));
	EXPECT_ERRNO(EINVAL, vm_bind(&self->vm, 1, GPA, SIZE, self->shared, fd, 0));
	close(fd);
	close(plain.fd);
}

TEST_HARNESS_MAIN
