// SPDX-License-Identifier: GPL-2.0
/*
 * NUMA: the nodes of this machine, and what the guest file holds on each of them, by
 * GUESTMEM_GET_INFO and by debugfs; fdinfo is in held.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm.h"

#define NODE_DIR	"/sys/devices/system/node"

/* --- the machine -------------------------------------------------------- */

/* The first of the nodes that are in the list @name, such as "0-1,3"; returns how many. */
static unsigned int read_list(const char *name, unsigned int *nodes, unsigned int room)
{
	unsigned int nr = 0, from, to;
	char path[64], behind;
	FILE *file;
	int n;

	snprintf(path, sizeof(path), NODE_DIR "/%s", name);
	file = fopen(path, "re");
	/* A kernel without NUMA */
	if (!file)
		return 0;
	while ((n = fscanf(file, "%u%c", &from, &behind)) >= 1) {
		to = from;
		if (n == 2 && behind == '-' && fscanf(file, "%u%*c", &to) != 1)
			die(STATUS_ENVIRONMENT, "%s is no list of nodes", path);
		for (; from <= to && nr < room; from++)
			nodes[nr++] = from;
	}
	fclose(file);
	return nr;
}

unsigned int nodes_with_memory(unsigned int *nodes, unsigned int room)
{
	return read_list("has_memory", nodes, room);
}

/* The line has a number for each node that is online. */
unsigned int nodes_distance(unsigned int from, unsigned int to)
{
	unsigned int online[MAX_NODES], nr = read_list("online", online, MAX_NODES), i;
	unsigned int distance = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), NODE_DIR "/node%u/distance", from);
	file = fopen(path, "re");
	for (i = 0; file && i < nr && fscanf(file, "%u", &distance) == 1; i++)
		if (online[i] == to)
			break;
	if (!file || i == nr)
		die(STATUS_ENVIRONMENT, "%s does not tell the distance of node %u", path, to);
	fclose(file);
	return distance;
}

/* --- the guest file ----------------------------------------------------- */

/* Returns what the file holds in total, at the same moment. */
__u64 nodes_by_info(const struct memory *mem, struct node_use *use)
{
	struct guestmem_info_nodes args = {
		.info = { .size = sizeof(args), .flags = GUESTMEM_INFO_NODES },
		.nodes = (unsigned long)use->bytes,
		.nr_nodes = MAX_NODES,
	};

	memset(use, 0, sizeof(*use));
	if (ioctl(mem->fd, GUESTMEM_GET_INFO, &args) || args.nr_nodes > MAX_NODES)
		die(STATUS_FAILED, "GUESTMEM_GET_INFO of the nodes: %s", strerror(errno));
	return held_bytes(&args.info);
}

/* False without debugfs. */
bool nodes_by_folios(struct vm *vm, struct node_use *use)
{
	unsigned char *node = folios_nodes(vm);
	__u64 i;

	if (!node)
		return false;
	memset(use, 0, sizeof(*use));
	for (i = 0; i < vm->mem.size / PAGE; i++)
		if (node[i] != NO_FOLIO)
			use->bytes[node[i]] += PAGE;
	free(node);
	return true;
}

__u64 nodes_sum(const struct node_use *use)
{
	__u64 sum = 0;
	unsigned int i;

	for (i = 0; i < MAX_NODES; i++)
		sum += use->bytes[i];
	return sum;
}
