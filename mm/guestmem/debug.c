// SPDX-License-Identifier: GPL-2.0
/*
 * For tests (CONFIG_GUESTMEM_DEBUG): a walk over all folios of a guest file that
 * asserts what must always be true of them, and delays that make the windows of races
 * as long as a test wants, set in microseconds in debugfs:
 *
 *	guestmem/delay_get_pfn		when guestmem_get_pfn() has dropped its locks
 *	guestmem/delay_invalidation	between invalidate_start and the removal
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/mm.h>

#include "../internal.h"
#include "internal.h"

static void guestmem_check_folio(struct address_space *mapping, struct folio *folio)
{
	/* no process maps it, nobody has pinned it for DMA */
	VM_WARN_ON_ONCE_FOLIO(folio_mapped(folio), folio);
	VM_WARN_ON_ONCE_FOLIO(folio_maybe_dma_pinned(folio), folio);
	/* zeroed once, and not to be evicted */
	VM_WARN_ON_ONCE_FOLIO(!folio_test_uptodate(folio), folio);
	VM_WARN_ON_ONCE_FOLIO(!folio_test_dirty(folio), folio);
	VM_WARN_ON_ONCE_FOLIO(folio_evictable(folio), folio);
	VM_WARN_ON_ONCE_FOLIO(folio_test_swapcache(folio), folio);
	VM_WARN_ON_ONCE_FOLIO(folio->mapping != mapping, folio);
}

/*
 * With the folio locked: get_folio() returns it locked, and zeroes and dirties
 * it before it unlocks it.  A folio that somebody works on is left for the next
 * time.
 */
void guestmem_check(struct guestmem *gm)
{
	struct address_space *mapping = gm->inode->i_mapping;
	struct folio *folio;
	unsigned long index;

	rwsem_assert_held_write(&mapping->invalidate_lock);
	xa_for_each(&mapping->i_pages, index, folio) {
		if (folio_trylock(folio)) {
			guestmem_check_folio(mapping, folio);
			folio_unlock(folio);
		}
		cond_resched();
	}
}

static u32 guestmem_delays[GUESTMEM_NR_DELAYS];

void guestmem_delay(enum guestmem_delay where)
{
	u32 us = READ_ONCE(guestmem_delays[where]);

	if (us)
		fsleep(us);
}

void guestmem_debug_init(struct dentry *dir)
{
	debugfs_create_u32("delay_get_pfn", 0600, dir,
			   &guestmem_delays[GUESTMEM_DELAY_GET_PFN]);
	debugfs_create_u32("delay_invalidation", 0600, dir,
			   &guestmem_delays[GUESTMEM_DELAY_INVALIDATION]);
}
