// SPDX-License-Identifier: GPL-2.0
/*
 * Helpers of the guestmem selftests on moving memory, see guestmem_move.h.
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/swap.h>

#include <linux/mempolicy.h>

#include "guestmem_move.h"

/* ---- where the memory of a file is ---- */

#define FOLIOS	"/sys/kernel/debug/guestmem/folios"

static int frames_add(struct frames *frames, const struct frame *frame)
{
	struct frame *at = frames->at;

	/* room for twice as many whenever there are a power of two */
	if (!(frames->nr & (frames->nr - 1)))
		at = realloc(at, (frames->nr ? 2 * frames->nr : 1) * sizeof(*at));
	if (!at)
		return -1;
	frames->at = at;
	at[frames->nr++] = *frame;
	return 0;
}

/* Inode numbers are unique among the files of one store only. */
static int frames_header(int fd, char *text, size_t size)
{
	char store[32];
	struct stat st;

	if (fstat(fd, &st) || fdinfo_line(fd, "guest_store", store, sizeof(store)))
		return -1;
	snprintf(text, size, "file %lu %s ", (unsigned long)st.st_ino, store);
	return 0;
}

/* To be freed; -1 if the kernel does not tell. */
int frames_read(int fd, struct frames *frames)
{
	char line[128], header[96];
	bool ours = false, found = false;
	struct frame frame;
	FILE *f;
	int ret = 0;

	*frames = (struct frames) { };
	mount_debugfs();
	f = fopen(FOLIOS, "r");
	if (!f)
		return -1;
	ret = frames_header(fd, header, sizeof(header));
	while (!ret && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "file ", 5)) {
			ours = !strncmp(line, header, strlen(header));
			found |= ours;
		} else if (ours && sscanf(line, "%lu %u %lu %d", &frame.index, &frame.order,
					  &frame.pfn, &frame.node) == 4) {
			ret = frames_add(frames, &frame);
		} else if (ours) {
			ret = -1;
		}
	}
	fclose(f);
	return found ? ret : -1;
}

void frames_free(struct frames *frames)
{
	free(frames->at);
	*frames = (struct frames) { };
}

static int by_index(const void *key, const void *element)
{
	unsigned long index = *(const unsigned long *)key;
	const struct frame *frame = element;

	return index < frame->index ? -1 : index >= frame->index + (1UL << frame->order);
}

/* The folio that has the page, or NULL */
const struct frame *frames_find(const struct frames *frames, unsigned long index)
{
	return bsearch(&index, frames->at, frames->nr, sizeof(*frames->at), by_index);
}

/* Folios of @before of which the first page is now in another frame */
long frames_moved(const struct frames *before, const struct frames *after)
{
	const struct frame *old, *new;
	long i, moved = 0;

	for (i = 0; i < before->nr; i++) {
		old = &before->at[i];
		new = frames_find(after, old->index);
		moved += new && new->pfn + (old->index - new->index) != old->pfn;
	}
	return moved;
}

bool frames_same(const struct frames *a, const struct frames *b)
{
	long i;

	if (a->nr != b->nr)
		return false;
	for (i = 0; i < a->nr; i++) {
		if (a->at[i].index != b->at[i].index || a->at[i].order != b->at[i].order ||
		    a->at[i].pfn != b->at[i].pfn || a->at[i].node != b->at[i].node)
			return false;
	}
	return true;
}

static unsigned long overlap(const struct frame *frame, unsigned long start, unsigned long end)
{
	unsigned long last = frame->pfn + (1UL << frame->order);

	start = start > frame->pfn ? start : frame->pfn;
	end = end < last ? end : last;
	return start < end ? end - start : 0;
}

/* Frames in [@start, @end) */
static long frames_within(const struct frames *frames, unsigned long start, unsigned long end)
{
	long i, sum = 0;

	for (i = 0; i < frames->nr; i++)
		sum += overlap(&frames->at[i], start, end);
	return sum;
}

long long frames_bytes(const struct frames *frames, int node)
{
	long long sum = 0;
	long i;

	for (i = 0; i < frames->nr; i++) {
		if (frames->at[i].node == node)
			sum += (long long)PAGE << frames->at[i].order;
	}
	return sum;
}

/* By all who tell: -1 if fdinfo and the frames do not agree. */
long long bytes_on(int fd, int node)
{
	struct frames frames;
	long long sum = -1;
	char key[32];

	snprintf(key, sizeof(key), "guest_node%d", node);
	if (!frames_read(fd, &frames))
		sum = frames_bytes(&frames, node);
	frames_free(&frames);
	return sum == fdinfo_number(fd, key) * 1024 ? sum : -1;
}

/* ---- nodes ---- */

/* Numbers of those that have memory, MAX_TEST_NODES of them at most; returns how many. */
int memory_nodes(int *node)
{
	char text[64], *p = text;
	int nr = 0;
	long i, last;

	if (read_file("/sys/devices/system/node/has_memory", text, sizeof(text)))
		return 0;
	while (*p >= '0' && *p <= '9') {
		i = strtol(p, &p, 10);
		last = *p == '-' ? strtol(p + 1, &p, 10) : i;
		for (; i <= last && nr < MAX_TEST_NODES; i++)
			node[nr++] = i;
		p += *p == ',';
	}
	return nr;
}

/* Policy of the calling thread and of those it makes: that node only; -1 for any */
int allocate_on(int node)
{
	unsigned long mask;

	if (node < 0)
		return syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0);
	mask = 1UL << node;
	return syscall(SYS_set_mempolicy, MPOL_BIND, &mask, 8 * sizeof(mask));
}

/* @args has the counters on return. */
int migrate(int fd, off_t offset, off_t length, int node, struct guestmem_migrate *args)
{
	*args = (struct guestmem_migrate) {
		.size = sizeof(*args), .offset = offset, .length = length, .node = node,
	};
	return ioctl(fd, GUESTMEM_MIGRATE, args);
}

static void node_pool_path(int node, unsigned long size, const char *file, char *path,
			   size_t length)
{
	snprintf(path, length, "/sys/devices/system/node/node%d/hugepages/hugepages-%lukB/%s",
		 node, size / 1024, file);
}

long node_pool_get(int node, unsigned long size, const char *file)
{
	char path[128];

	node_pool_path(node, size, file, path, sizeof(path));
	return file_number(path, NULL);
}

int node_pool_set(int node, unsigned long size, long pages)
{
	char path[128], text[32];

	node_pool_path(node, size, "nr_hugepages", path, sizeof(path));
	snprintf(text, sizeof(text), "%ld", pages);
	return write_file(path, text);
}

/* Make sure that so many pages are free on @node; -1 if they cannot be had. */
int node_pools_grow(struct node_pools *pools, unsigned long size, int node, long pages)
{
	long total, lacking;

	pools->size = size;
	if (size == PAGE)
		return 0;
	total = node_pool_get(node, size, "nr_hugepages");
	lacking = pages - node_pool_get(node, size, "free_hugepages");
	if (total < 0)
		return -1;
	if (lacking <= 0)
		return 0;
	if (pools->nr_nodes == MAX_TEST_NODES || node_pool_set(node, size, total + lacking))
		return -1;
	pools->node[pools->nr_nodes] = node;
	pools->saved[pools->nr_nodes++] = total;
	return node_pool_get(node, size, "free_hugepages") < pages ? -1 : 0;
}

void node_pools_restore(struct node_pools *pools)
{
	while (pools->nr_nodes) {
		pools->nr_nodes--;
		node_pool_set(pools->node[pools->nr_nodes], pools->size,
			      pools->saved[pools->nr_nodes]);
	}
}

/* ---- a guest that works meanwhile ---- */

/* On every piece, to the first that differs */
int area_do(const struct area *area, int cpu, enum guest_op op, __u32 seed)
{
	__u64 at;
	int ret;

	for (at = 0; at + area->piece <= area->size; at += area->stride) {
		ret = guest_do(area->vm, cpu, op, area->gpa + at, area->piece, seed);
		if (ret)
			return ret;
	}
	return 0;
}

/* For people: what a command has returned, and what KVM_RUN had said last */
static void complain(struct worker *w, int cpu, int ret)
{
	struct vm *vm = w->area->vm;

	snprintf(w->bad, sizeof(w->bad), "vCPU %d: %d, exit reason %u, at %#llx", cpu, ret,
		 vm->run[cpu]->exit_reason, vm->bad_gpa[cpu]);
}

static void work_piece(struct worker *w, __u64 gpa)
{
	const struct area *area = w->area;
	int ret = guest_do(area->vm, w->cpu, GUEST_VERIFY, gpa, area->piece, w->seed);

	if (!ret)
		ret = guest_do(area->vm, w->cpu, GUEST_STAMP, gpa, area->piece, w->seed + 1);
	if (ret)
		complain(w, w->cpu, ret);
}

static void work_round(struct worker *w)
{
	long long start, took;
	__u64 at;

	for (at = w->cpu * w->area->stride; at + w->area->piece <= w->area->size && !*w->bad;
	     at += 2 * w->area->stride) {
		start = milliseconds();
		work_piece(w, w->area->gpa + at);
		took = milliseconds() - start;
		w->slowest = took > w->slowest ? took : w->slowest;
		atomic_fetch_add(&w->pieces, 1);
	}
	w->seed++;
}

static void *work(void *arg)
{
	struct worker *w = arg;

	do {
		work_round(w);
	} while (!atomic_load(&w->stop) && !*w->bad);
	return NULL;
}

/* The area has stamps of @seed. */
int workers_start(struct worker worker[2], const struct area *area, __u32 seed)
{
	int i;

	for (i = 0; i < 2; i++) {
		worker[i] = (struct worker) { .area = area, .cpu = i, .seed = seed };
		if (pthread_create(&worker[i].thread, NULL, work, &worker[i]))
			return -1;
	}
	return 0;
}

/* Each piece once more, by the vCPU that has not stamped it */
static void verify_other(struct worker *w)
{
	const struct area *area = w->area;
	__u64 at;
	int ret;

	for (at = w->cpu * area->stride; at + area->piece <= area->size && !*w->bad;
	     at += 2 * area->stride) {
		ret = guest_do(area->vm, !w->cpu, GUEST_VERIFY, area->gpa + at, area->piece,
			       w->seed);
		if (ret)
			complain(w, !w->cpu, ret);
	}
}

/* Returns what went wrong, "" if nothing did. */
const char *workers_end(struct worker worker[2])
{
	int i;

	for (i = 0; i < 2; i++)
		atomic_store(&worker[i].stop, true);
	for (i = 0; i < 2; i++)
		pthread_join(worker[i].thread, NULL);
	for (i = 0; i < 2; i++)
		verify_other(&worker[i]);
	return *worker[0].bad ? worker[0].bad : worker[1].bad;
}

/* Milliseconds that the slowest piece has taken */
long workers_slowest(const struct worker worker[2])
{
	return worker[0].slowest > worker[1].slowest ? worker[0].slowest : worker[1].slowest;
}

long workers_pieces(struct worker worker[2])
{
	return atomic_load(&worker[0].pieces) + atomic_load(&worker[1].pieces);
}

/* ---- a guest whose memory moves ---- */

bool moving_1g(const struct moving *m)
{
	return m->store->huge == SZ_1G;
}

/* Room for the file on every node that is used: true if there is. */
bool moving_fill_pools(struct moving *m, const struct store *store, off_t size)
{
	int i;

	m->store = store;
	m->size = size;
	m->fd = -1;
	m->vm.fd = -1;
	m->nr_nodes = memory_nodes(m->node);
	/* each page of 1G takes its time */
	if (moving_1g(m) && m->nr_nodes > 2)
		m->nr_nodes = 2;
	for (i = 0; i < m->nr_nodes; i++) {
		if (node_pools_grow(&m->pools, store->granule, m->node[i],
				    size / store->granule)) {
			node_pools_restore(&m->pools);
			return false;
		}
	}
	return m->nr_nodes > 1;
}

int moving_file(struct moving *m)
{
	m->fd = guest_create(m->store->flags | MFD_GUEST_MOVABLE, m->size);
	if (m->fd < 0 || allocate_on(m->node[0]) || populate(m->fd, 0, m->size))
		return -1;
	return allocate_on(-1);
}

int moving_bind(struct moving *m)
{
	__u64 gpa = moving_1g(m) ? SZ_1G : VM_DATA_GPA;

	/* All of the smaller files; of 1G a bit of each 2M, each time at another place */
	m->area = (struct area) {
		.vm = &m->vm, .gpa = gpa, .size = m->size,
		.piece = moving_1g(m) ? 2 * PAGE : 16 * PAGE,
		.stride = moving_1g(m) ? SZ_2M + 2 * PAGE : 16 * PAGE,
	};
	return vm_bind(&m->vm, 1, gpa, m->size, m->shared, m->fd, 0) ||
	       vm_set_private(&m->vm, gpa, m->size) ? -1 : 0;
}

int moving_open(struct moving *m)
{
	m->shared = shared_alloc(m->size);
	if ((void *)m->shared == MAP_FAILED || moving_file(m) || vm_create(&m->vm, 2))
		return -1;
	return moving_bind(m);
}

void moving_close(struct moving *m)
{
	vm_destroy(&m->vm);
	if (m->fd >= 0)
		close(m->fd);
	if (m->shared)
		munmap(m->shared, m->size);
	node_pools_restore(&m->pools);
}

int moving_stamp(struct moving *m, __u32 seed)
{
	return area_do(&m->area, 0, GUEST_STAMP, seed);
}

/* By the vCPU that has not stamped it */
int moving_verify(struct moving *m, __u32 seed)
{
	return area_do(&m->area, 1, GUEST_VERIFY, seed);
}

/* ---- memory blocks ---- */

#define BLOCKS	"/sys/devices/system/memory"

/* Frames in a block, 0 if memory has none */
unsigned long block_pages(void)
{
	char text[32];

	if (read_file(BLOCKS "/block_size_bytes", text, sizeof(text)))
		return 0;
	return strtoul(text, NULL, 16) / PAGE;
}

/* -1 if there is no such file of the block */
int block_path(long block, const char *file, char *path, size_t size)
{
	snprintf(path, size, BLOCKS "/memory%ld/%s", block, file);
	return access(path, F_OK);
}

bool block_is(long block, const char *file, const char *text)
{
	char path[96], now[64];

	if (block_path(block, file, path, sizeof(path)) || read_file(path, now, sizeof(now)))
		return false;
	now[strcspn(now, "\n")] = '\0';
	return !strcmp(now, text);
}

int block_set(long block, const char *state)
{
	char path[96];

	if (block_path(block, "state", path, sizeof(path)))
		return -1;
	return write_file(path, state);
}

/* Is it, while it is online, in ZONE_MOVABLE? */
bool block_movable(long block)
{
	return block_is(block, "valid_zones", "Movable");
}

int block_node(long block)
{
	char path[96], name[16];
	int node;

	for (node = 0; node < MAX_TEST_NODES; node++) {
		snprintf(name, sizeof(name), "node%d", node);
		if (!block_path(block, name, path, sizeof(path)))
			return node;
	}
	return -1;
}

/* Frames of the file in the block */
long frames_in_block(const struct frames *frames, long block)
{
	unsigned long pages = block_pages();

	return frames_within(frames, block * pages, (block + 1) * pages);
}

/* Those of folios that begin in a block of ZONE_MOVABLE */
long frames_movable_zone(const struct frames *frames)
{
	unsigned long pages = block_pages();
	long i, block, last = -1, sum = 0;
	bool movable = false;

	for (i = 0; i < frames->nr; i++) {
		block = frames->at[i].pfn / pages;
		if (block != last)
			movable = block_movable(block);
		last = block;
		sum += movable ? 1L << frames->at[i].order : 0;
	}
	return sum;
}

/* ---- memory set aside for contiguous allocations ---- */

#define CMAS	"/sys/kernel/debug/cma"

static long cma_number(const struct cma *cma, const char *file)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/%s", cma->path, file);
	return file_number(path, NULL);
}

static bool cma_open(struct cma *cma, const char *name, int node)
{
	snprintf(cma->path, sizeof(cma->path), CMAS "/%.64s", name);
	cma->base = cma_number(cma, "base_pfn");
	cma->count = cma_number(cma, "count");
	return block_pages() && block_node(cma->base / block_pages()) == node;
}

/* The region of a node; -1 if it has none */
int cma_find(struct cma *cma, int node)
{
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	mount_debugfs();
	dir = opendir(CMAS);
	while (dir && !found && (entry = readdir(dir)))
		found = entry->d_name[0] != '.' && cma_open(cma, entry->d_name, node);
	if (dir)
		closedir(dir);
	return found ? 0 : -1;
}

/* Frames that contiguous allocations have */
long cma_used(const struct cma *cma)
{
	return cma_number(cma, "used");
}

/* @file: alloc, or free, which frees allocations that are not larger than that */
int cma_write(const struct cma *cma, const char *file, unsigned long frames)
{
	char path[192], text[32];

	snprintf(path, sizeof(path), "%s/%s", cma->path, file);
	snprintf(text, sizeof(text), "%lu", frames);
	return write_file(path, text);
}

long frames_in_cma(const struct frames *frames, const struct cma *cma)
{
	return frames_within(frames, cma->base, cma->base + cma->count);
}

/* ---- a swap device in memory ---- */

#define ZRAM_SIZE	"64M"
#define ZRAM_PAGES	(64 * SZ_1M / PAGE)

static int swap_header(const char *path)
{
	char page[PAGE] = "";
	__u32 *info = (__u32 *)(page + 1024);
	int fd = open(path, O_RDWR), ret;

	if (fd < 0)
		return -1;
	info[0] = 1;
	info[1] = ZRAM_PAGES - 1;
	memcpy(page + PAGE - 10, "SWAPSPACE2", 10);
	ret = pwrite(fd, page, PAGE, 0) == PAGE && !fsync(fd) ? 0 : -1;
	close(fd);
	return ret;
}

int zram_swap_on(struct zram_swap *swap)
{
	char path[64];

	swap->on = false;
	swap->zram = file_number("/sys/class/zram-control/hot_add", NULL);
	if (swap->zram < 0)
		return -1;
	snprintf(path, sizeof(path), "/sys/block/zram%d/disksize", swap->zram);
	snprintf(swap->path, sizeof(swap->path), "/dev/zram%d", swap->zram);
	if (write_file(path, ZRAM_SIZE) || swap_header(swap->path) || swapon(swap->path, 0)) {
		zram_swap_off(swap);
		return -1;
	}
	swap->on = true;
	return 0;
}

void zram_swap_off(struct zram_swap *swap)
{
	char text[64];

	if (swap->on)
		swapoff(swap->path);
	swap->on = false;
	if (swap->zram < 0)
		return;
	snprintf(text, sizeof(text), "/sys/block/zram%d/reset", swap->zram);
	write_file(text, "1");
	snprintf(text, sizeof(text), "%d", swap->zram);
	write_file("/sys/class/zram-control/hot_remove", text);
	swap->zram = -1;
}

/* ---- time ---- */

long long milliseconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}
