// SPDX-License-Identifier: GPL-2.0
/*
 * See guestmem_tdx.h.
 */
#include <dirent.h>
#include <stdio.h>

#include "guestmem_tdx.h"

__u64 tdx_status;

int tdx_cmd(int fd, __u32 id, __u32 flags, __u64 data)
{
	struct kvm_tdx_cmd cmd = { .id = id, .flags = flags, .data = data };
	int ret = ioctl(fd, KVM_MEMORY_ENCRYPT_OP, &cmd);

	tdx_status = cmd.hw_error;
	return ret;
}

int tdx_capabilities(int vm_fd, struct tdx_caps *caps)
{
	memset(caps, 0, sizeof(*caps));
	caps->caps.cpuid.nent = TDX_MAX_CPUID;
	return tdx_cmd(vm_fd, KVM_TDX_CAPABILITIES, 0, (uintptr_t)caps);
}

int tdx_init_vm(int vm_fd)
{
	struct kvm_tdx_init_vm init = { .xfam = TDX_XFAM };

	return tdx_cmd(vm_fd, KVM_TDX_INIT_VM, 0, (uintptr_t)&init);
}

int tdx_init_vcpu(int vcpu_fd)
{
	return tdx_cmd(vcpu_fd, KVM_TDX_INIT_VCPU, 0, 0);
}

int tdx_init_memory(int vcpu_fd, const void *source, __u64 gpa, __u64 nr_pages, __u32 flags)
{
	struct kvm_tdx_init_mem_region region = {
		.source_addr = (uintptr_t)source, .gpa = gpa, .nr_pages = nr_pages,
	};

	return tdx_cmd(vcpu_fd, KVM_TDX_INIT_MEM_REGION, flags, (uintptr_t)&region);
}

int tdx_finalize(int vm_fd)
{
	return tdx_cmd(vm_fd, KVM_TDX_FINALIZE_VM, 0, 0);
}

/* A TD with initialised vCPUs, not finalised. */
int tdx_create(struct vm *vm, int nr_vcpus)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };

	memset(vm, 0, sizeof(*vm));
	vm->fd = vm_create_bare(KVM_X86_TDX_VM);
	if (vm->fd < 0 || ioctl(vm->fd, KVM_ENABLE_CAP, &cap) || tdx_init_vm(vm->fd))
		return -1;
	for (; vm->nr_vcpus < nr_vcpus; vm->nr_vcpus++) {
		int vcpu = ioctl(vm->fd, KVM_CREATE_VCPU, vm->nr_vcpus);

		if (vcpu < 0)
			return -1;
		vm->vcpu[vm->nr_vcpus] = vcpu;
		if (tdx_init_vcpu(vcpu))
			return -1;
	}
	return 0;
}

void tdx_destroy(struct vm *vm)
{
	while (vm->nr_vcpus)
		close(vm->vcpu[--vm->nr_vcpus]);
	close(vm->fd);
	vm->fd = -1;
}

/* A file of the only VM that is a TD. */
static int tdx_debugfs(const char *name, char *text, size_t size)
{
	DIR *dir = opendir("/sys/kernel/debug/kvm");
	struct dirent *entry;
	char path[512];
	int ret = -1;

	while (dir && ret < 0 && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%s/tdx/%s",
			 entry->d_name, name);
		ret = read_file(path, text, size);
	}
	if (dir)
		closedir(dir);
	return ret;
}

/* A number of the only TD, or -1 */
long long tdx_stat(const char *name)
{
	char text[1024], *line, *end;
	size_t len = strlen(name);

	if (mount_debugfs() || tdx_debugfs("stats", text, sizeof(text)) < 0)
		return -1;
	for (line = strtok_r(text, "\n", &end); line; line = strtok_r(NULL, "\n", &end))
		if (!strncmp(line, name, len) && line[len] == ' ')
			return atoll(line + len);
	return -1;
}

static long long mapped_now(void)
{
	return (tdx_stat("pages_4k") + 512 * (tdx_stat("pages_2m") + 512 * tdx_stat("pages_1g"))) *
	       (long long)PAGE;
}

/*
 * Bytes that the only TD has mapped.  The numbers are read one after the other, and pages
 * may be merged in between: not more than once in a while.
 */
long long tdx_mapped(void)
{
	long long before, now = mapped_now();

	do {
		before = now;
		usleep(1000);
		now = mapped_now();
	} while (now != before);
	return now;
}

/* What the only TD has mapped: "GPA SIZE PFN COUNT STATE" */
int tdx_map(char *text, size_t size)
{
	return mount_debugfs() ? -1 : tdx_debugfs("sept", text, size);
}

/* Calls that the module should not have seen, ever; or -1 */
long long tdx_misuse(void)
{
	char text[64];

	if (mount_debugfs() || read_file("/sys/kernel/debug/tdxmod/misuse", text, sizeof(text)) < 0)
		return -1;
	return atoll(text);
}
