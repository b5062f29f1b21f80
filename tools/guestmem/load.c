// SPDX-License-Identifier: GPL-2.0
/*
 * What a guest finds in memory when it starts: its own image, and below 1M page
 * tables, a GDT, the boot data and a mailbox per vCPU.
 *
 * All of it is in shared memory.  A software-protected VM has no way to put
 * contents into private memory from outside, and needs none: the guest takes
 * private memory and moves in (guest/head.S).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <linux/elf.h>

#include "vmm.h"

#define DEFAULT_GUEST	"guest.elf"
#define INSTALLED_GUEST	"/usr/share/guestmem/guest.elf"

#define PTE_TABLE	0x3ULL
#define PTE_LARGE	0x83ULL

struct image {
	const char *name;
	char *data;
	size_t size;
};

/* --- page tables and boot data ------------------------------------------ */

static __u64 *boot_page(struct memory *mem, __u64 gpa)
{
	return memory_shared(mem, gpa, PAGE);
}

/* All guest physical memory 1:1, by mappings of 2M. */
static void make_page_tables(struct memory *mem)
{
	__u64 gib, entry, pd;

	boot_page(mem, BOOT_PML4)[0] = BOOT_PDPT | PTE_TABLE;
	for (gib = 0; gib * GIB < memory_end(mem); gib++) {
		pd = BOOT_PD + gib * PAGE;
		boot_page(mem, BOOT_PDPT)[gib] = pd | PTE_TABLE;
		for (entry = 0; entry < 512; entry++)
			boot_page(mem, pd)[entry] = (gib * GIB + entry * 2 * MIB) | PTE_LARGE;
	}
}

static void make_gdt(struct memory *mem)
{
	__u64 *gdt = boot_page(mem, BOOT_GDT);

	gdt[BOOT_CS / 8] = 0x00af9b000000ffffULL;
	gdt[BOOT_DS / 8] = 0x00cf93000000ffffULL;
}

static void make_boot_data(struct memory *mem, const struct options *opt)
{
	struct guest_boot *boot = memory_shared(mem, BOOT_DATA, PAGE);
	unsigned int i;

	for (i = 0; i < GUEST_SLOTS; i++) {
		boot->slot[i].start = mem->slot[i].gpa;
		boot->slot[i].size = mem->slot[i].size;
	}
	boot->mailbox = BOOT_MAILBOX;
	boot->vcpus = opt->vcpus;
	boot->rounds = opt->rounds;
}

/* --- the image ---------------------------------------------------------- */

static int open_default(char *name, size_t size)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int fd = -1;

	if (n > 0) {
		self[n] = 0;
		snprintf(name, size, "%s/%s", dirname(self), DEFAULT_GUEST);
		fd = open(name, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0) {
		snprintf(name, size, "%s", INSTALLED_GUEST);
		fd = open(name, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0)
		die(STATUS_ENVIRONMENT,
		    "no guest program: neither %s beside this program nor %s; name one with --guest",
		    DEFAULT_GUEST, INSTALLED_GUEST);
	return fd;
}

static void read_image(struct image *image, const char *name)
{
	static char path[PATH_MAX + sizeof(DEFAULT_GUEST) + 1];
	struct stat st;
	int fd;

	if (name) {
		image->name = name;
		fd = open(name, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			die(STATUS_ENVIRONMENT, "guest program %s: %s", name, strerror(errno));
	} else {
		fd = open_default(path, sizeof(path));
		image->name = path;
	}
	if (fstat(fd, &st) || st.st_size < (off_t)sizeof(struct elf64_hdr))
		die(STATUS_ENVIRONMENT, "guest program %s is no ELF file", image->name);
	image->size = st.st_size;
	image->data = mmap(NULL, image->size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (image->data == MAP_FAILED)
		die(STATUS_ENVIRONMENT, "guest program %s: %s", image->name, strerror(errno));
	close(fd);
}

static const struct elf64_hdr *check_header(const struct image *image)
{
	const struct elf64_hdr *head = (const void *)image->data;

	if (memcmp(head->e_ident, ELFMAG, SELFMAG) || head->e_ident[EI_CLASS] != ELFCLASS64 ||
	    head->e_machine != EM_X86_64 || head->e_type != ET_EXEC)
		die(STATUS_ENVIRONMENT, "guest program %s is no static x86-64 ELF file",
		    image->name);
	if (head->e_phentsize != sizeof(struct elf64_phdr) || head->e_phoff > image->size ||
	    head->e_phnum * sizeof(struct elf64_phdr) > image->size - head->e_phoff)
		die(STATUS_ENVIRONMENT, "guest program %s is truncated", image->name);
	return head;
}

static void load_segment(struct memory *mem, const struct image *image,
			 const struct elf64_phdr *seg)
{
	char *to;

	if (seg->p_offset > image->size || seg->p_filesz > image->size - seg->p_offset ||
	    seg->p_filesz > seg->p_memsz)
		die(STATUS_ENVIRONMENT, "guest program %s is truncated", image->name);
	to = memory_shared(mem, seg->p_paddr, seg->p_memsz);
	if (!to || seg->p_paddr < GUEST_IMAGE_START)
		die(STATUS_ENVIRONMENT,
		    "guest program %s: segment at %#llx, %llu bytes, is not between %#x and the end of slot 0 at %#llx",
		    image->name, seg->p_paddr, seg->p_memsz, GUEST_IMAGE_START,
		    mem->slot[0].size);
	memcpy(to, image->data + seg->p_offset, seg->p_filesz);
}

/* Returns the entry point. */
static __u64 load_image(struct memory *mem, const struct image *image)
{
	const struct elf64_hdr *head = check_header(image);
	unsigned int i, loaded = 0;

	for (i = 0; i < head->e_phnum; i++) {
		struct elf64_phdr seg;

		memcpy(&seg, image->data + head->e_phoff + i * sizeof(seg), sizeof(seg));
		if (seg.p_type != PT_LOAD || !seg.p_memsz)
			continue;
		load_segment(mem, image, &seg);
		loaded++;
	}
	if (!loaded)
		die(STATUS_ENVIRONMENT, "guest program %s has nothing to load", image->name);
	return head->e_entry;
}

__u64 load_guest(struct memory *mem, const struct options *opt)
{
	struct image image;
	__u64 entry;

	make_page_tables(mem);
	make_gdt(mem);
	make_boot_data(mem, opt);
	read_image(&image, opt->guest);
	entry = load_image(mem, &image);
	munmap(image.data, image.size);
	return entry;
}
