// SPDX-License-Identifier: GPL-2.0
/*
 * A walk over all folios of a guest file that asserts what must always be true
 * of them (CONFIG_GUESTMEM_DEBUG).
 */
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
