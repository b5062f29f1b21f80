// SPDX-License-Identifier: GPL-2.0
/*
 * The module as a whole: making one, its objects by address, and physical memory.
 */
#include "internal.h"

/* --- physical memory ------------------------------------------------------ */

/*
 * Where there is no memory, reads are zero and writes are lost: operands have been
 * checked, and what else is used comes from entries that the module has written.
 */
static u64 *map64(u64 pa, void **page)
{
	*page = tdxmod_map(pa);
	return *page ? *page + (pa & (TDXMOD_PAGE - 1) & ~7ULL) : NULL;
}

u64 phys_read64(u64 pa)
{
	void *page;
	u64 *p = map64(pa, &page), value;

	if (!p)
		return 0;
	value = READ_ONCE(*p);
	tdxmod_unmap(page);
	return value;
}

void phys_write64(u64 pa, u64 value)
{
	void *page;
	u64 *p = map64(pa, &page);

	if (!p)
		return;
	WRITE_ONCE(*p, value);
	tdxmod_unmap(page);
}

bool phys_cmpxchg64(u64 pa, u64 *old, u64 value)
{
	void *page;
	u64 *p = map64(pa, &page);
	bool done;

	if (!p)
		return true;
	done = try_cmpxchg(p, old, value);
	tdxmod_unmap(page);
	return done;
}

/* Of one page.  Where nothing can be read, @to stays as it is. */
static bool read_page(void *page, u64 pa, void *to, unsigned int len)
{
	if (!page)
		return false;
	memcpy(to, page + (pa & (TDXMOD_PAGE - 1)), len);
	tdxmod_unmap(page);
	return true;
}

bool phys_read(u64 pa, void *to, unsigned int len)
{
	return read_page(tdxmod_map(pa), pa, to, len);
}

/* The host's own memory. */
bool phys_read_shared(u64 pa, void *to, unsigned int len)
{
	return read_page(tdxmod_map_shared(pa), pa, to, len);
}

static void copy_page_from(void *source, u64 to)
{
	void *target = tdxmod_map(to);

	if (source && target)
		memcpy(target, source, TDXMOD_PAGE);
	else if (target)
		memset(target, 0, TDXMOD_PAGE);
	/* the last first, as nested mappings want it */
	if (target)
		tdxmod_unmap(target);
	if (source)
		tdxmod_unmap(source);
}

void phys_copy_page(u64 to, u64 from)
{
	copy_page_from(tdxmod_map(from), to);
}

void phys_copy_shared_page(u64 to, u64 from)
{
	copy_page_from(tdxmod_map_shared(from), to);
}

/* A page that nobody sees yet. */
void phys_fill_page(u64 pa, u64 value)
{
	u64 *page = tdxmod_map(pa);

	if (!page)
		return;
	memset64(page, value, TDXMOD_PAGE / sizeof(value));
	tdxmod_unmap(page);
}

/* Is @pa memory that a host may pass data in? */
bool tdxmod_shared_hpa(const struct tdxmod *mod, u64 pa, u64 align)
{
	u64 hkid = pa >> mod->config.hkid_shift;

	if (pa & (align - 1) || pa >> mod->config.max_pa)
		return false;
	if (hkid >= mod->config.hkid_first)
		return false;
	return pa < mod->config.seamrr.base ||
	       pa - mod->config.seamrr.base >= mod->config.seamrr.size;
}

/* --- objects -------------------------------------------------------------- */

static struct tdxmod_object **bucket(struct tdxmod *mod, u64 pa)
{
	return &mod->objects[object_bucket(pa)];
}

void object_insert(struct tdxmod *mod, struct tdxmod_object *object)
{
	struct tdxmod_object **head = bucket(mod, object->pa);
	unsigned long flags;

	spin_lock_irqsave(&mod->objects_lock, flags);
	object->next = *head;
	*head = object;
	spin_unlock_irqrestore(&mod->objects_lock, flags);
}

void object_remove(struct tdxmod *mod, struct tdxmod_object *object)
{
	struct tdxmod_object **link = bucket(mod, object->pa);
	unsigned long flags;

	spin_lock_irqsave(&mod->objects_lock, flags);
	while (*link != object)
		link = &(*link)->next;
	*link = object->next;
	spin_unlock_irqrestore(&mod->objects_lock, flags);
}

struct tdxmod_object *object_find(struct tdxmod *mod, u64 pa)
{
	struct tdxmod_object *object;
	unsigned long flags;

	spin_lock_irqsave(&mod->objects_lock, flags);
	for (object = *bucket(mod, pa); object && object->pa != pa; object = object->next)
		;
	spin_unlock_irqrestore(&mod->objects_lock, flags);
	return object;
}

/* --- memory for TDs ------------------------------------------------------- */

#define TDMR_INIT_ENTRIES	1024

static struct tdxmod_tdmr *tdmr_at(struct tdxmod *mod, u64 base)
{
	struct tdxmod_tdmr *tdmr;

	for (tdmr = mod->tdmrs; tdmr < mod->tdmrs + mod->nr_tdmrs; tdmr++) {
		if (tdmr->base == base)
			return tdmr;
	}
	return NULL;
}

/* RCX: start of a TDMR.  Initialises a part of its metadata; RDX: up to where. */
u64 leaf_sys_tdmr_init(struct tdxmod_call *call)
{
	struct tdxmod_tdmr *tdmr = tdmr_at(call->mod, call->regs->rcx);

	if (!tdmr)
		return TDX_OPERAND_INVALID | OPERAND_RCX;
	if (!call_lock(call, &tdmr->lock, EXCLUSIVE, PLAIN))
		return TDX_OPERAND_BUSY | OPERAND_RCX;
	if (tdmr->ready == tdmr->base + tdmr->size)
		return TDX_TDMR_ALREADY_INITIALIZED;
	/* the metadata is zero, which is PAMT_NDA, from when it was allocated */
	WRITE_ONCE(tdmr->ready, tdmr->ready + TDMR_INIT_ENTRIES * TDXMOD_PAGE);
	call->regs->rdx = tdmr->ready;
	return TDX_SUCCESS;
}

static bool tdmr_create(struct tdxmod_tdmr *tdmr, const struct tdxmod_range *range, bool ready)
{
	int level;

	tdmr->base = range->base;
	tdmr->size = range->size;
	tdmr->ready = range->base + (ready ? range->size : 0);
	for (level = 0; level < TDXMOD_PAMT_LEVELS; level++) {
		u64 nr = range->size >> level_shift(level);

		tdmr->pamt[level] = tdxmod_alloc_pamt(nr * sizeof(*tdmr->pamt[level]));
		if (!tdmr->pamt[level])
			return false;
	}
	return true;
}

static bool tdmrs_create(struct tdxmod *mod)
{
	const struct tdxmod_config *config = &mod->config;
	u64 mask = level_size(TDXMOD_LEVEL_1G) - 1;
	unsigned int i;

	mod->tdmrs = tdxmod_alloc(config->nr_tdmrs * sizeof(*mod->tdmrs));
	if (!mod->tdmrs)
		return false;
	for (i = 0; i < config->nr_tdmrs; i++) {
		if ((config->tdmrs[i].base | config->tdmrs[i].size) & mask)
			return false;
		mod->nr_tdmrs = i + 1;
		if (!tdmr_create(&mod->tdmrs[i], &config->tdmrs[i], config->tdmrs_ready))
			return false;
	}
	return true;
}

/* --- the module ----------------------------------------------------------- */

/**
 * tdxmod_create - make a module for a machine
 * @config: the machine; copied, but not what it points to
 *
 * Return: the module, ready for calls, or NULL if there is no memory for it, its memory
 * is not in whole gigabytes, or it has more than 64 keys or 32 packages.
 */
struct tdxmod *tdxmod_create(const struct tdxmod_config *config)
{
	struct tdxmod *mod;

	if (config->hkid_last - config->hkid_first >= 64 || config->packages > 32)
		return NULL;
	mod = tdxmod_alloc(sizeof(*mod));
	if (!mod)
		return NULL;
	mod->config = *config;
	spin_lock_init(&mod->objects_lock);
	mod->keys = tdxmod_alloc(tdxmod_nr_keys(mod) * sizeof(*mod->keys));
	mod->wb_lock = tdxmod_alloc(config->packages * sizeof(*mod->wb_lock));
	mod->wb_done = tdxmod_alloc(config->packages * sizeof(*mod->wb_done));
	mod->wb_keys = tdxmod_alloc(config->packages * sizeof(*mod->wb_keys));
	if (!mod->keys || !mod->wb_lock || !mod->wb_done || !mod->wb_keys ||
	    !tdmrs_create(mod)) {
		tdxmod_destroy(mod);
		return NULL;
	}
	/* the first private key is the module's own */
	mod->keys[0].state = KEY_RESERVED;
	mod->state = SYS_READY;
	return mod;
}

static void objects_destroy(struct tdxmod *mod)
{
	struct tdxmod_object *object, *next;
	unsigned int i;

	for (i = 0; i < TDXMOD_BUCKETS; i++) {
		for (object = mod->objects[i]; object; object = next) {
			const struct tdxmod_pamt_entry *entry;

			next = object->next;
			entry = pamt_entry(mod, object->pa, TDXMOD_LEVEL_4K);
			if (entry->type == PAMT_TDR)
				td_delete((struct tdxmod_td *)object);
			else
				tdxmod_free(object);
		}
	}
}

/**
 * tdxmod_destroy - let a module go, with all of its TDs
 * @mod: the module; may be NULL
 *
 * Context: No call is under way.
 */
void tdxmod_destroy(struct tdxmod *mod)
{
	unsigned int i;
	int level;

	if (!mod)
		return;
	objects_destroy(mod);
	for (i = 0; i < mod->nr_tdmrs; i++) {
		for (level = 0; level < TDXMOD_PAMT_LEVELS; level++)
			tdxmod_free(mod->tdmrs[i].pamt[level]);
	}
	tdxmod_free(mod->tdmrs);
	tdxmod_free(mod->keys);
	tdxmod_free(mod->wb_lock);
	tdxmod_free(mod->wb_done);
	tdxmod_free(mod->wb_keys);
	tdxmod_free(mod);
}

/**
 * tdxmod_shutdown - refuse all further calls
 * @mod: the module
 */
void tdxmod_shutdown(struct tdxmod *mod)
{
	mod->state = SYS_SHUT_DOWN;
}

/* The module has found something that cannot be. */
void tdxmod_broken(struct tdxmod *mod, const char *what, u64 value)
{
	atomic64_inc(&mod->stats.broken);
	tdxmod_complain("broken: %s 0x%llx\n", what, value);
}

/**
 * tdxmod_find_td - a TD by the address of its TDR
 * @mod: the module
 * @tdr: the address
 *
 * Context: The caller makes sure that the TDR is not reclaimed.
 * Return: the TD, or NULL if there is none.
 */
struct tdxmod_td *tdxmod_find_td(struct tdxmod *mod, u64 tdr)
{
	const struct tdxmod_pamt_entry *entry = pamt_entry(mod, tdr, TDXMOD_LEVEL_4K);

	if (!entry || entry->type != PAMT_TDR)
		return NULL;
	return (struct tdxmod_td *)object_find(mod, tdr);
}
