// SPDX-License-Identifier: GPL-2.0
/*
 * What has become of the single pages of a folio.
 *
 * A page that the file holds is one of
 *
 *	a hole	   its content is undefined: nobody may have it before it is zeroed
 *	fresh	   it reads as zero, and no consumer has had it
 *	given	   a consumer has had it
 *
 * The pages of a small folio, and most times those of a large one, are all the
 * same: fresh, or given if the folio's entry in the page cache has
 * GUESTMEM_MARK_GIVEN.  A large folio whose pages differ has a *map*, two bits for
 * each page, in guestmem.maps; its mark says then that some page is given.
 *
 * A map of a folio of 2M goes when the pages are all the same again.  That of a larger
 * one stays until the folio goes: to make it costs more than to keep it.
 *
 * Holes are in folios of the hugetlb store only: a granule cannot be given back in
 * parts.  A new granule is nothing but holes, so that to zero one of 1G can be
 * interrupted and taken up again.
 *
 * Protected by the lock of the folio, or by invalidate_lock for writing.
 *
 * Folios of 2M are split by us, who take their maps apart, and by others, who do not
 * know of maps: memory_failure(), and migration if there is no huge page to move to.
 * A map that has more pages than its folio is left from that.  The folios are *not
 * settled* then: their marks say too much, and the map is right.  Who wants to give
 * pages settles them first, for which it takes all of invalidate_lock.
 */
#include <linux/bitmap.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/rwsem.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "internal.h"

/* pages zeroed between two looks for a signal: 2M, a millisecond */
#define GUESTMEM_ZERO_BATCH	512UL
/* pages of a folio whose map is not worth keeping */
#define GUESTMEM_SMALL_MAP	512UL

/**
 * struct guestmem_map - pages of a folio that are not all the same
 * @nr_pages: of the folio
 * @nr_holes: bits set in @hole
 * @nr_given: bits set in @given
 * @low: all pages below are given; where to look for those that are not
 * @hole: pages that are holes
 * @given: pages that are given
 * @bits: the two bitmaps
 */
struct guestmem_map {
	unsigned long nr_pages;
	unsigned long nr_holes;
	unsigned long nr_given;
	unsigned long low;
	unsigned long *hole;
	unsigned long *given;
	unsigned long bits[];
};

static struct guestmem_map *guestmem_map_alloc(unsigned long nr_pages)
{
	unsigned long longs = BITS_TO_LONGS(nr_pages);
	struct guestmem_map *map;

	map = kvzalloc(struct_size(map, bits, 2 * longs), GFP_KERNEL_ACCOUNT);
	if (!map)
		return NULL;
	map->nr_pages = nr_pages;
	map->hole = map->bits;
	map->given = map->bits + longs;
	return map;
}

static struct guestmem_map *guestmem_map(struct guestmem *gm, struct folio *folio)
{
	if (!folio_test_large(folio) || xa_empty(&gm->maps))
		return NULL;
	return xa_load(&gm->maps, folio->index);
}

/* The map that @folio is left over from, if it is not settled. */
static struct guestmem_map *guestmem_old_map(struct guestmem *gm, struct folio *folio)
{
	struct guestmem_map *map;

	if (gm->granule_order || xa_empty(&gm->maps))
		return NULL;
	map = xa_load(&gm->maps, round_down(folio->index, GUESTMEM_SMALL_MAP));
	return map && map->nr_pages != folio_nr_pages(folio) ? map : NULL;
}

/* Has @folio, which is locked, been split off by others than us? */
bool guestmem_unsettled(struct guestmem *gm, struct folio *folio)
{
	return guestmem_old_map(gm, folio);
}

static int guestmem_map_insert(struct guestmem *gm, pgoff_t index,
			       struct guestmem_map *map)
{
	int ret = xa_insert(&gm->maps, index, map, GFP_KERNEL_ACCOUNT);

	VM_WARN_ON_ONCE(ret == -EBUSY);
	if (ret)
		kvfree(map);
	return ret;
}

/* The folio that is about to be added at @index is nothing but holes. */
int guestmem_map_add_holes(struct guestmem *gm, pgoff_t index, unsigned int order)
{
	struct guestmem_map *map = guestmem_map_alloc(1UL << order);

	if (!map)
		return -ENOMEM;
	bitmap_fill(map->hole, map->nr_pages);
	map->nr_holes = map->nr_pages;
	return guestmem_map_insert(gm, index, map);
}

/* Make sure that the pages of @folio can become different.  0 or -ENOMEM. */
int guestmem_map_reserve(struct guestmem *gm, struct folio *folio)
{
	struct guestmem_map *map;

	if (!folio_test_large(folio) || guestmem_map(gm, folio))
		return 0;
	map = guestmem_map_alloc(folio_nr_pages(folio));
	if (!map)
		return -ENOMEM;
	if (guestmem_marked(gm, folio->index, GUESTMEM_MARK_GIVEN)) {
		bitmap_fill(map->given, map->nr_pages);
		map->nr_given = map->nr_pages;
		map->low = map->nr_pages;
	}
	return guestmem_map_insert(gm, folio->index, map);
}

/* The folio at @index goes away, or its pages are all the same by now. */
void guestmem_map_drop(struct guestmem *gm, pgoff_t index)
{
	if (!xa_empty(&gm->maps))
		kvfree(xa_erase(&gm->maps, index));
}

static void guestmem_map_trim(struct guestmem *gm, pgoff_t index, struct guestmem_map *map)
{
	bool same = map->nr_given == map->nr_pages || !(map->nr_given | map->nr_holes);

	if (same && map->nr_pages <= GUESTMEM_SMALL_MAP)
		guestmem_map_drop(gm, index);
}

/* How many of the bits are set?  They come in long runs. */
static unsigned long guestmem_weight(const unsigned long *bits, unsigned long first,
				     unsigned long end)
{
	unsigned long weight = 0, next;

	for (; (first = find_next_bit(bits, end, first)) < end; first = next) {
		next = find_next_zero_bit(bits, end, first);
		weight += next - first;
	}
	return weight;
}

/* Those that are not given are few, if the range is large. */
static void guestmem_map_give(struct guestmem_map *map, unsigned long first,
			      unsigned long end)
{
	unsigned long at = max(first, map->low), next;

	for (; map->nr_given < map->nr_pages; at = next) {
		at = find_next_zero_bit(map->given, end, at);
		if (at >= end)
			break;
		next = find_next_bit(map->given, end, at);
		bitmap_set(map->given, at, next - at);
		map->nr_given += next - at;
	}
	if (map->low >= first)
		map->low = max(map->low, end);
}

static void guestmem_map_set(unsigned long *bits, unsigned long *count,
			     unsigned long first, unsigned long nr)
{
	*count += nr - guestmem_weight(bits, first, first + nr);
	bitmap_set(bits, first, nr);
}

static void guestmem_map_clear(unsigned long *bits, unsigned long *count,
			       unsigned long first, unsigned long nr)
{
	*count -= guestmem_weight(bits, first, first + nr);
	bitmap_clear(bits, first, nr);
}

/*
 * The folio that was at @index has been split, into single pages most times, each of
 * which has inherited the mark.
 */
void guestmem_map_split(struct guestmem *gm, pgoff_t index)
{
	struct guestmem_map *map = xa_erase(&gm->maps, index);
	unsigned long i, next;

	if (!map)
		return;
	for (i = 0; i < map->nr_pages; i = next) {
		next = i + (1UL << xa_get_order(&gm->inode->i_mapping->i_pages, index + i));
		if (find_next_bit(map->given, next, i) >= next)
			guestmem_clear_mark(gm, index + i, GUESTMEM_MARK_GIVEN);
	}
	kvfree(map);
}

/*
 * The single folios of 2M from @index on, which are settled, are about to become
 * one.  0 or -ENOMEM.
 */
int guestmem_map_merge(struct guestmem *gm, pgoff_t index)
{
	struct guestmem_map *map = guestmem_map_alloc(GUESTMEM_SMALL_MAP);
	unsigned long i;

	if (!map)
		return -ENOMEM;
	for (i = 0; i < map->nr_pages; i++)
		if (guestmem_marked(gm, index + i, GUESTMEM_MARK_GIVEN))
			guestmem_map_give(map, i, i + 1);
	if (map->nr_given && map->nr_given < map->nr_pages)
		return guestmem_map_insert(gm, index, map);
	kvfree(map);
	return 0;
}

/**
 * guestmem_settle - take maps apart whose folios others have split
 * @gm: the guest file
 * @start: first index
 * @end: index behind the last one
 *
 * Context: invalidate_lock held for writing.
 */
void guestmem_settle(struct guestmem *gm, pgoff_t start, pgoff_t end)
{
	unsigned long index;
	struct guestmem_map *map;
	struct folio *folio;

	rwsem_assert_held_write(&gm->inode->i_mapping->invalidate_lock);
	if (gm->granule_order || start >= end)
		return;
	xa_for_each_range(&gm->maps, index, map,
			  round_down(start, GUESTMEM_SMALL_MAP), end - 1) {
		folio = xa_load(&gm->inode->i_mapping->i_pages, index);
		if (!folio || folio_nr_pages(folio) != map->nr_pages)
			guestmem_map_split(gm, index);
	}
}

/* The first page at or behind @first that is @given or not, at most @end. */
static unsigned long guestmem_next(struct guestmem *gm, struct folio *folio,
				   unsigned long first, unsigned long end, bool given)
{
	struct guestmem_map *map = guestmem_old_map(gm, folio);
	unsigned long skip = map ? folio->index % GUESTMEM_SMALL_MAP : 0;

	if (map && given)
		return find_next_bit(map->given, end + skip, first + skip) - skip;
	if (map)
		return find_next_zero_bit(map->given, end + skip, first + skip) - skip;

	map = guestmem_map(gm, folio);
	if (map && given)
		return find_next_bit(map->given, end, first);
	if (map && map->nr_given == map->nr_pages)
		return end;
	if (map)
		return min(find_next_zero_bit(map->given, end, max(first, map->low)), end);
	return guestmem_marked(gm, folio->index, GUESTMEM_MARK_GIVEN) == given ?
	       first : end;
}

/* Are all of @nr pages, from page @first of @folio on, given? */
bool guestmem_given(struct guestmem *gm, struct folio *folio, unsigned long first,
		    unsigned long nr)
{
	return guestmem_next(gm, folio, first, first + nr, false) == first + nr;
}

/**
 * guestmem_next_given - find the pages that a consumer has had
 * @gm: the guest file
 * @folio: one of its folios
 * @first: where to look from, in pages of @folio; where they begin on return
 * @end: where to look until
 *
 * Return: How many there are in a row from *@first on; 0 if there are no more.
 */
unsigned long guestmem_next_given(struct guestmem *gm, struct folio *folio,
				  unsigned long *first, unsigned long end)
{
	*first = guestmem_next(gm, folio, *first, end, true);
	return guestmem_next(gm, folio, *first, end, false) - *first;
}

/*
 * Find pages from *@first to @end that read as zero, have been zeroed, and are nobody's:
 * *@first is one of them then.
 */
bool guestmem_next_fresh(struct guestmem *gm, struct folio *folio, unsigned long *first,
			 unsigned long end)
{
	struct guestmem_map *map = guestmem_map(gm, folio);

	do {
		*first = guestmem_next(gm, folio, *first, end, false);
		if (*first >= end || !map || !test_bit(*first, map->hole))
			return *first < end;
		*first = find_next_zero_bit(map->hole, end, *first);
	} while (*first < end);
	return false;
}

/*
 * Give @nr pages from page @first of @folio on.  Unless that is all of the folio,
 * guestmem_map_reserve() has been called, and cannot have been in vain: no lock
 * was dropped since.
 */
void guestmem_set_given(struct guestmem *gm, struct folio *folio, unsigned long first,
			unsigned long nr)
{
	struct guestmem_map *map = guestmem_map(gm, folio);

	if (map) {
		guestmem_map_give(map, first, first + nr);
		guestmem_map_trim(gm, folio->index, map);
	} else {
		VM_WARN_ON_ONCE_FOLIO(nr != folio_nr_pages(folio), folio);
	}
	guestmem_set_mark(gm, folio->index, GUESTMEM_MARK_GIVEN);
}

/* how long to wait for others to drop their references: half a second */
#define GUESTMEM_WAIT_TRIES	50
#define GUESTMEM_WAIT		msecs_to_jiffies(10)

/**
 * guestmem_wait - wait for somebody to drop a reference to a folio
 * @tries: counts the calls, 0 for the first
 *
 * With invalidate_lock held for writing there are no new references from consumers,
 * and those that are left go as soon as the mapping is made that they were for.
 *
 * Return: 0 to look again, -EAGAIN if that was often enough, -EINTR for a signal that
 * kills the task.
 */
int guestmem_wait(unsigned int *tries)
{
	if (fatal_signal_pending(current))
		return -EINTR;
	if ((*tries)++ == GUESTMEM_WAIT_TRIES)
		return -EAGAIN;
	schedule_timeout_killable(GUESTMEM_WAIT);
	return 0;
}

static int guestmem_zero(struct folio *folio, unsigned long first, unsigned long nr,
			 bool killable)
{
	unsigned long i;

	if (killable ? fatal_signal_pending(current) : signal_pending(current))
		return -EINTR;
	for (i = first; i < first + nr; i++)
		clear_highpage(folio_page(folio, i));
	cond_resched();
	return 0;
}

/**
 * guestmem_fill - zero the holes of a range, so that it can be given
 * @gm: the guest file
 * @folio: one of its folios, locked
 * @first: first page, from the start of @folio
 * @nr: how many
 * @killable: only a signal that kills the task interrupts
 *
 * Return: 0; -EINTR for a signal; GUESTMEM_CONTENDED if somebody waits for
 * invalidate_lock, and with them all other faults of the file: drop it, and call again.
 * What is done by then does not have to be done again.
 */
int guestmem_fill(struct guestmem *gm, struct folio *folio, unsigned long first,
		  unsigned long nr, bool killable)
{
	struct guestmem_map *map = guestmem_map(gm, folio);
	unsigned long end = first + nr, batch;
	int ret;

	VM_WARN_ON_ONCE_FOLIO(!folio_test_locked(folio), folio);
	if (!map || !map->nr_holes)
		return 0;
	first = max(first, map->low);
	while (map->nr_holes) {
		first = find_next_bit(map->hole, end, first);
		if (first >= end)
			break;
		batch = find_next_zero_bit(map->hole, end, first) - first;
		batch = min(batch, GUESTMEM_ZERO_BATCH);
		ret = guestmem_zero(folio, first, batch, killable);
		if (ret)
			return ret;
		guestmem_map_clear(map->hole, &map->nr_holes, first, batch);
		first += batch;
		if (first < end && rwsem_is_contended(&folio->mapping->invalidate_lock))
			return GUESTMEM_CONTENDED;
	}
	guestmem_map_trim(gm, folio->index, map);
	return 0;
}

/*
 * Make @nr pages from page @first of @folio on a hole; guestmem_map_reserve() has
 * been called.  Return whether the folio is nothing but holes now.
 */
bool guestmem_make_hole(struct guestmem *gm, struct folio *folio, unsigned long first,
			unsigned long nr)
{
	struct guestmem_map *map = guestmem_map(gm, folio);

	guestmem_map_set(map->hole, &map->nr_holes, first, nr);
	guestmem_map_clear(map->given, &map->nr_given, first, nr);
	map->low = min(map->low, first);
	if (!map->nr_given)
		guestmem_clear_mark(gm, folio->index, GUESTMEM_MARK_GIVEN);
	return map->nr_holes == map->nr_pages;
}
