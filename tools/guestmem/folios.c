// SPDX-License-Identifier: GPL-2.0
/*
 * The folios behind private memory, as debugfs tells them: for each guest file a line
 *
 *	file INODE STORE SIZE
 *
 * and behind it, in guestmem/maps one for each run of neighbouring folios of the same
 * order, in guestmem/folios one for each folio:
 *
 *	FIRST-PAGE PAGES ORDER
 *	FIRST-PAGE ORDER FRAME NODE
 *
 * Inode numbers are those of the store's own file system.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm.h"

#define GUESTMEM_DEBUGFS	"/sys/kernel/debug/guestmem"

/* A file there, and what a line means for @pages, an array by page of the guest file */
struct source {
	const char *name;
	bool (*take_line)(const struct vm *vm, unsigned char *pages, const char *line);
};

/* Whether @line is the head of the VM's file. */
static bool is_our_file(const struct vm *vm, const char *line)
{
	unsigned long long inode, size;
	char store[32];

	return sscanf(line, "file %llu %31s %llu", &inode, store, &size) == 3 &&
		inode == held_inode(&vm->mem) && size == vm->mem.size &&
		!strcmp(store, vm->opt->store->name);
}

/* False if the file does not have these pages, or @value is none for an array. */
static bool set_pages(const struct vm *vm, unsigned char *array, __u64 first, __u64 pages,
		      __u64 value)
{
	__u64 limit = vm->mem.size / PAGE;

	if (first > limit || pages > limit - first || value >= NO_FOLIO)
		return false;
	memset(array + first, value, pages);
	return true;
}

static bool take_run(const struct vm *vm, unsigned char *orders, const char *line)
{
	unsigned long long first, pages, order;

	return sscanf(line, "%llu %llu %llu", &first, &pages, &order) == 3 &&
		set_pages(vm, orders, first, pages, order);
}

static bool take_folio(const struct vm *vm, unsigned char *nodes, const char *line)
{
	unsigned long long first, order, frame, node;

	return sscanf(line, "%llu %llu %llu %llu", &first, &order, &frame, &node) == 4 &&
		order < 8 * sizeof(order) && set_pages(vm, nodes, first, 1ULL << order, node);
}

static const struct source maps = { "maps", take_run };
static const struct source folios = { "folios", take_folio };

static void read_file(const struct vm *vm, const struct source *source, FILE *file,
		      unsigned char *pages)
{
	bool ours = false, found = false;
	char line[128];

	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, "file ", 5)) {
			ours = is_our_file(vm, line);
			found |= ours;
		} else if (ours && !source->take_line(vm, pages, line)) {
			die(STATUS_FAILED, "debugfs guestmem/%s has a line '%.*s'",
			    source->name, (int)strcspn(line, "\n"), line);
		}
	}
	if (!found)
		die(STATUS_FAILED, "debugfs guestmem/%s does not have the guest file",
		    source->name);
}

/*
 * By page of the file, NO_FOLIO where it holds none.  To be freed.  NULL without
 * debugfs, which only root can read.
 */
static unsigned char *read_source(struct vm *vm, const struct source *source)
{
	unsigned char *pages;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), GUESTMEM_DEBUGFS "/%s", source->name);
	file = fopen(path, "re");
	if (!file && !access(GUESTMEM_DEBUGFS "/stats", R_OK))
		die(STATUS_FAILED, "%s: %s", path, strerror(errno));
	if (!file)
		return NULL;
	pages = malloc(vm->mem.size / PAGE);
	if (!pages)
		die(STATUS_ENVIRONMENT, "no memory for the folios of %llu pages",
		    vm->mem.size / PAGE);
	memset(pages, NO_FOLIO, vm->mem.size / PAGE);
	read_file(vm, source, file, pages);
	fclose(file);
	return pages;
}

unsigned char *folios_orders(struct vm *vm)
{
	return read_source(vm, &maps);
}

unsigned char *folios_nodes(struct vm *vm)
{
	return read_source(vm, &folios);
}
