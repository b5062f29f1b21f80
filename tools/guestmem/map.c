// SPDX-License-Identifier: GPL-2.0
/*
 * The map of guest memory, as it was when map_take() looked at it.
 *
 * Where memory is private and where shared is what the VMM has asked KVM for.
 * Which private pages exist is what SEEK_DATA says of the guest file, which
 * shared ones what mincore() says of the mapping.  The size of mappings is KVM's
 * own count: it has one for all of the VM, so a range can be given a level only
 * while all mappings have the same.
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
	STATE_PRIVATE,
	STATE_PRIVATE_EMPTY,
	STATE_SHARED,
	STATES,
};

static const struct {
	char letter;
	const char *colour;
	const char *name;
} states[STATES] = {
	[STATE_HOLE]          = { '.', "\033[2m", "hole" },
	[STATE_PRIVATE]       = { 'P', "\033[32m", "private" },
	[STATE_PRIVATE_EMPTY] = { 'p', "\033[36m", "private, not populated" },
	[STATE_SHARED]        = { 'S', "\033[33m", "shared" },
};

#define MIXED_LETTER	'*'

/* The levels at which KVM maps memory, and its names for them */
static const struct {
	const char *stat;
	const char *name;
} levels[] = {
	{ "pages_4k", "4K" },
	{ "pages_2m", "2M" },
	{ "pages_1g", "1G" },
};

/**
 * struct map - guest memory from 0 to its end
 * @pages: how many
 * @state: of each page, enum state
 * @present: of each page, whether it exists and can be mapped
 * @mapped: number of mappings that KVM has, by level
 */
struct map {
	__u64 pages;
	unsigned char *state;
	bool *present;
	__u64 mapped[ARRAY_SIZE(levels)];
};

/* --- taking it ---------------------------------------------------------- */

static void take_slot(struct map *map, const struct memory *mem, const struct slot *slot)
{
	unsigned char *resident = shared_resident(slot);
	__u64 i;

	for (i = 0; i < slot->size / PAGE; i++) {
		__u64 page = slot->gpa / PAGE + i;
		bool private = mem->private[slot->offset / PAGE + i];

		map->state[page] = private ? STATE_PRIVATE_EMPTY : STATE_SHARED;
		map->present[page] = !private && resident[i] & 1;
	}
	free(resident);
}

/* The pages of @slot that the file holds in [offset, offset + size). */
static void take_held(struct map *map, const struct slot *slot, __u64 offset, __u64 size)
{
	__u64 i, page;

	for (i = offset; i < offset + size; i += PAGE) {
		if (i < slot->offset || i >= slot->offset + slot->size)
			continue;
		page = (slot->gpa + i - slot->offset) / PAGE;
		if (map->state[page] != STATE_PRIVATE_EMPTY)
			continue;
		map->state[page] = STATE_PRIVATE;
		map->present[page] = true;
	}
}

struct map *map_take(struct vm *vm)
{
	struct memory *mem = &vm->mem;
	struct map *map = calloc(1, sizeof(*map));
	__u64 offset, size;
	unsigned int i;

	if (!map)
		die(STATUS_ENVIRONMENT, "no memory for the map");
	map->pages = memory_end(mem) / PAGE;
	map->state = calloc(map->pages, sizeof(*map->state));
	map->present = calloc(map->pages, sizeof(*map->present));
	if (!map->state || !map->present)
		die(STATUS_ENVIRONMENT, "no memory for a map of %llu pages", map->pages);

	for (i = 0; i < GUEST_SLOTS; i++)
		take_slot(map, mem, &mem->slot[i]);
	for (offset = 0; held_next(mem, &offset, &size); offset += size)
		for (i = 0; i < GUEST_SLOTS; i++)
			take_held(map, &mem->slot[i], offset, size);
	for (i = 0; i < ARRAY_SIZE(levels); i++)
		if (!vm_stat(vm, levels[i].stat, &map->mapped[i]))
			die(STATUS_ENVIRONMENT, "KVM's statistics have no %s", levels[i].stat);
	return map;
}

/* --- printing it -------------------------------------------------------- */

/* The level of the pages that exist in a range, as far as it is known. */
static const char *range_level(const struct map *map, __u64 start, __u64 end)
{
	const char *level = "-";
	unsigned int i;

	if (!memchr(&map->present[start], true, end - start))
		return level;
	for (i = 0; i < ARRAY_SIZE(levels); i++) {
		if (!map->mapped[i])
			continue;
		if (*level != '-')
			return "mixed";
		level = levels[i].name;
	}
	return level;
}

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

	printf("  %012llx - %012llx %8s  %-24s %s\n", start * PAGE, end * PAGE,
	       size_text(size, sizeof(size), (end - start) * PAGE),
	       states[map->state[start]].name, range_level(map, start, end));
}

static void print_ranges(const struct map *map, const struct options *opt)
{
	unsigned int rows = 0, hidden = 0;
	__u64 start, end;

	printf("\n  %-12s   %-12s %8s  %-24s %s\n", "from gpa", "to", "size", "state", "level");
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
		printf(" %c %s,", states[i].letter, states[i].name);
	printf(" %c mixed\n", MIXED_LETTER);
	for (start = 0; start < map->pages; start += pages * CELLS_PER_LINE)
		print_line(map, start, pages, colour);
}

void map_print(struct map *map, const struct options *opt)
{
	unsigned int i;

	printf("\nGuest memory; KVM has mappings of");
	for (i = 0; i < ARRAY_SIZE(levels); i++)
		printf("%s %s: %llu", i ? "," : "", levels[i].name, map->mapped[i]);
	putchar('\n');
	print_ranges(map, opt);
	print_cells(map);
}
