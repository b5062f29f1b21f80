// SPDX-License-Identifier: GPL-2.0
/*
 * The map of guest memory, as it was when map_take() looked at it; and a smaller one
 * that says on which NUMA node private memory is, which can be taken at any time.
 *
 * Where memory is private and where shared is what the VMM has asked KVM for.
 * Which private pages exist is what SEEK_DATA says of the guest file, and the
 * sizes of their folios what debugfs says (folios.c).  The sizes of mappings are
 * KVM's own count, which is one for all of the VM.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "vmm.h"

#define CELLS_PER_LINE	64
#define MAX_LINES	8
#define MAX_ROWS	24

enum state {
	STATE_HOLE,
	STATE_SHARED,
	STATE_EMPTY,
	STATE_PRIVATE,
	STATE_PRIVATE_4K,
	STATE_PRIVATE_2M,
	STATE_PRIVATE_1G,
	STATE_NODE,
	STATE_LAST_NODE = STATE_NODE + 3,
	STATES,
};

static const struct {
	char letter;
	const char *colour;
	const char *name;
} states[STATES] = {
	[STATE_HOLE]       = { '.', "\033[2m", "hole" },
	[STATE_SHARED]     = { 's', "\033[33m", "shared" },
	[STATE_EMPTY]      = { '-', "\033[36m", "private but empty" },
	[STATE_PRIVATE]    = { 'P', "\033[32m", "private" },
	[STATE_PRIVATE_4K] = { 'K', "\033[32m", "private in 4K folios" },
	[STATE_PRIVATE_2M] = { 'M', "\033[1;32m", "private in 2M folios" },
	[STATE_PRIVATE_1G] = { 'G', "\033[1;35m", "private in 1G folios" },
	[STATE_NODE]       = { '0', "\033[32m", "private on node 0" },
	[STATE_NODE + 1]   = { '1', "\033[1;35m", "on node 1" },
	[STATE_NODE + 2]   = { '2', "\033[1;34m", "on node 2" },
	[STATE_LAST_NODE]  = { '3', "\033[31m", "on node 3 or a later one" },
};

#define MIXED_LETTER	'*'

/**
 * struct map - guest memory from 0 to its end
 * @pages: how many
 * @state: of each page, enum state
 * @mapped: number of mappings that KVM has, by level; not in a map of nodes
 */
struct map {
	__u64 pages;
	unsigned char *state;
	__u64 mapped[LEVELS];
};

/* --- taking it ---------------------------------------------------------- */

static void take_slot(struct map *map, const struct memory *mem, const struct slot *slot)
{
	const unsigned char *state = &mem->state[slot->offset / PAGE];
	__u64 i;

	for (i = 0; i < slot->size / PAGE; i++)
		map->state[slot->gpa / PAGE + i] =
			state[i] & PAGE_PRIVATE ? STATE_EMPTY : STATE_SHARED;
}

static enum state order_state(unsigned char order)
{
	if (order == NO_FOLIO)
		return STATE_PRIVATE;
	return order >= levels[LEVEL_1G].order ? STATE_PRIVATE_1G :
		order >= levels[LEVEL_2M].order ? STATE_PRIVATE_2M : STATE_PRIVATE_4K;
}

/* The pages of @slot that the file holds in [offset, offset + size). */
static void take_held(struct map *map, const unsigned char *order, const struct slot *slot,
		      __u64 offset, __u64 size)
{
	__u64 i, page;

	for (i = offset; i < offset + size; i += PAGE) {
		if (i < slot->offset || i >= slot->offset + slot->size)
			continue;
		page = (slot->gpa + i - slot->offset) / PAGE;
		if (map->state[page] == STATE_EMPTY)
			map->state[page] = order ? order_state(order[i / PAGE]) : STATE_PRIVATE;
	}
}

/* What is private and what is shared. */
static struct map *take_states(struct memory *mem)
{
	struct map *map = calloc(1, sizeof(*map));
	unsigned int i;

	if (!map)
		die(STATUS_ENVIRONMENT, "no memory for the map");
	map->pages = memory_end(mem) / PAGE;
	map->state = calloc(map->pages, sizeof(*map->state));
	if (!map->state)
		die(STATUS_ENVIRONMENT, "no memory for a map of %llu pages", map->pages);

	pthread_mutex_lock(&mem->lock);
	for (i = 0; i < GUEST_SLOTS; i++)
		take_slot(map, mem, &mem->slot[i]);
	pthread_mutex_unlock(&mem->lock);
	return map;
}

static void release(struct map *map)
{
	free(map->state);
	free(map);
}

struct map *map_take(struct vm *vm)
{
	struct memory *mem = &vm->mem;
	struct map *map = take_states(mem);
	unsigned char *order = folios_orders(vm);
	__u64 offset, size;
	unsigned int i;

	for (offset = 0; held_next(mem, &offset, &size); offset += size)
		for (i = 0; i < GUEST_SLOTS; i++)
			take_held(map, order, &mem->slot[i], offset, size);
	free(order);
	levels_read(vm, map->mapped);
	return map;
}

/* The pages of @slot that the file holds, by their nodes. */
static void take_nodes(struct map *map, const unsigned char *node, const struct slot *slot)
{
	__u64 i, page;

	for (i = 0; i < slot->size / PAGE; i++) {
		unsigned char on = node[slot->offset / PAGE + i];

		page = slot->gpa / PAGE + i;
		if (map->state[page] == STATE_EMPTY && on != NO_FOLIO)
			map->state[page] = on < STATE_LAST_NODE - STATE_NODE ?
				STATE_NODE + on : STATE_LAST_NODE;
	}
}

/* --- printing it -------------------------------------------------------- */

static __u64 range_end(const struct map *map, __u64 start)
{
	__u64 end = start + 1;

	while (end < map->pages && map->state[end] == map->state[start])
		end++;
	return end;
}

static void print_range(const struct map *map, __u64 start, __u64 end)
{
	char size[24];

	printf("  %012llx - %012llx %8s  %s\n", start * PAGE, end * PAGE,
	       size_text(size, sizeof(size), (end - start) * PAGE),
	       states[map->state[start]].name);
}

static void print_ranges(const struct map *map, const struct options *opt)
{
	unsigned int rows = 0, hidden = 0;
	__u64 start, end;

	printf("\n  %-12s   %-12s %8s  %s\n", "from gpa", "to", "size", "state");
	for (start = 0; start < map->pages; start = end) {
		end = range_end(map, start);
		if (rows == MAX_ROWS && !opt->verbose) {
			hidden++;
			continue;
		}
		print_range(map, start, end);
		rows++;
	}
	if (hidden)
		printf("  ... and %u more ranges, shown by --verbose\n", hidden);
}

/* The state of a cell, or STATES if it has several. */
static enum state cell_state(const struct map *map, __u64 start, __u64 pages)
{
	__u64 end = start + pages < map->pages ? start + pages : map->pages;

	return range_end(map, start) < end ? STATES : map->state[start];
}

/* Up to the end of a line; the colour changes only where the state does. */
static void print_line(const struct map *map, __u64 start, __u64 pages, bool colour)
{
	enum state state, last = STATES;
	unsigned int i;

	printf("  %012llx ", start * PAGE);
	for (i = 0; i < CELLS_PER_LINE && start < map->pages; i++, start += pages) {
		state = cell_state(map, start, pages);
		if (colour && state != last)
			printf("\033[0m%s", state == STATES ? "" : states[state].colour);
		putchar(state == STATES ? MIXED_LETTER : states[state].letter);
		last = state;
	}
	puts(colour ? "\033[0m" : "");
}

static void print_cells(const struct map *map)
{
	__u64 pages = 64 * KIB / PAGE, start;
	bool colour = use_colour();
	char size[24];
	unsigned int i;

	while (map->pages > pages * CELLS_PER_LINE * MAX_LINES)
		pages *= 2;
	printf("\n  one letter is %s:\n ", size_text(size, sizeof(size), pages * PAGE));
	for (i = 0; i < STATES; i++)
		if (memchr(map->state, i, map->pages))
			printf(" %c %s,", states[i].letter, states[i].name);
	printf(" %c mixed\n", MIXED_LETTER);
	for (start = 0; start < map->pages; start += pages * CELLS_PER_LINE)
		print_line(map, start, pages, colour);
}

void map_print(struct map *map, const struct options *opt)
{
	unsigned int i;

	printf("\nGuest memory; KVM has mappings of");
	for (i = 0; i < LEVELS; i++)
		printf("%s %s: %llu", i ? "," : "", levels[i].name, map->mapped[i]);
	putchar('\n');
	print_ranges(map, opt);
	print_cells(map);
	if (memchr(map->state, STATE_PRIVATE_4K, map->pages) &&
	    memchr(map->state, STATE_PRIVATE_2M, map->pages))
		puts("  a 2M folio that was punched in part is 4K folios from then on");
}

/* While vCPUs run, or not.  Nothing without debugfs. */
void map_print_nodes(struct vm *vm)
{
	unsigned char *node = folios_nodes(vm);
	struct map *map;
	unsigned int i;

	if (!node)
		return;
	map = take_states(&vm->mem);
	for (i = 0; i < GUEST_SLOTS; i++)
		take_nodes(map, node, &vm->mem.slot[i]);
	print_cells(map);
	release(map);
	free(node);
}
