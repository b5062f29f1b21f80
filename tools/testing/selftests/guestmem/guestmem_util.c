// SPDX-License-Identifier: GPL-2.0
/*
 * Helpers of the guestmem selftests, see guestmem_util.h.
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/mount.h>

#include "guestmem_util.h"

/* ---- guest files ---- */

int memfd(unsigned int flags)
{
	return syscall(SYS_memfd_create, "guestmem-test", flags);
}

/* A guest file of that size, or -1. */
int guest_create(unsigned int flags, off_t size)
{
	int fd = memfd(MFD_GUEST | flags);

	if (fd < 0)
		return -1;
	if (size && ftruncate(fd, size)) {
		close(fd);
		return -1;
	}
	return fd;
}

int guest_get_info(int fd, struct guestmem_info *info)
{
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	return ioctl(fd, GUESTMEM_GET_INFO, info);
}

/* Bindings of the file, or -1. */
long guest_bound(int fd)
{
	struct guestmem_info info;

	return guest_get_info(fd, &info) ? -1 : (long)info.bound;
}

/* Pages held, by st_blocks: works in every process and on every file. */
long file_pages(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return -1;
	return st.st_blocks / (long)(PAGE / 512);
}

int populate(int fd, off_t offset, off_t length)
{
	return fallocate(fd, FALLOC_FL_KEEP_SIZE, offset, length);
}

int punch(int fd, off_t offset, off_t length)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
}

/* Another open file on the same inode, if the kernel lets us. */
int proc_open(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags);
}

/* The value of a "key:\tvalue" line of fdinfo; -1 if there is no such line. */
int fdinfo_line(int fd, const char *key, char *value, size_t size)
{
	char path[64], line[256];
	size_t length = strlen(key);
	int ret = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "r");
	if (!f)
		return -1;
	while (ret && fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, length) || line[length] != ':')
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(value, size, "%s", line + length + 1 + strspn(line + length + 1, " \t"));
		ret = 0;
	}
	fclose(f);
	return ret;
}

long long fdinfo_number(int fd, const char *key)
{
	char value[64];

	return fdinfo_line(fd, key, value, sizeof(value)) ? -1 : atoll(value);
}

/* ---- processes, files ---- */

/* Exit status, or 128 + signal. */
int wait_child(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) != pid) {
		if (errno != EINTR)
			return -1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t done;
	int err;

	if (fd < 0)
		return -1;
	done = write(fd, text, strlen(text));
	err = errno;
	close(fd);
	errno = err;
	return done == (ssize_t)strlen(text) ? 0 : -1;
}

int read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t done = 0;

	if (fd < 0)
		return -1;
	while (used < size - 1) {
		done = read(fd, text + used, size - 1 - used);
		if (done <= 0)
			break;
		used += done;
	}
	text[used] = '\0';
	close(fd);
	return done < 0 ? -1 : 0;
}

/* The number after @key at the start of a line, or at the start of the file. */
long long file_number(const char *path, const char *key)
{
	size_t length = key ? strlen(key) : 0;
	long long number = -1;
	char line[256];
	FILE *f = fopen(path, "r");

	if (!f)
		return -1;
	while (number < 0 && fgets(line, sizeof(line), f)) {
		if (length && strncmp(line, key, length))
			continue;
		if (length && !strchr(" :\t", line[length]))
			continue;
		number = atoll(line + length + strspn(line + length, ": \t"));
	}
	fclose(f);
	return number;
}

int mount_debugfs(void)
{
	if (!access("/sys/kernel/debug/sched", F_OK) || !access("/sys/kernel/debug/bdi", F_OK))
		return 0;
	return mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
}

/* ---- races ---- */

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

void race_start(struct race *race, long rounds, int seconds)
{
	race->left = rounds;
	race->end = now() + seconds;
}

bool race_next(struct race *race)
{
	return race->left-- > 0 && now() < race->end;
}

/* ---- memory cgroups ---- */

#define CGROUP_ROOT	"/sys/fs/cgroup"

static int cgroup_mount(void)
{
	if (access(CGROUP_ROOT "/cgroup.controllers", F_OK) &&
	    mount("cgroup2", CGROUP_ROOT, "cgroup2", 0, NULL))
		return -1;
	/* A kernel without this controller has no files of it: the tests look. */
	write_file(CGROUP_ROOT "/cgroup.subtree_control", "+hugetlb");
	return write_file(CGROUP_ROOT "/cgroup.subtree_control", "+memory");
}

int cgroup_create(struct cgroup *cg, const char *name)
{
	cg->path[0] = '\0';
	if (cgroup_mount())
		return -1;
	snprintf(cg->path, sizeof(cg->path), CGROUP_ROOT "/guestmem-%s-%d", name, getpid());
	if (mkdir(cg->path, 0755)) {
		cg->path[0] = '\0';
		return -1;
	}
	return 0;
}

int cgroup_set(struct cgroup *cg, const char *file, const char *text)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/%s", cg->path, file);
	return write_file(path, text);
}

long long cgroup_get(struct cgroup *cg, const char *file, const char *key)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/%s", cg->path, file);
	return file_number(path, key);
}

/* Moves the calling process. */
int cgroup_enter(struct cgroup *cg)
{
	return cgroup_set(cg, "cgroup.procs", "0");
}

/* From inside, too: the process goes back to the root first. */
void cgroup_destroy(struct cgroup *cg)
{
	if (!cg->path[0])
		return;
	write_file(CGROUP_ROOT "/cgroup.procs", "0");
	rmdir(cg->path);
	cg->path[0] = '\0';
}

/* ---- fault injection ---- */

static const char debugfs[] = "/sys/kernel/debug";

static void fail_nth_quiet(void)
{
	DIR *dir = opendir(debugfs);
	struct dirent *entry;
	char path[512];

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, "fail", 4))
			continue;
		/* The kernel log is for splats that are not asked for. */
		snprintf(path, sizeof(path), "%s/%s/verbose", debugfs, entry->d_name);
		write_file(path, "0");
	}
	closedir(dir);
}

/* Let every allocation be one that can fail; -1 if the kernel cannot. */
int fail_nth_setup(void)
{
	mount_debugfs();
	if (access("/proc/self/fail-nth", F_OK) ||
	    write_file("/sys/kernel/debug/failslab/ignore-gfp-wait", "N") ||
	    write_file("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N") ||
	    write_file("/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N") ||
	    write_file("/sys/kernel/debug/fail_page_alloc/min-order", "0"))
		return -1;
	fail_nth_quiet();
	return 0;
}

static int fail_nth_file(int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%ld/fail-nth", syscall(SYS_gettid));
	return open(path, flags);
}

static int fail_nth_fd = -1;

/* The calling thread's nth point of failure from now on fails. */
int fail_nth_arm(unsigned int nth)
{
	char text[16];

	if (fail_nth_fd < 0)
		fail_nth_fd = fail_nth_file(O_RDWR);
	if (fail_nth_fd < 0)
		return -1;
	snprintf(text, sizeof(text), "%u", nth);
	return pwrite(fail_nth_fd, text, strlen(text), 0) < 0 ? -1 : 0;
}

/*
 * Returns true if the failure happened. Reading and writing the file are such
 * points themselves, and say EFAULT if the armed failure hit them: then it had
 * not happened before.
 */
bool fail_nth_disarm(void)
{
	char text[16] = "";
	bool hit;

	hit = pread(fail_nth_fd, text, sizeof(text) - 1, 0) > 0 && text[0] == '0';
	while (pwrite(fail_nth_fd, "0", 1, 0) != 1)
		hit = false;
	return hit;
}

/* ---- a guest ---- */

static const unsigned char *const guest_entry[NR_GUEST_OPS] = {
	[GUEST_FILL] = guest_fill,
	[GUEST_CHECK] = guest_check,
	[GUEST_STAMP] = guest_stamp,
	[GUEST_VERIFY] = guest_verify,
	[GUEST_VERIFY_OR_ZERO] = guest_verify_or_zero,
};

/* Always of 4K pages: huge ones would be counted with those of the guest file. */
void *shared_alloc(size_t size)
{
	void *shared = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (shared != MAP_FAILED)
		madvise(shared, size, MADV_NOHUGEPAGE);
	return shared;
}

int vm_create_bare(unsigned long type)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int fd;

	if (kvm < 0)
		return -1;
	fd = ioctl(kvm, KVM_CREATE_VM, type);
	close(kvm);
	return fd;
}

int vm_set_slot(int vm_fd, struct kvm_userspace_memory_region2 *region)
{
	return ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION2, region);
}

static int vm_map_code(struct vm *vm)
{
	struct kvm_userspace_memory_region2 region = { .memory_size = PAGE };

	vm->code = shared_alloc(PAGE);
	if (vm->code == MAP_FAILED)
		return -1;
	memcpy(vm->code, guest_code, guest_code_end - guest_code);
	region.userspace_addr = (uintptr_t)vm->code;
	return vm_set_slot(vm->fd, &region);
}

static struct kvm_segment flat_segment(int type, int selector)
{
	return (struct kvm_segment) {
		.limit = ~0U, .selector = selector, .type = type,
		.present = 1, .s = 1, .db = 1, .g = 1,
	};
}

static int vcpu_init(struct vm *vm, int cpu)
{
	struct kvm_sregs sregs;

	vm->vcpu[cpu] = ioctl(vm->fd, KVM_CREATE_VCPU, cpu);
	if (vm->vcpu[cpu] < 0)
		return -1;
	vm->run[cpu] = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			    vm->vcpu[cpu], 0);
	if (vm->run[cpu] == MAP_FAILED || ioctl(vm->vcpu[cpu], KVM_GET_SREGS, &sregs))
		return -1;
	sregs.cs = flat_segment(11, 8);
	sregs.ds = flat_segment(3, 16);
	sregs.es = sregs.ds;
	sregs.fs = sregs.ds;
	sregs.gs = sregs.ds;
	sregs.ss = sregs.ds;
	sregs.cr0 |= 1;
	return ioctl(vm->vcpu[cpu], KVM_SET_SREGS, &sregs);
}

int vm_create(struct vm *vm, int nr_vcpus)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int cpu;

	memset(vm, 0, sizeof(*vm));
	vm->fd = -1;
	vm->code = MAP_FAILED;
	if (kvm < 0)
		return -1;
	vm->run_size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	vm->fd = ioctl(kvm, KVM_CREATE_VM, KVM_X86_SW_PROTECTED_VM);
	close(kvm);
	if (vm->fd < 0 || vm_map_code(vm))
		goto fail;
	for (cpu = 0; cpu < nr_vcpus; cpu++) {
		vm->nr_vcpus++;
		vm->vcpu[cpu] = -1;
		vm->run[cpu] = MAP_FAILED;
		if (vcpu_init(vm, cpu))
			goto fail;
	}
	return 0;
fail:
	vm_destroy(vm);
	return -1;
}

/* Also of a VM that was only half created, or is destroyed already. */
void vm_destroy(struct vm *vm)
{
	int cpu;

	for (cpu = 0; cpu < vm->nr_vcpus; cpu++) {
		if (vm->run[cpu] != MAP_FAILED)
			munmap(vm->run[cpu], vm->run_size);
		if (vm->vcpu[cpu] >= 0)
			close(vm->vcpu[cpu]);
	}
	vm->nr_vcpus = 0;
	if (vm->fd >= 0)
		close(vm->fd);
	vm->fd = -1;
	if (vm->code && vm->code != MAP_FAILED)
		munmap(vm->code, PAGE);
	vm->code = MAP_FAILED;
}

int vm_bind(struct vm *vm, int slot, __u64 gpa, __u64 size, void *shared,
	    int fd, __u64 offset)
{
	struct kvm_userspace_memory_region2 region = {
		.slot = slot,
		.flags = KVM_MEM_GUEST_MEMFD,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)shared,
		.guest_memfd = fd,
		.guest_memfd_offset = offset,
	};

	return vm_set_slot(vm->fd, &region);
}

int vm_unbind(struct vm *vm, int slot)
{
	struct kvm_userspace_memory_region2 region = { .slot = slot };

	return vm_set_slot(vm->fd, &region);
}

int vm_set_attributes(struct vm *vm, __u64 gpa, __u64 size, __u64 attributes)
{
	struct kvm_memory_attributes attrs = {
		.address = gpa,
		.size = size,
		.attributes = attributes,
	};

	return ioctl(vm->fd, KVM_SET_MEMORY_ATTRIBUTES, &attrs);
}

int vm_set_private(struct vm *vm, __u64 gpa, __u64 size)
{
	return vm_set_attributes(vm, gpa, size, KVM_MEMORY_ATTRIBUTE_PRIVATE);
}

int vm_set_shared(struct vm *vm, __u64 gpa, __u64 size)
{
	return vm_set_attributes(vm, gpa, size, 0);
}

/* One call; *left is what KVM says remains, as the kernel may stop early. */
int vm_prefault(struct vm *vm, int cpu, __u64 gpa, __u64 size, __u64 *left)
{
	struct kvm_pre_fault_memory range = { .gpa = gpa, .size = size };
	int ret = ioctl(vm->vcpu[cpu], KVM_PRE_FAULT_MEMORY, &range);

	if (left)
		*left = range.size;
	return ret;
}

static long long stat_of(int fd, const char *name)
{
	char buf[sizeof(struct kvm_stats_desc) + 256];
	struct kvm_stats_desc *desc = (void *)buf;
	struct kvm_stats_header header;
	__u64 value;
	size_t size;
	__u32 i;

	if (pread(fd, &header, sizeof(header), 0) != sizeof(header))
		return -1;
	size = sizeof(*desc) + header.name_size;
	for (i = 0; size <= sizeof(buf) && i < header.num_desc; i++) {
		if (pread(fd, buf, size, header.desc_offset + i * size) != (ssize_t)size)
			return -1;
		if (strcmp(desc->name, name))
			continue;
		if (pread(fd, &value, sizeof(value), header.data_offset + desc->offset) !=
		    sizeof(value))
			return -1;
		return value;
	}
	return -1;
}

/* A figure of KVM_GET_STATS_FD of the VM, -1 if there is none of that name. */
long long vm_stat(struct vm *vm, const char *name)
{
	int fd = ioctl(vm->fd, KVM_GET_STATS_FD, NULL);
	long long value;

	if (fd < 0)
		return -1;
	value = stat_of(fd, name);
	close(fd);
	return value;
}

/*
 * Returns 0, GUEST_DIFFERS, -errno of KVM_RUN (@run says more), or -ENXIO for
 * an exit that no command makes.
 */
int guest_do(struct vm *vm, int cpu, enum guest_op op, __u64 gpa, __u64 size,
	     __u32 value)
{
	struct kvm_regs regs = {
		.rip = guest_entry[op] - guest_code,
		.rdi = gpa,
		.rcx = size / 4,
		.rax = value,
		.rbx = value,
		.rflags = 2,
	};

	if (ioctl(vm->vcpu[cpu], KVM_SET_REGS, &regs))
		return -errno;
	if (ioctl(vm->vcpu[cpu], KVM_RUN, 0))
		return -errno;
	if (vm->run[cpu]->exit_reason != KVM_EXIT_HLT)
		return -ENXIO;
	if (ioctl(vm->vcpu[cpu], KVM_GET_REGS, &regs))
		return -errno;
	vm->bad_gpa[cpu] = regs.rdi;
	return regs.rdx ? GUEST_DIFFERS : 0;
}
