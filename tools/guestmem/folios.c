// SPDX-License-Identifier: GPL-2.0
/*
 * The sizes of the folios behind private memory, as debugfs tells them in
 * guestmem/maps: for each guest file a line
 *
 *	file INODE STORE SIZE
 *
 * and behind it one for each run of neighbouring folios of the same order
 *
 *	FIRST-PAGE PAGES ORDER
 *
 * Inode numbers are those of the store's own file system.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm.h"

#define GUESTMEM_DEBUGFS	"/sys/kernel/debug/guestmem"

/* Whether @line is the head of the VM's file. */
static bool is_our_file(const struct vm *vm, const char *line)
{
	unsigned long long inode, size;
	char store[32];

	return sscanf(line, "file %llu %31s %llu", &inode, store, &size) == 3 &&
		inode == held_inode(&vm->mem) && size == vm->mem.size &&
		!strcmp(store, vm->opt->store->name);
}

static void take_run(const struct vm *vm, unsigned char *order, const char *line)
{
	unsigned long long first, pages, pages_order, limit = vm->mem.size / PAGE;

	if (sscanf(line, "%llu %llu %llu", &first, &pages, &pages_order) != 3 ||
	    first > limit || pages > limit - first || pages_order >= NO_FOLIO)
		die(STATUS_FAILED, "debugfs guestmem/maps has a line '%.*s'",
		    (int)strcspn(line, "\n"), line);
	memset(order + first, pages_order, pages);
}

static void read_file(const struct vm *vm, FILE *file, unsigned char *order)
{
	bool ours = false, found = false;
	char line[128];

	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, "file ", 5)) {
			ours = is_our_file(vm, line);
			found |= ours;
		} else if (ours) {
			take_run(vm, order, line);
		}
	}
	if (!found)
		die(STATUS_FAILED, "debugfs guestmem/maps does not have the guest file");
}

/*
 * By page of the file: the order of its folio, or NO_FOLIO.  To be freed.  NULL
 * without debugfs, which only root can read.
 */
unsigned char *folios_read(struct vm *vm)
{
	FILE *file = fopen(GUESTMEM_DEBUGFS "/maps", "re");
	unsigned char *order;

	if (!file && !access(GUESTMEM_DEBUGFS "/stats", R_OK))
		die(STATUS_FAILED, "debugfs guestmem/maps: %s", strerror(errno));
	if (!file)
		return NULL;
	order = malloc(vm->mem.size / PAGE);
	if (!order)
		die(STATUS_ENVIRONMENT, "no memory for the folios of %llu pages",
		    vm->mem.size / PAGE);
	memset(order, NO_FOLIO, vm->mem.size / PAGE);
	read_file(vm, file, order);
	fclose(file);
	return order;
}
